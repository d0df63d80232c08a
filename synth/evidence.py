"""Evidence on the classes of cells: a label for each, or a score for each class of each, under one interface.

Both can be shifted by classes, summed by key, and correlated row against row; scores do so in the frequency domain,
where a shift is a phase.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from synth.carrier import IntArray

FloatArray = npt.NDArray[np.floating[Any]]
_BLOCK = 1 << 19  # entries counted at once
LEAST_CELLS = 8


class Evidence(Protocol):
    """What phase correlation needs to know of N cells.

    Attributes:
        order: the number of classes.
        exact: whether evidence is labels, which are right or wrong but never faint.
    """

    order: int
    exact: bool

    def shifted(self, cells: IntArray, by: IntArray) -> Evidence:
        """The evidence of some cells, by index, what spoke for class s + by now speaking for class s."""
        ...

    def votes(self, keys: IntArray, size: int) -> FloatArray:
        """The sum of the cells' evidence by key, shape (size, order)."""
        ...

    def correlate(self, rows: IntArray, columns: IntArray, size: int) -> tuple[IntArray, FloatArray]:
        """For every two rows the likeliest shift between their evidence, and its weight, each of shape (size, size)."""
        ...


def symmetric(size: int, order: int, peak: IntArray, weight: FloatArray) -> tuple[IntArray, FloatArray]:
    """Square arrays from what is known of the pairs above the diagonal; b is as far from a as a from b, backwards."""
    first, second = np.triu_indices(size, 1)
    shift = np.zeros((size, size), dtype=np.int64)
    shift[first, second], shift[second, first] = peak, -peak % order
    confidence = np.zeros((size, size))
    confidence[first, second] = confidence[second, first] = weight
    return shift, confidence


class Labels:
    """One class for each cell, shape (N,)."""

    exact = True

    def __init__(self, labels: IntArray, order: int) -> None:
        self.labels, self.order = labels, order

    def shifted(self, cells: IntArray, by: IntArray) -> Labels:
        return Labels((self.labels[cells] - by) % self.order, self.order)

    def votes(self, keys: IntArray, size: int) -> FloatArray:
        counts = np.bincount(keys * self.order + self.labels, minlength=size * self.order)
        return counts.reshape(size, self.order).astype(np.float64)

    def correlate(self, rows: IntArray, columns: IntArray, size: int) -> tuple[IntArray, FloatArray]:
        # With one label a cell the product of spectra counts differences, which is cheaper to do directly.
        order, width = self.order, int(columns.max(initial=-1)) + 1
        label = np.full((size, width), -1, dtype=np.int32)
        label[rows, columns] = self.labels
        first, second = np.triu_indices(size, 1)
        peak = np.zeros(len(first), dtype=np.int64)
        votes = np.zeros(len(first))
        block = max(1, _BLOCK // max(width, order))
        for start in range(0, len(first), block):
            x, y = label[first[start : start + block]], label[second[start : start + block]]
            pair, column = np.nonzero((x >= 0) & (y >= 0))
            difference = (y - x)[pair, column]
            difference[difference < 0] += order
            counts = np.bincount(pair * order + difference, minlength=len(x) * order).reshape(len(x), order)
            peak[start : start + block] = counts.argmax(axis=1)
            votes[start : start + block] = counts.max(axis=1)
        return symmetric(size, order, peak, votes)


# A prime order is the FFT's worst case and the matrix product's best: for orders up to a few hundred this is faster.


@cache
def analysis(order: int) -> npt.NDArray[np.float32]:
    """Shape (order, 2 k): real and imaginary parts, interleaved, of the frequencies 0 .. order // 2."""
    wave = np.exp(-2j * np.pi * (np.outer(np.arange(order), np.arange(order // 2 + 1)) % order) / order)
    return np.ascontiguousarray(wave.astype(np.complex64).view(np.float32))


@cache
def synthesis(order: int) -> npt.NDArray[np.float32]:
    """Shape (2 k, order): back from interleaved real and imaginary parts, frequency 0 and a Nyquist counted once."""
    twice = np.full(order // 2 + 1, 2.0 / order)
    twice[0] = 1.0 / order
    if order % 2 == 0:
        twice[-1] = 1.0 / order
    return np.ascontiguousarray(analysis(order).T * np.repeat(twice, 2)[:, None], dtype=np.float32)


def spectra_of(scores: FloatArray) -> npt.NDArray[np.complex64]:
    """The rows' Fourier coefficients at 0 .. order // 2, as ``numpy.fft.rfft`` gives them."""
    flat = np.asarray(scores, dtype=np.float32) @ analysis(scores.shape[1])
    return np.ascontiguousarray(flat).view(np.complex64)


def from_spectra(spectra: npt.NDArray[np.complex64], order: int) -> npt.NDArray[np.float32]:
    """Rows of real numbers from their coefficients, as ``numpy.fft.irfft`` gives them."""
    return np.ascontiguousarray(spectra).view(np.float32) @ synthesis(order)


class Scores:
    """A score for each class of each cell, kept as spectra: shape (N, order // 2 + 1), complex."""

    exact = False

    def __init__(self, spectra: npt.NDArray[np.complex64], order: int, weights: FloatArray | None) -> None:
        self.spectra, self.order, self.weights = spectra, order, weights
        self.phases = np.conj(analysis(order).view(np.complex64))

    @classmethod
    def of(cls, scores: FloatArray, weights: FloatArray | None = None) -> Scores:
        """Scores of shape (N, order), and a weight for each frequency, shape (order // 2 + 1,), in correlations."""
        spectra = spectra_of(scores)
        spectra[:, 0] = 0  # how much evidence a cell has says nothing about its class
        return cls(spectra, int(scores.shape[1]), weights)

    def shifted(self, cells: IntArray, by: IntArray) -> Scores:
        moved = self.spectra[cells] if not by.any() else self.spectra[cells] * self.phases[by % self.order]
        return Scores(moved, self.order, self.weights)

    def votes(self, keys: IntArray, size: int) -> FloatArray:
        return from_spectra(self._sums(keys, size), self.order)

    def _sums(self, keys: IntArray, size: int) -> npt.NDArray[np.complex64]:
        total = np.zeros((size, self.spectra.shape[1]), dtype=np.complex64)
        if len(keys):
            sequence = np.argsort(keys, kind="stable")
            starts = np.flatnonzero(np.diff(keys[sequence], prepend=-1))
            total[keys[sequence[starts]]] = np.add.reduceat(self.spectra[sequence], starts, axis=0)
        return total

    def energy(self) -> float:
        """The sum of squares of all Fourier coefficients."""
        return float(np.vdot(self.spectra, self.spectra).real)

    def interaction(self, cells: IntArray, size: int) -> Scores:
        """The scores less what depends on one input alone (two sweeps over the inputs' means).

        A law's own scores average out over a row, so that they lose next to nothing; inputs that have fewer than eight
        cells to an element are left alone, as their means would be the cells themselves.
        """
        rest = self.spectra.copy()
        thick = [j for j in range(cells.shape[1]) if len(cells) >= LEAST_CELLS * len(np.unique(cells[:, j]))]
        for j in thick * 2:
            keys = cells[:, j]
            count = np.bincount(keys, minlength=size).astype(np.float32)
            share = np.where(count > 1, 1 / np.maximum(count, 1), 0)  # one cell's mean is all that its element has
            rest -= (Scores(rest, self.order, None)._sums(keys, size) * share[:, None])[keys]
        return Scores(rest, self.order, self.weights)

    def correlate(self, rows: IntArray, columns: IntArray, size: int) -> tuple[IntArray, FloatArray]:
        dense = np.zeros((self.spectra.shape[1], int(columns.max(initial=-1)) + 1, size), dtype=np.complex64)
        dense[:, columns, rows] = self.spectra.T
        product = np.conj(dense.transpose(0, 2, 1)) @ dense  # [k, a, a'], summed over the columns
        if self.weights is not None:
            product *= np.asarray(self.weights, dtype=np.float32)[:, None, None]
        first, second = np.triu_indices(size, 1)
        correlation = from_spectra(product[:, first, second].T, self.order)
        peak = correlation.argmax(axis=1)
        weight = np.take_along_axis(correlation, peak[:, None], axis=1)[:, 0].astype(np.float64)
        weight[weight <= 1e-6 * weight.max(initial=0.0)] = 0.0  # rounding is not evidence
        return symmetric(size, self.order, peak, weight)
