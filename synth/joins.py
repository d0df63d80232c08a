"""Joins: the programs of one production more than ``Derivations`` counts, found from the labels by inverses.

Such a program is a production over behaviours whose bits, with its own, exceed ``deepest``: up to twice as deep. There
are far too many to make. But those that agree with labels are few, and each is found from one of its arguments by one
look-up of what the other must be: their mass is the sum over y of W(y) W(partner of y). Productions of one argument are
simply applied. Productions without inverses (conditionals, min and max) have no joins.

A pair that an inverse does not see (x * 0 = 0 says nothing of x) is left out, at these labels and at every longer list
of them, so that masses of longer prefixes never sum to more than that of a shorter one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from synth.behaviours import Masses
from synth.carrier import IntArray
from synth.derivations import Derivations
from synth.kernels import kernels
from synth.lanes import Keys, Lanes, Words
from synth.program import Production
from synth.ranking import SPREAD, Directory
from synth.solvers import Solver, solvers

_SHIFT = 1 << 12  # more than the bits of any behaviour
_CHUNK = 1 << 16  # behaviours whose partners are looked up at a time
_LARGE = 4  # behaviours in a group, on average, from which a binary search is quicker


@dataclass(frozen=True, eq=False)
class Pairs:
    """Programs of one production over behaviours.

    Attributes:
        rule: the production.
        arguments: behaviours' indices, shape (arity, count).
        masses: shape (count,).
    """

    rule: Production
    arguments: IntArray
    masses: Masses


class Joins:
    """What lies one production beyond derivations."""

    def __init__(self, derivations: Derivations) -> None:
        self.derivations = derivations
        language, carrier = derivations.language, derivations.carrier
        self._solvers: list[Solver] = []
        self._unary: list[Production] = []
        if not language.integers:
            first: dict[str, Solver] = {}
            for x in solvers(language, carrier):
                if x.rule.arity == 2:
                    first.setdefault(x.rule.name, x)
            self._solvers = list(first.values())
            self._unary = [x for x in language.of_sort("value") if x.arguments == ("value",)]

    def __len__(self) -> int:
        """How many programs there are, about."""
        return len(self._solvers) * len(self.derivations) ** 2

    @property
    def total(self) -> float:
        """The mass of all of them, whatever the labels."""
        whole = self.derivations.total
        binary = sum(2.0**-x.rule.bits * whole**2 - self.derivations.within(x.rule.name) for x in self._solvers)
        unary = sum(2.0**-x.bits * whole - self.derivations.within(x.name) for x in self._unary)
        return max(0.0, binary + unary)

    def mass(self, values: IntArray, labels: IntArray) -> float:
        """The mass of those that have the given labels; see ``look_up``."""
        return self.look_up(values, labels, 0)[0]

    def look_up(self, values: IntArray, labels: IntArray, most: int) -> tuple[float, list[Pairs] | None]:
        """The mass of those that have the given labels, shape (t,), t at least 1; and all of them, by production.

        None instead where they are more than ``most``.

        Args:
            values: of all behaviours at the labels' inputs, shape (behaviours, t).
        """
        prefix = _Prefix(self.derivations, values, labels)
        found = list(self._applied(prefix))
        total, count = sum(float(x.masses.sum()) for x in found), sum(len(x.masses) for x in found)
        for solver in self._solvers:
            for others, weights, low, high in self._partners(solver, prefix):
                total += float((weights * (prefix.sums[high] - prefix.sums[low])).sum())
                counts = high - low
                count += int(counts.sum())
                if count > most:
                    continue
                row = np.arange(len(counts)).repeat(counts)
                partner = prefix.order[np.arange(len(row)) + (low - counts.cumsum() + counts)[row]]
                sides = (partner, others[row]) if solver.hole == 0 else (others[row], partner)
                masses = weights[row] * self.derivations.behaviours["value"].masses[partner]
                found.append(Pairs(solver.rule, np.array(sides), masses))
        return total, found if count <= most else None

    def _applied(self, prefix: _Prefix) -> Iterator[Pairs]:
        """Productions of one argument."""
        found = self.derivations.behaviours["value"]
        for rule in self._unary:
            beyond = found.offsets[max(0, min(self.derivations.deepest - rule.bits, self.derivations.deepest) + 1)]
            made = kernels(self.derivations.carrier).of(rule)(prefix.words[:, beyond:])
            hits = beyond + np.flatnonzero((made == prefix.target).all(axis=0))
            yield Pairs(rule, hits[None], 2.0**-rule.bits * found.masses[hits])

    def _partners(self, solver: Solver, prefix: _Prefix) -> Iterator[tuple[IntArray, Masses, IntArray, IntArray]]:
        """Behaviours with partners: their indices, their masses with the production's, and the partners' ranges."""
        found = self.derivations.behaviours["value"]
        left = self.derivations.deepest - solver.rule.bits
        for start in range(0, len(found), _CHUNK):
            other = prefix.words[:, start : start + _CHUNK]
            target = np.broadcast_to(prefix.target, other.shape)
            answer = solver.kernel(target, other)
            here, group = prefix.groups_of(answer)
            if solver.check is not None:
                good = np.flatnonzero(solver.check(answer[:, here], target[:, here], other[:, here]))
                here, group = here[good], group[good]
            if not len(here):
                continue
            bits = np.clip(left - found.bits[start + here] + 1, 0, _SHIFT)
            low, high = prefix.first_of(group, bits), prefix.ends[group]
            kept = np.flatnonzero(high > low)
            here, low, high = here[kept], low[kept], high[kept]
            weights = 2.0**-solver.rule.bits * found.masses[start + here]
            if solver.rule.commutes and solver.check is not None:
                # A pair that is seen from one side alone stands for both orders.
                answer, other, target = answer[:, here], other[:, here], target[:, here]
                back = solver.kernel(target, answer)
                both = (back == other).all(axis=0) & solver.check(back, target, answer)
                weights = np.where(both, weights, 2 * weights)
            yield start + here, weights, low, high


class _Prefix:
    """Behaviours at the labels' inputs, grouped by their values there, and in each group by bits.

    Attributes:
        words, target: the behaviours' values and the labels, packed.
        order: behaviours' indices, by group and bits; ``sums`` are the masses before each.
        ends: where each group ends in that order.
    """

    def __init__(self, derivations: Derivations, values: IntArray, labels: IntArray) -> None:
        found = derivations.behaviours["value"]
        self._lanes = Lanes(len(labels), derivations.carrier.size)
        self.words: Words = self._lanes.pack(values)
        self.target: Words = self._lanes.pack(np.asarray(labels, dtype=np.int64)[None])
        keys = self._hashed(self.words)
        self.order = np.argsort(keys, kind="stable")  # behaviours come by bits
        keys = keys[self.order]
        heads = np.append(True, keys[1:] != keys[:-1])
        self._starts = np.flatnonzero(heads)
        self._groups = Directory(keys[self._starts])
        self.ends = np.append(self._starts[1:], len(keys))
        self._places = np.append((np.cumsum(heads) - 1) * _SHIFT + found.bits[self.order], np.iinfo(np.int64).max)
        self.sums = np.concatenate([[0.0], np.cumsum(found.masses[self.order])])

    def _hashed(self, words: Words) -> Keys:
        return self._lanes.keys(words) * SPREAD  # odd, so that different ones stay different

    def groups_of(self, words: Words) -> tuple[IntArray, IntArray]:
        """Which of some values are a group's, and whose."""
        return self._groups.find(self._hashed(words))

    def first_of(self, groups: IntArray, bits: IntArray) -> IntArray:
        """Where in the order those of a group begin that have so many bits or more."""
        wanted = groups * _SHIFT + bits
        if _LARGE * len(self._starts) < len(self.order):
            return np.searchsorted(self._places, wanted)
        at = self._starts[groups]  # of a few each: a step or two from the first of them
        before = np.flatnonzero(self._places[at] < wanted)
        while len(before):
            at[before] += 1
            before = before[self._places[at[before]] < wanted[before]]
        return at
