"""Characters and spectra: logits by output frequency, tables of weights by the frequencies of a law.

The characters of Z_q are exp(2 pi i k x / q). A law phi(c) = f(a) + g(b) turns them into functions of a token,
cos and sin(2 pi k f(a) / q), which are the directions that a network can keep the law's frequency k in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nets.models import FloatArray
from synth.carrier import IntArray
from synth.evidence import spectra_of
from synth.laws import Law

Matrix = npt.NDArray[np.float64]


def characters(classes: IntArray, order: int, frequencies: Sequence[int]) -> Matrix:
    """cos and sin(2 pi k x / order) for each frequency k, shape (len(classes), 2 * len(frequencies)).

    Rows of elements without a class (negative) are 0.
    """
    angles = 2 * np.pi / order * (classes[:, None] * np.asarray(frequencies, dtype=np.int64)[None, :] % order)
    return np.concatenate([np.cos(angles), np.sin(angles)], axis=1) * (classes >= 0)[:, None]


def constants(classes: IntArray) -> Matrix:
    """What no frequency may claim: the constant over elements with a class, and each element without one by itself."""
    columns = [(classes >= 0).astype(np.float64), *np.eye(len(classes))[np.flatnonzero(classes < 0)]]
    return np.stack(columns, axis=1)


def projector(columns: Matrix) -> Matrix:
    """The orthogonal projection onto the span of the columns, shape (rows, rows)."""
    left, values, _ = np.linalg.svd(columns, full_matrices=False)
    basis = left[:, values > 1e-9 * max(1.0, float(values.max(initial=0.0)))]
    return basis @ basis.T


def frequencies(order: int) -> range:
    """The frequencies that differ as real functions, the constant apart."""
    return range(1, order // 2 + 1)


def law_projectors(law: Law, readers: Sequence[int], keys: Sequence[int]) -> tuple[Matrix, Matrix]:
    """For a table of rows per token that ``readers`` (inputs) share: projections onto the constants and onto the keys.

    Returns:
        Two projections, shape (m, m): onto the constants of the readers' tables, and onto their characters of the key
        frequencies, as far as those are orthogonal to the constants.
    """
    still = np.concatenate([constants(law.tables[j]) for j in readers], axis=1)
    return projectors(still, np.concatenate([characters(law.tables[j], law.order, keys) for j in readers], axis=1))


def projectors(still: Matrix, waves: Matrix) -> tuple[Matrix, Matrix]:
    """Projections onto the columns of one and, as far as they are orthogonal to those, of the other."""
    first = projector(still)
    return first, projector(waves - first @ waves)


def rank_one_share(cells: IntArray, scores: FloatArray, size: int, strongest: int = 8, sweeps: int = 6) -> float:
    """How far the output spectrum factorises over the inputs: 1 for a law in this basis, noise for none.

    For each output frequency the spectrum is a matrix over (first input, the others), of which some cells are known;
    its best rank-one part is found by alternating least squares over those.

    Args:
        cells: shape (N, arity), arity at least 2.
        scores: shape (N, order), in the basis' order of classes.
        size: the number of values of an input.
        strongest: how many output frequencies, by energy, count.

    Returns:
        The rank-one parts' share of the energy of those frequencies.
    """
    spectrum = spectra_of(scores)[:, 1:]
    energy = (np.square(spectrum.real) + np.square(spectrum.imag)).sum(axis=0)
    kept = np.argsort(-energy, kind="stable")[:strongest]
    code = cells[:, 1:] @ (size ** np.arange(cells.shape[1] - 1, dtype=np.int64))
    columns, column = np.unique(code, return_inverse=True)
    shape = (len(kept), size, len(columns))
    matrix: npt.NDArray[Any] = np.zeros(shape, dtype=np.complex64)
    matrix[:, cells[:, 0], column] = spectrum[:, kept].T
    known = np.zeros(shape[1:], dtype=np.float32)
    known[cells[:, 0], column] = 1.0
    right = np.conj(matrix[np.arange(len(kept)), np.argmax((np.abs(matrix) ** 2).sum(axis=2), axis=1)])[:, :, None]
    left = np.zeros((len(kept), size, 1), dtype=np.complex64)
    tiny = np.float32(1e-12)
    for _ in range(sweeps):
        left = (matrix @ right) / (known @ np.abs(right) ** 2 + tiny)
        right = (np.conj(left).transpose(0, 2, 1) @ matrix).transpose(0, 2, 1)
        right = np.conj(right / (known.T @ np.abs(left) ** 2 + tiny))
    explained = 2 * np.real((matrix @ right) * np.conj(left)).sum()
    explained -= (np.abs(left) ** 2 * (known @ np.abs(right) ** 2)).sum()
    return float(explained / max(float((np.abs(matrix) ** 2).sum()), 1e-30))
