"""The classes of a law as a product of cyclic groups: its characters, and functions of a difference of classes.

A law phi(c) = f(a) + g(b) in a character basis has one cyclic group, and a frequency is a number. A product law has one
for each factor that adds, and for each cyclic factor of the units modulo one that multiplies; a frequency is then a
number for each. There only units have classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod

import numpy as np
import numpy.typing as npt

from nets.dual import Dual
from synth.carrier import IntArray
from synth.laws import Law
from synth.products import ProductLaw

Array = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]


@dataclass(frozen=True, eq=False)
class Cycles:
    """Z_n1 x Z_n2 x .., its elements numbered with the last factor's changing fastest.

    Attributes:
        orders: n1, n2, ..
        decode: shape (size,): the carrier's element of each class.
        tables: one for each input, shape (factors, m): exponents, negative for elements without a class.
    """

    orders: tuple[int, ...]
    decode: IntArray
    tables: tuple[IntArray, ...]

    @classmethod
    def of(cls, law: Law | ProductLaw) -> Cycles:
        """The cycles of a law."""
        if not isinstance(law, ProductLaw):
            return cls((law.order,), law.decode, tuple(table[None] for table in law.tables))
        m, turns = law.carrier.modulus, Dual(law).turns
        units = [
            np.gcd(np.arange(part.modulus), part.modulus if part.operation == "*" else 1) == 1 for part in law.parts
        ]

        def exponents(entries: list[IntArray]) -> IntArray:
            """Of residues by part, each of shape (n,): shape (factors, n)."""
            usual = np.all([(x >= 0) & unit[x] for x, unit in zip(entries, units, strict=True)], axis=0)
            found = [np.where(usual, logs[np.maximum(entries[i], 0)], -1) for i, _, logs in turns]
            return np.stack(found) if found else np.zeros((0, len(usual)), dtype=np.int64)

        orders = tuple(order for _, order, _ in turns)
        classes = exponents([(np.arange(m) - law.offset) % part.modulus for part in law.parts])
        known = np.flatnonzero((classes >= 0).all(axis=0))
        decode = known[: prod(orders)].astype(np.int64)
        if orders:
            decode[np.ravel_multi_index(tuple(classes[:, known]), orders)] = known
        inputs = zip(*(part.tables for part in law.parts), strict=True)
        return cls(orders, decode, tuple(exponents(list(entries)) for entries in inputs))

    @property
    def size(self) -> int:
        return prod(self.orders)

    @cached_property
    def keys(self) -> IntArray:
        """The frequencies that differ as real functions, the constant apart, shape (K, factors)."""
        every = product(*(range(n) for n in self.orders))
        found = [k for k in every if any(k) and k <= tuple(-x % n for x, n in zip(k, self.orders, strict=True))]
        return np.array(found, dtype=np.int64).reshape(len(found), len(self.orders))

    @cached_property
    def weights(self) -> Array:
        """How many of a frequency and its conjugate there are: 2, or 1 for one that is its own; shape (K,)."""
        return np.where(np.all(2 * self.keys % np.array(self.orders, dtype=np.int64) == 0, axis=1), 1.0, 2.0)

    @cached_property
    def turns(self) -> Complex:
        """exp(2 pi i k x / n) of each class and frequency, shape (size, K)."""
        elements = np.stack(np.unravel_index(np.arange(self.size), self.orders), axis=1)
        if len(self.orders) == 1:  # exact where it counts most
            return np.exp(2j * np.pi / self.size * (elements * self.keys[:, 0] % self.size))
        angle: Array = (elements / np.array(self.orders)) @ self.keys.T
        return np.exp(2j * np.pi * (angle % 1.0))

    def entries(self, cells: IntArray) -> tuple[IntArray, npt.NDArray[np.bool_]]:
        """The inputs' exponents at cells (n, arity), shape (arity, factors, n), and which cells have all of them."""
        found = np.stack([table[:, cells[:, j]] for j, table in enumerate(self.tables)])
        return found, np.all(found >= 0, axis=(0, 1)).reshape(-1)

    def number(self, exponents: IntArray) -> IntArray:
        """The class of exponents of shape (factors, n), any integers; shape (n,)."""
        reduced = tuple(x % n for x, n in zip(exponents, self.orders, strict=True))
        return np.asarray(np.ravel_multi_index(reduced, self.orders), dtype=np.int64)

    def spectrum(self, functions: npt.NDArray[np.floating]) -> Complex:
        """sum_x f(x) exp(-2 pi i k x / n) of functions (.., size) for each frequency, shape (.., K)."""
        if len(self.orders) == 1:
            return np.fft.rfft(functions, axis=-1)[..., 1:]
        return functions.astype(np.complex128) @ np.conj(self.turns)

    def function(self, spectrum: Complex) -> Array:
        """The function of mean 0 that has this spectrum (K,), shape (size,)."""
        if len(self.orders) == 1:
            return np.fft.irfft(np.concatenate([[0], spectrum]), n=self.size)
        return (self.turns @ (self.weights * spectrum)).real / self.size

    def aligned(self, rows: npt.NDArray[np.floating], total: IntArray) -> npt.NDArray[np.floating]:
        """Rows over classes (n, size) as rows over s = class - total."""
        if len(self.orders) > 1:
            return np.take_along_axis(rows, self._sums[total], axis=1)
        doubled = np.concatenate([rows, rows], axis=1)
        return np.lib.stride_tricks.sliding_window_view(doubled, self.size, axis=1)[np.arange(len(rows)), total]

    def moved(self, function: Array, total: IntArray) -> Array:
        """A function of s = class - total as rows over classes, shape (n, size)."""
        if len(self.orders) > 1:
            return function[self._differences[total]]
        windows = np.lib.stride_tricks.sliding_window_view(np.concatenate([function, function]), self.size)
        return windows[-total % self.size]

    @cached_property
    def _sums(self) -> IntArray:
        """The class of t + s, shape (size, size)."""
        return self._table(1)

    @cached_property
    def _differences(self) -> IntArray:
        """The class of c - t, by t and c."""
        return self._table(-1)

    def _table(self, sign: int) -> IntArray:
        x = np.stack(np.unravel_index(np.arange(self.size), self.orders))
        both = (x[:, None, :] + sign * x[:, :, None]).reshape(len(x), -1)
        return self.number(both).reshape(self.size, self.size)
