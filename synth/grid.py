"""Scores of the cells of two inputs as one table of spectra, for phase correlation (spectral.py).

What ``Scores`` does with lists of cells are here products of matrices, one for each frequency: some six times faster,
where the table is not too large and not nearly empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from synth.carrier import IntArray
from synth.evidence import LEAST_CELLS, FloatArray, analysis, spectra_of, symmetric, synthesis
from synth.laws import UNKNOWN
from synth.spanning import spanning_tree

Spectra = npt.NDArray[np.complex64]
_MAX_SIZE = 256  # elements, beyond which pairs of them are too many to correlate
_MAX_ENTRIES = 1 << 23  # size x size x order
_LEAST_FULL = 0.1  # of the table, below which lists of cells are quicker
_MAX_SWEEPS = 12


@dataclass(frozen=True, eq=False)
class Grid:
    """Attributes:
    spectra: Fourier coefficients of the scores at frequencies 1 .. order // 2, shape (k, size, size); 0 where no cell
        is. How much evidence a cell has (frequency 0) says nothing about its class.
    there: 1 where a cell is, shape (size, size).
    order: the number of classes.
    weights: of the frequencies in correlations, shape (k,), or None.
    """

    spectra: Spectra
    there: npt.NDArray[np.float32]
    order: int
    weights: FloatArray | None

    @classmethod
    def of(cls, cells: IntArray, scores: FloatArray, size: int, weights: FloatArray | None = None) -> Grid | None:
        """Scores of shape (N, order) at cells of shape (N, 2); None where a list of cells is better or needed.

        Args:
            cells: each at most once.
            size: the number of values of an input.
            weights: shape (order // 2 + 1,), a weight for each frequency of correlations.
        """
        order = scores.shape[1]
        if cells.shape[1] != 2 or order < 2 or size > _MAX_SIZE or size * size * order > _MAX_ENTRIES:
            return None
        if len(cells) < _LEAST_FULL * size * size:
            return None
        place = cells[:, 0] * size + cells[:, 1]
        if int(np.bincount(place).max()) > 1:
            return None
        spectra: Spectra = np.zeros((order // 2, size * size), dtype=np.complex64)
        spectra[:, place] = spectra_of(scores)[:, 1:].T
        there = np.zeros(size * size, dtype=np.float32)
        there[place] = 1.0
        table = (size, size)
        return cls(spectra.reshape(-1, *table), there.reshape(table), order, None if weights is None else weights[1:])

    def energy(self) -> float:
        """The sum of squares of all Fourier coefficients."""
        return float(np.vdot(self.spectra, self.spectra).real)

    def means(self, j: int) -> FloatArray:
        """The sums of the scores of input j's elements, shape (elements that have cells, order)."""
        sums = self.spectra.sum(axis=2 - j)
        return self._scores(sums[:, self.there.any(axis=1 - j)])

    def interaction(self) -> Grid:
        """The scores less what depends on one input alone (two sweeps over the inputs' means).

        A law's own scores average out over a row, so that they lose next to nothing; inputs that have few cells to an
        element are left alone, as their means would be the cells themselves.
        """
        counts = [self.there.sum(axis=1 - j) for j in range(2)]
        shares = [np.where(x > 1, 1 / np.maximum(x, 1), 0).astype(np.float32) for x in counts]
        thick = [j for j in range(2) if self.there.sum() >= LEAST_CELLS * int((counts[j] > 0).sum())]
        sums = [self.spectra.sum(axis=2 - j) for j in range(2)]
        taken: list[Spectra] = [np.zeros_like(sums[0]) for _ in range(2)]  # off each element's cells, shape (k, size)
        for j in thick * 2:
            others = taken[1 - j] @ (self.there.T if j == 0 else self.there)
            taken[j] = taken[j] + (sums[j] - others - taken[j] * counts[j]) * shares[j]
        if not thick:
            return self
        rest = self.spectra - taken[0][:, :, None]
        rest -= taken[1][:, None, :]
        rest *= self.there
        return replace(self, spectra=rest)

    def tables(self) -> tuple[IntArray, ...]:
        """The two inputs' tables, shape (size,) each: classes, or UNKNOWN."""
        tables = [self._first(), np.full(len(self.there), UNKNOWN, dtype=np.int64)]
        votes, seen = self._votes(1, tables)
        tables[1] = np.where(seen, self._scores(votes).argmax(axis=1), UNKNOWN)
        settled = 0
        for step in range(2 * _MAX_SWEEPS):
            j = step % 2
            table = self._refined(j, tables)
            settled = settled + 1 if np.array_equal(table, tables[j]) else 0
            tables[j] = table
            if settled >= 2:
                break
        profile = self._profile(tables)  # what the filter of the refinement leaves open: the class at its peak
        peak = int(self._scores((profile * np.abs(profile) ** 2)[:, None]).argmax())  # squared: noise is faint
        tables[0] = np.where(tables[0] >= 0, (tables[0] + peak) % self.order, tables[0])
        return tuple(tables)

    def coherence(self, tables: Sequence[IntArray]) -> float:
        """The share of the energy that is one profile of the distance from what the tables say."""
        together = self._profile(tables)
        count = float((tables[0] >= 0) @ self.there @ (tables[1] >= 0))
        return float(np.vdot(together, together).real) / max(count * self.energy(), 1e-30)

    def _profile(self, tables: Sequence[IntArray]) -> Spectra:
        """The summed scores by distance from what the tables say, shape (k,)."""
        return (self._votes(0, tables)[0] * self._waves(tables[0])).sum(axis=1)

    def _first(self) -> IntArray:
        """The first input's table by a spanning tree over its rows."""
        size = len(self.there)
        product = np.conj(self.spectra) @ self.spectra.transpose(0, 2, 1)  # [k, a, a'], summed over the columns
        if self.weights is not None:
            product *= np.asarray(self.weights, dtype=np.float32)[:, None, None]
        first, second = np.triu_indices(size, 1)
        correlation = self._scores(product.reshape(len(product), -1)[:, first * size + second])
        peak = correlation.argmax(axis=1)
        weight = np.take_along_axis(correlation, peak[:, None], axis=1)[:, 0].astype(np.float64)
        weight[weight <= 1e-6 * weight.max(initial=0.0)] = 0.0  # rounding is not evidence
        pairs = symmetric(size, self.order, peak, weight)
        return spanning_tree(*pairs, self.there.sum(axis=1).astype(np.int64), self.order)

    def _refined(self, j: int, tables: Sequence[IntArray]) -> IntArray:
        """Input j's table by the vote of all cells whose other input is known.

        Votes go through a matched filter, the mean profile of all other elements' votes, each moved to its present
        class. For scores that are one profile of (s - f - g) under white noise, the highest is the likeliest class.
        """
        votes, seen = self._votes(j, tables)
        present = tables[j]
        if (fresh := seen & (present < 0)).any():
            present = np.where(fresh, self._scores(votes).argmax(axis=1), present)
        aligned = votes * self._waves(present)
        filtered = votes * np.conj(aligned.sum(axis=1, keepdims=True) - aligned)
        return np.where(seen, self._scores(filtered).argmax(axis=1), tables[j])

    def _votes(self, j: int, tables: Sequence[IntArray]) -> tuple[Spectra, npt.NDArray[np.bool_]]:
        """The sums over input j's cells, each moved by the other's class, shape (k, size); and who has any."""
        other = tables[1 - j]
        spectra, there = (self.spectra, self.there) if j == 0 else (self.spectra.transpose(0, 2, 1), self.there.T)
        return (spectra @ self._waves(other)[:, :, None])[:, :, 0], there @ (other >= 0) > 0

    def _waves(self, table: IntArray) -> Spectra:
        """What moves an element's scores by its class, shape (k, size); 0 where that is unknown."""
        waves = np.conj(analysis(self.order).view(np.complex64)[:, 1:])[table % self.order]
        return (waves * (table >= 0)[:, None]).T

    def _scores(self, spectra: Spectra) -> npt.NDArray[np.float32]:
        """Scores, shape (n, order), of spectra of shape (k, n)."""
        return np.ascontiguousarray(spectra.T).view(np.float32) @ synthesis(self.order)[2:]
