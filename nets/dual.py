"""The characters of a product law: what a frequency is to a law of one cyclic group, for sums and products of several.

The symmetries of f(a) + g(b) modulo q are the shifts, those of f(a) * g(b) the units. Together they are an abelian
group that moves a law's combination and its answer alike; a key is one of its characters. Residues fall into orbits (a
product's by the multiples of p that they are), on each of which a key is a wave, or nothing where the orbit is too
short for it. The waves of the trivial character tell orbits apart, and belong to no key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
import numpy.typing as npt

from nets.models import FloatArray
from synth.carrier import IntArray
from synth.factored import cycles
from synth.laws import NO_ANSWER
from synth.products import ProductLaw, idempotent, prime_of

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Dual:
    """The characters of a product law's symmetries.

    Attributes:
        law: whose residues modulo m, by part, the waves are functions of.
    """

    law: ProductLaw

    @cached_property
    def turns(self) -> list[tuple[int, int, IntArray]]:
        """The cyclic factors: their part, order, and each residue's exponent modulo the part's q, shape (q,)."""
        found: list[tuple[int, int, IntArray]] = []
        for i, part in enumerate(self.law.parts):
            q = part.modulus
            if part.operation == "+":
                found.append((i, q, np.arange(q)))
            else:
                found.extend((i, order, _along(q, logs)) for _, order, logs in cycles(q))
        return found

    @cached_property
    def keys(self) -> list[tuple[int, ...]]:
        """The characters that differ as real functions, the trivial one apart: a frequency for each cyclic factor."""
        orders = [order for _, order, _ in self.turns]
        every = product(*(range(order) for order in orders))
        return [k for k in every if any(k) and k <= tuple(-x % n for x, n in zip(k, orders, strict=True))]

    @cached_property
    def orbits(self) -> IntArray:
        """The orbit of each residue modulo m, shape (m,)."""
        m = self.law.carrier.modulus
        code = np.zeros(m, dtype=np.int64)
        for part in self.law.parts:
            of_residue = np.zeros(part.modulus, dtype=np.int64) if part.operation == "+" else _valuations(part.modulus)
            code = code * (part.modulus + 1) + of_residue[np.arange(m) % part.modulus]
        return np.unique(code, return_inverse=True)[1].astype(np.int64)

    def constants(self, residues: IntArray) -> Matrix:
        """An indicator for each orbit, and for each row without a residue (negative) by itself; shape (n, columns)."""
        orbit = np.where(residues >= 0, self.orbits[residues], -1)
        alone = np.eye(len(residues))[np.flatnonzero(residues < 0)]
        return np.concatenate([np.unique(orbit[orbit >= 0]) == orbit[:, None], alone.T], axis=1).astype(np.float64)

    def waves(self, residues: IntArray, keys: Sequence[int]) -> Matrix:
        """The keys' (by index) cosines and sines on each orbit that they are waves of, shape (n, columns)."""
        columns = [self._waves[k][residues] * (residues >= 0)[:, None] for k in keys]
        return np.concatenate([np.zeros((len(residues), 0)), *columns], axis=1)

    @cached_property
    def _waves(self) -> list[Matrix]:
        m = self.law.carrier.modulus
        found: list[Matrix] = []
        for key in self.keys:
            angle = np.zeros(m)
            for k, (i, order, logs) in zip(key, self.turns, strict=True):
                angle += 2 * np.pi / order * (k * logs[np.arange(m) % self.law.parts[i].modulus] % order)
            columns: list[npt.NDArray[np.float64]] = []
            for orbit in range(int(self.orbits.max()) + 1):
                on = self.orbits == orbit
                wave = on * np.exp(1j * angle)
                if self._moved(key, on, wave) < 1e-6:
                    columns += [np.real(wave), np.imag(wave)]
            found.append(np.stack(columns, axis=1) if columns else np.zeros((m, 0)))
        return found

    def _moved(self, key: tuple[int, ...], on: npt.NDArray[np.bool_], wave: npt.NDArray[np.complex128]) -> float:
        """How far the function is from being turned by the key under every symmetry; 0 for a wave."""
        m = self.law.carrier.modulus
        worst, start = 0.0, 0
        for part in self.law.parts:
            q = part.modulus
            factors = [(1, q)] if part.operation == "+" else [(g, order) for g, order, _ in cycles(q)]
            residue = np.arange(m) % q
            for generator, order in factors:
                after = (residue + 1) % q if part.operation == "+" else residue * generator % q
                image = (np.arange(m) + (after - residue) * idempotent(m, q)) % m
                turned = wave * np.exp(2j * np.pi * key[start] / order)
                worst = max(worst, float(np.abs(wave[image] - turned)[on].max()))
                start += 1
        return worst

    def name(self, key: int) -> str:
        """A key's frequencies, one for each cyclic factor: "2.1"."""
        return ".".join(map(str, self.keys[key]))

    def profile(self, cells: IntArray, logits: FloatArray) -> tuple[Matrix, float]:
        """The mean centred logit of each answer, less the offset, where the combination is neutral; variance explained.

        Cells whose combination has been moved by a symmetry are averaged together, each answer moved back.

        Returns:
            Shape (m,), and the share of the variance of the centred logits (N, m) that such means explain.
        """
        m = self.law.carrier.modulus
        centred = (logits - logits.mean(axis=1, keepdims=True, dtype=np.float64)).astype(np.float64)
        said = self.law.predict(cells)
        alike = self.law.alike()
        ids = alike[said[said != NO_ANSWER]].ravel()
        count = np.maximum(np.bincount(ids, minlength=m * m), 1)
        sums = np.bincount(ids, centred[said != NO_ANSWER].ravel(), minlength=m * m)
        neutral = self.law.offset + sum(idempotent(m, part.modulus) for part in self.law.parts if part.operation == "*")
        explained = float((sums**2 / count).sum()) / max(float((centred**2).sum()), 1e-30)
        return np.roll((sums / count)[alike[neutral % m]], -self.law.offset), explained


def _valuations(q: int) -> IntArray:
    """How often p divides each residue modulo q = p^k, shape (q,); k for 0."""
    p, found = prime_of(q), np.zeros(q, dtype=np.int64)
    power = p
    while power <= q:
        found[::power] += 1
        power *= p
    return found


def _along(q: int, logs: IntArray) -> IntArray:
    """Each residue's exponent: that of the unit u (the least) which it is p^v times, shape (q,); 0 for 0."""
    p = prime_of(q)
    powers = p ** _valuations(q)
    units = np.arange(q) // powers
    return np.where(units > 0, logs[units], 0)
