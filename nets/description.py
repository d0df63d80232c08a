"""Two-part codes of networks: the bits of quantised weights, and the bits of the labels that those weights do not give.

Sender and receiver share the examples' inputs, the architectures and four kinds of basis. The sender names an
architecture and a basis; for each tensor its shape, its step on a geometric grid and its largest symbol; then the
symbols, by an adaptive arithmetic code; then the labels, given what the quantised network says of them (Rissanen 1978;
Hinton and van Camp 1993 for networks). Every part is a code length in closed form, so that the sum is one of a code
that could be written: no network describes random labels in fewer bits than a table of them does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf, log, log2
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import gammaln

from nets.fourier import characters, constants, frequencies
from nets.models import ARCHITECTURES, FloatArray, Network, computes_as
from nets.relu import Relu
from synth.carrier import IntArray, Residues
from synth.integers import delta_bits
from synth.laws import phi
from synth.twopart import exceptions_bits

NetworkBasis = Literal["standard", "additive", "dlog", "random"]
BASES: tuple[NetworkBasis, ...] = ("standard", "additive", "dlog", "random")
LN2 = log(2)  # nats in a bit
GRID = 4  # steps are powers of 2^(1/4)
COARSEST, FINEST = 28, -8  # grid points from the root mean square of a tensor, between which its step is looked for
SHARPNESS = range(-3, 5)  # exponents of the softmax' inverse temperatures that the labels' code may name
STRIDE = 4  # between the shifts that a quick search tries first
READOUT = "W"  # the weights whose columns are the outputs' tokens, by the architectures' custom

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Code:
    """A two-part code of labels by a network.

    Attributes:
        header_bits: architecture, basis, shapes, steps and largest symbols.
        weights_bits: the quantised weights.
        labels_bits: the examples' labels, given the quantised network.
        basis: the basis of the token axes that the weights were quantised in.
        steps: the step of each tensor, all powers of 2^(1/4).
        shift: grid points between the steps and the tensors' root mean squares where the search set out.
        nonzero: how many quantised weights are not 0.
        misses: examples whose label is not the quantised network's answer.
        network: the quantised network.
    """

    header_bits: float
    weights_bits: float
    labels_bits: float
    basis: NetworkBasis
    steps: Mapping[str, float]
    shift: int
    nonzero: int
    misses: int
    network: Network

    @property
    def bits(self) -> float:
        return self.header_bits + self.weights_bits + self.labels_bits


def lookup_bits(n: int, size: int) -> float:
    """Bits of n labels written down one by one: what a two-part code is measured against."""
    return n * log2(size)


def two_part_code(
    network: Network,
    inputs: IntArray,
    labels: IntArray,
    basis: NetworkBasis = "additive",
    *,
    thorough: bool = True,
    seed: int = 0,
) -> Code:
    """The shortest code over the precisions that are tried.

    First one shift for all tensors, their root mean squares as units, from coarse to fine; then, where ``thorough``,
    each tensor's own step in turn, until none is better.

    Args:
        network: whose tables of weights per token, and whose readout ``W``, are written in the basis.
        inputs, labels: the examples, shapes (n, arity) and (n,).
        basis: "standard" is none; "additive" the real characters of Z_size; "dlog" those of the multiplicative group,
            by discrete logarithms, with 0 apart; "random" a random orthogonal one, for a control.
        thorough: costs about eight times what it costs without, for codes a percent or two shorter.
        seed: of the random basis.

    Raises:
        ValueError: no such basis, or "dlog" where the size is no prime.
    """
    vectors = orthonormal(basis, network.architecture.size, seed)
    quantiser = _Quantiser(folded(network), inputs, labels, vectors, basis)
    shifts = range(FINEST, COARSEST + 1, 1 if thorough else STRIDE)
    best = min((quantiser.code(quantiser.start(s), s) for s in shifts), key=_bits)
    if not thorough:
        about = [s for s in range(best.shift - STRIDE + 1, best.shift + STRIDE) if s != best.shift]
        return min([best, *(quantiser.code(quantiser.start(s), s) for s in about)], key=_bits)
    exponents = quantiser.start(best.shift)
    improved = True
    while improved:
        improved = False
        for name in exponents:
            for change in (1, -1, 2, -2):
                tried = {**exponents, name: exponents[name] + change}
                if (other := quantiser.code(tried, best.shift)).bits < best.bits:
                    best, exponents, improved = other, tried, True
                    break
    return best


def folded(network: Network) -> Network:
    """The same function with weights that are sparser in the characters, where the architecture has such a gauge.

    The shared table of a ReLU network acts through E M alone: it is written as that product and the identity.
    """
    shape = network.architecture
    if not computes_as(shape, Relu) or shape.separate:
        return network
    table, eye = network.weights["E"] @ network.weights["M"], torch.eye(shape.h, device=network.device)
    return Network(replace(shape, d=shape.h), {**network.weights, "E": table, "M": eye})


def _bits(code: Code) -> float:
    return code.bits


def orthonormal(basis: NetworkBasis, size: int, seed: int = 0) -> Matrix:
    """The basis' vectors as columns, shape (size, size).

    Raises:
        ValueError: no such basis, or "dlog" where the size is no prime.
    """
    if basis == "standard":
        return np.eye(size)
    if basis == "random":
        return np.linalg.qr(np.random.default_rng(seed).normal(size=(size, size)))[0]
    if basis not in BASES:
        raise ValueError(f"two_part_code: no basis {basis!r}; there are {', '.join(BASES)}")
    classes = phi(Residues(size), basis)
    order = int((classes >= 0).sum())
    columns = np.concatenate([constants(classes), characters(classes, order, list(frequencies(order)))], axis=1)
    norms = np.linalg.norm(columns, axis=0)
    return columns[:, norms > 1e-6] / norms[norms > 1e-6]  # the sine of frequency order / 2 is 0


def adaptive_bits(symbols: IntArray, largest: int) -> float:
    """The adaptive code's length of symbols -largest .. largest in any order (Krichevsky and Trofimov 1981).

    Each is coded with probability (its count so far + 1/2) / (all so far + half the alphabet); the product over the
    sequence is the Dirichlet integral below.
    """
    alphabet = 2 * largest + 1
    counts = np.bincount(symbols.ravel() + largest)
    counts = counts[counts > 0]
    nats = gammaln(symbols.size + alphabet / 2) - gammaln(alphabet / 2)
    nats -= (gammaln(counts + 0.5) - gammaln(0.5)).sum()
    return float(nats) / LN2


def labels_bits(logits: FloatArray, labels: IntArray) -> float:
    """Bits of the labels given logits (n, size): the shorter of two codes, and a bit that says which.

    Either an adaptive flag an example says whether the answer is right, and each exception names one of the other
    values; or labels are coded by the softmax of the logits times a power of two, which is named.
    """
    n, size = logits.shape
    misses = int((logits.argmax(axis=1) != labels).sum())
    by_exceptions = exceptions_bits(n, misses, size)
    if misses == 0:
        return 1 + by_exceptions
    by_softmax, j = inf, len(SHARPNESS) // 2  # convex in the sharpness: downhill from the middle ends at the least
    lengths = {i: _softmax_bits(logits, labels, 2.0 ** SHARPNESS[i]) for i in (j, j + 1)}
    direction = 1 if lengths[j + 1] < lengths[j] else -1
    j += direction > 0
    while lengths[j] < by_softmax:
        by_softmax, j = lengths[j], j + direction
        if not 0 <= j < len(SHARPNESS):
            break
        lengths[j] = _softmax_bits(logits, labels, 2.0 ** SHARPNESS[j])
    return 1 + min(by_exceptions, by_softmax + log2(len(SHARPNESS)))


def _softmax_bits(logits: FloatArray, labels: IntArray, sharpness: float) -> float:
    scores = (logits - logits.max(axis=1, keepdims=True)) * np.float32(sharpness)
    nats = np.log(np.exp(scores).sum(axis=1, dtype=np.float64)) - scores[np.arange(len(labels)), labels]
    return float(nats.sum()) / LN2


class _Quantiser:
    """One network's tensors in a basis, and the code that each choice of steps makes."""

    def __init__(
        self, network: Network, inputs: IntArray, labels: IntArray, vectors: Matrix, basis: NetworkBasis
    ) -> None:
        self.network, self.inputs, self.labels = network, inputs, labels
        self.vectors = vectors
        self.basis: NetworkBasis = basis
        self.by_token = {name for name, _ in network.architecture.tables()}
        self.tensors = {name: self._turn(name, x.astype(np.float64)) for name, x in network.state().items()}
        self._quantised: dict[tuple[str, int], tuple[float, float, int, torch.Tensor]] = {}

    def _turn(self, name: str, weights: Matrix, *, back: bool = False) -> Matrix:
        """A tensor's token axis in the basis' coordinates, or from them back."""
        if self.basis == "standard":
            return weights
        vectors = self.vectors.T if back else self.vectors
        if name in self.by_token:
            return vectors.T @ weights
        if name == READOUT and weights.shape[-1] == len(vectors):
            return weights @ vectors
        return weights

    def start(self, shift: int) -> dict[str, int]:
        """Exponents that lie ``shift`` grid points above each tensor's root mean square; 0 for one that is all 0."""
        sizes = {name: float(np.sqrt((x**2).mean())) for name, x in self.tensors.items()}
        return {name: round(GRID * log2(x)) + shift if x > 0 else 0 for name, x in sizes.items()}

    def code(self, exponents: Mapping[str, int], shift: int) -> Code:
        parts = {name: self._quantise(name, exponent) for name, exponent in exponents.items()}
        quantised = self.network.with_weights({name: part[3] for name, part in parts.items()})
        logits = quantised.logits(self.inputs)
        return Code(
            header_bits=log2(len(ARCHITECTURES) + 1) + log2(len(BASES)) + sum(x[0] for x in parts.values()),
            weights_bits=sum(x[1] for x in parts.values()),
            labels_bits=labels_bits(logits, self.labels),
            basis=self.basis,
            steps={name: 2 ** (exponent / GRID) for name, exponent in exponents.items()},
            shift=shift,
            nonzero=sum(x[2] for x in parts.values()),
            misses=int((logits.argmax(axis=1) != self.labels).sum()),
            network=quantised,
        )

    def _quantise(self, name: str, exponent: int) -> tuple[float, float, int, torch.Tensor]:
        """A tensor's header and body in bits, its nonzero weights, and itself."""
        if (name, exponent) not in self._quantised:
            step = 2 ** (exponent / GRID)
            symbols = np.rint(self.tensors[name] / step).astype(np.int64)
            largest = int(np.abs(symbols).max(initial=0))
            header = sum(map(delta_bits, symbols.shape)) + delta_bits(largest + 1)
            header += 1 + delta_bits(abs(exponent) + 1)  # the step, with a sign
            turned = self._turn(name, (symbols * step).astype(np.float64), back=True)
            weights = torch.from_numpy(turned).to(self.network.weights[name])
            body = adaptive_bits(symbols, largest)
            self._quantised[name, exponent] = header, body, int(np.count_nonzero(symbols)), weights
        return self._quantised[name, exponent]
