"""The kernel machine that learns features without a network: the recursive feature machine with its AGOP.

Radhakrishnan et al. 2024 (Science 383, 1461); on modular arithmetic Mallinar et al. 2024 (arXiv 2407.20199). Kernel
regression with k(x, z) = (x' M z)^r on r concatenated one-hot inputs; then M becomes the root of the average gradient
outer product (AGOP) of what was fitted, and again. For r = 2 the fit is f_c(x) = x' Q_c x with Q_c = M A_c M and
A_c = sum_i alpha_ic x_i x_i': gradients and answers live in d x d space, d = 2 size, and only the regression, a
Cholesky factor, is as large as the examples.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve

from synth.carrier import IntArray

Matrix: TypeAlias = npt.NDArray[np.float64]
BLOCK = 1 << 11  # cells answered at once, where that takes a kernel
LOOKED_AT = 4096  # cells whose answers must settle


@dataclass(frozen=True, eq=False)
class Machine:
    """A fitted kernel machine.

    Attributes:
        size, arity: of the carrier and the inputs; d = arity * size.
        metric: M, shape (d, d), symmetric, of trace d.
        inputs: the examples that it was fitted to, shape (n, arity).
        alpha: their coefficients, shape (n, size).
        forms: Q_c for two inputs, shape (size, d, d); None for others.
    """

    size: int
    arity: int
    metric: Matrix
    inputs: IntArray
    alpha: Matrix
    forms: Matrix | None

    def logits(self, cells: IntArray) -> Matrix:
        """What was regressed on centred one-hot labels, shape (k, size), for cells of shape (k, arity)."""
        if self.forms is not None:
            own = np.einsum("cii->ic", self.forms)
            left, right = cells[:, 0], cells[:, 1] + self.size
            return own[left] + own[right] + 2 * self.forms.transpose(1, 2, 0)[left, right]
        parts = (cells[i : i + BLOCK] for i in range(0, len(cells), BLOCK))
        return np.concatenate(
            [_products(self.metric, x, self.inputs, self.size) ** self.arity @ self.alpha for x in parts]
        )

    def predict(self, cells: IntArray) -> IntArray:
        """The value of each cell, shape (k,); ties go to the smallest."""
        return self.logits(cells).argmax(axis=1)


@dataclass(frozen=True, eq=False)
class Iteration:
    """One round.

    Attributes:
        round: from 1; the first is plain kernel regression.
        machine: what would be answered now.
        flops: floating-point operations so far.
        changed: share of the watched cells whose answers changed in this round; 1 in the first.
        cause: why the rounds ended, "" before: "settled" or "budget".
    """

    round: int
    machine: Machine
    flops: float
    changed: float
    cause: str


def bytes_needed(n: int, size: int, arity: int) -> int:
    """The memory that ``rounds`` takes, at most: the kernel, its factor and what makes them, or the forms."""
    d = arity * size
    return 8 * (3 * n * n + (3 * size * d * d if arity == 2 else 2 * n * n))


def rounds(
    size: int,
    inputs: IntArray,
    labels: IntArray,
    watched: IntArray,
    *,
    most: int = 60,
    ridge: float = 1e-4,
    calm: int = 4,
    power: float = 0.7,
    floor: float = 0.01,
) -> Generator[Iteration, None, None]:
    """Fit, take the gradients' outer product for the metric, and again.

    Args:
        size: of the carrier.
        inputs, labels: the examples, shapes (n, arity) and (n,).
        watched: cells without labels, shape (k, arity), whose answers must settle.
        most: rounds, at most.
        ridge: of the regression, as a share of the kernel's mean diagonal.
        calm: rounds without a changed answer that end it.
        power: of the gradients' outer product; the root (0.5) of the literature takes half as many rounds again.
        floor: how much of the identity is added to the metric, so that no direction is lost for good.

    Raises:
        ValueError: no examples.
    """
    n, arity = inputs.shape
    if n == 0:
        raise ValueError("rounds: the kernel machine needs at least one example, got none")
    d = arity * size
    metric = np.eye(d)
    targets = np.eye(size)[labels] - 1 / size
    sample = watched[:: max(1, -(-len(watched) // LOOKED_AT))]
    before: IntArray | None = None
    flops, still = 0.0, 0
    for at in range(1, most + 1):
        products = _products(metric, inputs, inputs, size)
        kernel = products**arity
        kernel[np.diag_indices(n)] += ridge * kernel.trace() / n
        factor = cho_factor(kernel, lower=True, overwrite_a=True, check_finite=False)
        alpha = np.asarray(cho_solve(factor, targets, check_finite=False))
        forms = _forms(metric, inputs, alpha, size) if arity == 2 else None
        machine = Machine(size, arity, metric, inputs, alpha, forms)
        flops += n**3 / 3 + 2.0 * n * n * size + (8.0 * size * d**3 if arity == 2 else 2.0 * n**3)
        answers = machine.predict(sample)
        changed = 1.0 if before is None else float((answers != before).mean())
        still, before = (0 if changed else still + 1), answers
        cause = "settled" if still >= calm else "budget" if at == most else ""
        yield Iteration(at, machine, flops, changed, cause)
        if cause:
            return
        metric = _power(_outer_product(machine, products), power, floor)


def _products(metric: Matrix, cells: IntArray, others: IntArray, size: int) -> Matrix:
    """x' M z for every pair of one-hot inputs, shape (k, n): sums of entries of M."""
    shift = size * np.arange(cells.shape[1])
    rows = metric[(cells + shift).T].sum(axis=0)
    return sum((rows[:, others[:, j] + shift[j]] for j in range(others.shape[1])), np.zeros((len(cells), len(others))))


def _forms(metric: Matrix, inputs: IntArray, alpha: Matrix, size: int) -> Matrix:
    """Q_c = M A_c M for every value c, shape (size, 2 size, 2 size)."""
    table = np.zeros((size, size, size))
    np.add.at(table.transpose(1, 2, 0), (inputs[:, 0], inputs[:, 1]), alpha)
    outer = np.zeros((size, 2 * size, 2 * size))
    outer[:, :size, size:], outer[:, size:, :size] = table, table.transpose(0, 2, 1)
    index = np.arange(size)
    outer[:, index, index], outer[:, size + index, size + index] = table.sum(axis=2), table.sum(axis=1)
    return metric @ outer @ metric


def _outer_product(machine: Machine, products: Matrix) -> Matrix:
    """The average over the examples of the sum over c of grad f_c grad f_c', up to a factor."""
    size, arity, inputs = machine.size, machine.arity, machine.inputs
    places = inputs + size * np.arange(arity)
    d = arity * size
    if machine.forms is not None:
        counts = np.zeros((d, d))
        for i in range(arity):
            for j in range(arity):
                np.add.at(counts, (places[:, i], places[:, j]), 1.0)
        return (machine.forms @ counts @ machine.forms).sum(axis=0)
    powers = products ** (arity - 1)
    weights = (powers @ powers) * (machine.alpha @ machine.alpha.T)
    hot = np.zeros((len(inputs), d))
    np.put_along_axis(hot, places, 1.0, axis=1)
    return machine.metric @ (hot.T @ weights @ hot) @ machine.metric


def _power(outer: Matrix, power: float, floor: float) -> Matrix:
    """A power of a positive matrix, scaled, with the floor under its eigenvalues, to trace d."""
    values, vectors = np.linalg.eigh((outer + outer.T) / 2)
    roots = np.maximum(values, 0) ** power
    roots = floor + roots * len(roots) / roots.sum()
    return (vectors * (roots / (1 + floor))) @ vectors.T
