"""Contexts: programs with one hole, and what the hole must yield so that the whole agrees with the examples.

Found from the goal downwards in cost order, as a bank is from the leaves upwards, and like there one context is kept
for each residual behaviour, the cheapest. A behaviour that is in the bank and a residual of a context is a program.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from synth.bank import Bank
from synth.carrier import IntArray
from synth.grammar import cheapest
from synth.kernels import Gatherer
from synth.lanes import Keys, Words
from synth.program import Program
from synth.ranking import first_of_each
from synth.solvers import solvers

_SIDES = ((0, "parent"), (1, "other"))
_NO_KEY = np.uint64(1)


class Contexts:
    """Contexts whose other arguments are in the bank, the empty one first.

    The newest are raw: some may have equal residuals. They are sorted out when they are needed, as often they are not.

    Attributes:
        deepest: bits up to which contexts were made, of what the bank had then.
        keys, bits: of the residuals of contexts that are sorted out, and the contexts' own bits, ascending.
        raw_keys: of those that are not, in no order; odd where there is no residual.
        evaluated: how many residuals were computed.
        stride: how many bits a context has at least more than the one around it.
    """

    def __init__(self, bank: Bank, target: Words) -> None:
        self.bank = bank
        self.solvers = solvers(bank.language, bank.carrier)
        least = int(cheapest(bank.language)["value"])
        self.stride = min((x.rule.bits + least * (x.rule.arity - 1) for x in self.solvers), default=1)
        self.deepest = 0
        self.evaluated = 0
        self._words = target
        self.keys: Keys = bank.lanes.keys(target)
        self.bits: IntArray = np.zeros(1, dtype=np.int64)
        self.raw_keys: Keys = self.keys[:0]
        self._raw: list[_Part] = []
        self._empty: IntArray = np.empty(0, dtype=np.int64)
        self._solver: IntArray = np.full(1, -1)
        self._parent: IntArray = np.full(1, -1)
        self._other: IntArray = np.full(1, -1)
        self._offsets: IntArray = np.array([0, 1])
        self._solver_bits: IntArray = np.array([x.rule.bits for x in self.solvers], dtype=np.int64)
        self._families = np.array([*(x.family for x in self.solvers), "root"])

    def work(self, high: int) -> float:
        """How many residuals it takes to get to ``high`` bits, with what the bank has."""
        self.sort_out()
        counts = np.diff(self._offsets).astype(np.float64)
        pairs = np.convolve(counts, self.bank.shelves["value"].counts())
        total = 0.0
        for x in self.solvers:
            source = counts if x.rule.arity == 1 else pairs
            total += float(source[max(self.deepest + 1 - x.rule.bits, 0) : max(high + 1 - x.rule.bits, 0)].sum())
        return total

    def extend(self, high: int) -> None:
        """Make the contexts of more than ``deepest`` and at most ``high`` bits; at most ``stride`` bits further."""
        self.sort_out()
        low = self.deepest + 1
        assert high < low + self.stride
        shelf = self.bank.shelves["value"]
        gatherer = Gatherer({"parent": self._words, "other": shelf.words})
        parts: list[_Part] = []
        group: tuple[int, int, str] | None = None
        parent = other = self._empty
        for number, solver in enumerate(self.solvers):  # those of one group come together
            if group != (group := (solver.rule.arity, solver.rule.bits, solver.family)):
                parent, other = self._pairs(*group, low, high)
                gatherer.at([parent, other])
            if not len(parent):
                continue
            sides = _SIDES[: solver.rule.arity]
            answer = solver.kernel.apply(
                *(gatherer.take(*side, fill) for side, fill in zip(sides, solver.kernel.prepare, strict=True))
            )
            keys = self.bank.lanes.keys(answer)
            if solver.check is not None:
                good = solver.check(answer, *(gatherer.take(*side, None) for side in sides))
                keys = np.where(good, keys, _NO_KEY)
            self.evaluated += len(parent)
            parts.append(_Part(number, parent, other, answer, keys))
        self.deepest = high
        self._raw = parts
        self.raw_keys = np.concatenate([x.keys for x in parts]) if parts else self.keys[:0]

    def sort_out(self) -> None:
        """Of raw contexts with equal residuals keep the cheapest."""
        parts, self._raw = self._raw, []
        if parts:
            sizes = [len(x.keys) for x in parts]
            solver = np.repeat(np.array([x.solver for x in parts]), sizes)
            parent = np.concatenate([x.parent for x in parts])
            other = np.concatenate([x.other for x in parts])
            bits = self._bits_of(solver, parent, other)
            known = np.append(self.keys, _NO_KEY)
            new = first_of_each(known, self.raw_keys, bits)
            words = np.concatenate([x.words for x in parts], axis=1)
            self._words = np.concatenate([self._words, words.take(new, axis=1)], axis=1)
            self.keys = np.concatenate([self.keys, self.raw_keys[new]])
            self.bits = np.concatenate([self.bits, bits[new]])
            self._solver = np.concatenate([self._solver, solver[new]])
            self._parent = np.concatenate([self._parent, parent[new]])
            self._other = np.concatenate([self._other, other[new]])
            self.raw_keys = self.keys[:0]
        if len(self._offsets) < self.deepest + 2:
            self._offsets = np.searchsorted(self.bits, np.arange(self.deepest + 2))

    def _bits_of(self, solver: IntArray | int, parent: IntArray, other: IntArray) -> IntArray:
        """The bits of contexts, from what makes them."""
        beside = np.where(other >= 0, self.bank.shelves["value"].bits[other], 0)
        return self._solver_bits[solver] + self.bits[parent] + beside

    def _pairs(self, arity: int, bits: int, family: str, low: int, high: int) -> tuple[IntArray, IntArray]:
        """Parents and other arguments (-1 for none) whose contexts have ``low`` to ``high`` bits."""
        if arity == 1:
            start, stop = self._offsets.take([low - bits, high - bits + 1], mode="clip").tolist()
            return np.arange(start, stop), np.full(stop - start, -1)
        shelf = self.bank.shelves["value"]
        stop = int(self._offsets.take(max(0, high + 1 - bits), mode="clip"))
        around = self.bits[:stop] + bits
        lower = shelf.places.take(low - around, mode="clip")
        upper = np.minimum(shelf.places.take((high + 1) - around, mode="clip"), shelf.held)
        counts = np.maximum(upper - lower, 0)
        if family and high - bits <= self.bank.deepest + self.stride // 2:
            counts[self._families[self._solver[:stop]] == family] = 0  # a dearer argument in the bank does as well
        parent = np.arange(len(counts)).repeat(counts)
        return parent, np.arange(len(parent)) + (lower + counts - counts.cumsum())[parent]

    def program(self, index: int, filler: Program) -> Program:
        """The context of that index with a program in its hole."""
        while index > 0:
            filler = self._around(filler, *(int(x[index]) for x in (self._solver, self._other)))
            index = int(self._parent[index])
        return filler

    def raw_bits(self, indices: IntArray) -> IntArray:
        """The bits of raw contexts."""
        bits = np.zeros(len(indices), dtype=np.int64)
        for part, start, stop in self._spans():
            inside = ((indices >= start) & (indices < stop)).nonzero()[0]
            if len(inside):
                at = indices[inside] - start
                bits[inside] = self._bits_of(part.solver, part.parent[at], part.other[at])
        return bits

    def raw_program(self, index: int, filler: Program) -> Program:
        """The raw context of that index with a program in its hole."""
        for part, start, stop in self._spans():
            if start <= index < stop:
                other = int(part.other[index - start])
                return self.program(int(part.parent[index - start]), self._around(filler, part.solver, other))
        raise IndexError(f"Contexts: no raw context {index}")

    def _spans(self) -> Iterator[tuple[_Part, int, int]]:
        start = 0
        for part in self._raw:
            yield part, start, start + len(part.keys)
            start += len(part.keys)

    def _around(self, filler: Program, number: int, other: int) -> Program:
        solver = self.solvers[number]
        arguments = [filler]
        if solver.rule.arity == 2:
            arguments.insert(1 - solver.hole, self.bank.program(other))
        if solver.rule.commutes:  # as a bank has them: the cheaper first
            arguments.sort(key=lambda x: (x.bits, str(x)))
        return Program(solver.rule, tuple(arguments))


@dataclass(frozen=True, eq=False, slots=True)
class _Part:
    """Contexts that one solver made, as they came: residuals' words and keys, parents and other arguments."""

    solver: int
    parent: IntArray
    other: IntArray
    words: Words
    keys: Keys
