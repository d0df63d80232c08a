"""Measures on vectors of residues, and what an operation makes of two of them: every convolution that a language has.

A measure gives each vector of Z_p^n a mass; it is an array of shape (batch, p, .., p) with one axis for each of the n
points. If x and y are drawn from two measures, x op y has their convolution under op, coordinate by coordinate:

- + and - are products under the discrete Fourier transform over Z_p^n;
- * and / under the characters of the multiplicative monoid Z_p = {0} with the cyclic group: its p - 1 characters, which
  are 0 at 0, and the one that is 1 everywhere;
- max and min under sums over all that is no larger, and no smaller;
- a condition splits the points in two, and the branches' marginals there are independent.

Each transform's matrix is applied axis by axis. The multiplicative one is the worst conditioned (15 in each coordinate
at p = 59), so that all masses are right to about 1e-16 of the total, and not each to its own last digits.
"""

from __future__ import annotations

from itertools import product
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import fft

from synth.carrier import IntArray, Residues

Measure: TypeAlias = npt.NDArray[np.float64]
Spectrum: TypeAlias = npt.NDArray[np.complex128]
_SETTLING = 4  # substitutions at a time; each shrinks what is left to a fifth or less


class Measures:
    """The transforms for one prime and number of points."""

    def __init__(self, carrier: Residues, points: int) -> None:
        self.size, self.points = carrier.modulus, points
        self.shape = (self.size,) * points
        self.axes = tuple(range(1, points + 1))
        if not carrier.is_prime:  # then there are sums and differences alone
            return
        order = np.array([0, *_powers(self.size)])
        self._order = np.zeros(self.shape, dtype=np.int64)  # each axis as 0, then the powers of a primitive root
        for axis in range(points):
            self._order = self._order * self.size + order.reshape([-1 if i == axis else 1 for i in range(points)])
        self._order = self._order.reshape(-1)
        self._back = np.argsort(self._order)

    # Transforms

    def additive(self, measure: Measure) -> Spectrum:
        return np.asarray(fft.rfftn(measure, axes=self.axes))

    def from_additive(self, spectrum: Spectrum) -> Measure:
        return np.asarray(fft.irfftn(spectrum, s=self.shape, axes=self.axes))

    def multiplicative(self, measure: Measure) -> Spectrum:
        """Along each axis: the sum of all, then the Fourier transform over the logarithms of all but 0."""
        mixed = measure.reshape(len(measure), -1).take(self._order, axis=1).reshape(measure.shape)
        for axis in self.axes:
            _at(mixed, axis, slice(0, 1))[...] = mixed.sum(axis=axis, keepdims=True)
        last = self.points
        units = np.asarray(fft.rfft(_at(mixed, last, slice(1, None))))
        spectrum: Spectrum = np.concatenate([_at(mixed, last, slice(0, 1)), units], axis=-1)
        for axis in self.axes[:-1]:
            units = _at(spectrum, axis, slice(1, None))
            units[...] = np.asarray(fft.fft(units, axis=axis))
        return spectrum

    def from_multiplicative(self, spectrum: Spectrum) -> Measure:
        spectrum = spectrum.copy()
        for axis in self.axes[:-1]:
            units = _at(spectrum, axis, slice(1, None))
            units[...] = np.asarray(fft.ifft(units, axis=axis))
        units = np.asarray(fft.irfft(spectrum[..., 1:], n=self.size - 1, axis=-1))
        mixed = np.concatenate([spectrum[..., :1].real, units], axis=-1)
        for axis in self.axes:
            _at(mixed, axis, slice(0, 1))[...] -= _at(mixed, axis, slice(1, None)).sum(axis=axis, keepdims=True)
        return mixed.reshape(len(mixed), -1).take(self._back, axis=1).reshape(mixed.shape)

    # Operations

    def mapped(self, measure: Measure, table: IntArray, size: int) -> Measure:
        """What a function of one argument, by its table, makes of a measure; its values are 0 .. size-1."""
        if size == self.size and len(np.unique(table)) == size:
            back = np.argsort(table)
            for axis in self.axes:
                measure = measure.take(back, axis=axis)
            return measure
        order = np.argsort(table, kind="stable")
        values, starts = np.unique(table[order], return_index=True)
        for axis in self.axes:
            sums = np.add.reduceat(measure.take(order, axis=axis), starts, axis=axis)
            measure = np.zeros((*sums.shape[:axis], size, *sums.shape[axis + 1 :]))
            measure[(slice(None),) * axis + (values,)] = sums
        return measure

    def largest(self, measure: Measure) -> Measure:
        """The convolution of a measure with itself under max."""
        for axis in self.axes:
            measure = measure.cumsum(axis=axis)
        measure = measure * measure
        for axis in self.axes:
            measure = np.diff(measure, axis=axis, prepend=0.0)
        return measure

    def smallest(self, measure: Measure) -> Measure:
        """The convolution of a measure with itself under min."""
        return np.flip(self.largest(np.flip(measure, self.axes)), self.axes)

    def equal(self, measure: Measure) -> Measure:
        """The measure, shape (batch, 2, .., 2), of where two draws are equal."""
        spectrum = self.additive(measure)
        differences = self.from_additive((spectrum.real**2 + spectrum.imag**2).astype(np.complex128))
        return self.mapped(differences, (np.arange(self.size) == 0).astype(np.int64), 2)

    def less(self, measure: Measure) -> Measure:
        """The measure, shape (batch, 2, .., 2), of where the first of two draws is the smaller."""
        result = np.empty((len(measure), *(2,) * self.points))
        for chosen in product((0, 1), repeat=self.points):  # less at least at the chosen points ...
            axes = [axis for axis, inside in zip(self.axes, chosen, strict=True) if inside]
            marginal = self._marginal(measure, chosen)
            below = marginal
            for axis in axes:
                below = below.cumsum(axis=axis) - below
            result[(slice(None), *chosen)] = (marginal * below).sum(axis=self.axes)
        for axis in self.axes:  # ... and at those alone
            _at(result, axis, slice(0, 1))[...] -= _at(result, axis, slice(1, 2))
        return result

    def chosen(self, condition: Measure, measure: Measure) -> Measure:
        """What a choice between two draws makes by a condition's measure, shape (batch, 2, .., 2)."""
        result = np.zeros_like(measure)
        for holds in product((0, 1), repeat=self.points):
            weight = condition[(slice(None), *holds)].reshape(-1, *(1,) * self.points)
            then = self._marginal(measure, holds)
            otherwise = self._marginal(measure, tuple(1 - x for x in holds))
            result += weight * then * otherwise
        return result

    def _marginal(self, measure: Measure, kept: tuple[int, ...]) -> Measure:
        dropped = tuple(axis for axis, inside in zip(self.axes, kept, strict=True) if not inside)
        return measure.sum(axis=dropped, keepdims=True) if dropped else measure


def settle(known: Spectrum, plain: float, inverted: float, guess: Spectrum) -> Spectrum:
    """Substitutions towards m = known + plain m² + inverted |m|², frequency by frequency.

    A real measure's convolution with itself has the spectrum m², that of x op y' with y' the inverse of a draw |m|².
    """
    for _ in range(_SETTLING):
        result = guess * guess
        result *= plain
        if inverted:
            result += inverted * (guess.real**2 + guess.imag**2)
        result += known
        guess = result
    return guess


def _at(array: npt.NDArray[Any], axis: int, where: slice) -> npt.NDArray[Any]:
    return array[(slice(None),) * axis + (where,)]


def _powers(p: int) -> list[int]:
    """The powers of the least primitive root modulo a prime, from the zeroth to the last before they repeat."""
    for root in range(1, p):
        powers = [1]
        while (following := powers[-1] * root % p) != 1:
            powers.append(following)
        if len(powers) == p - 1:
            return powers
    raise ValueError(f"Measures: no primitive root modulo {p}")
