"""Contexts: programs with one hole, and what the hole must yield so that the whole agrees with the examples.

Found from the goal downwards in cost order, as a bank is from the leaves upwards, and like there one context is kept
for each residual behaviour, the cheapest. A behaviour that is in the bank and a residual of a context is a program.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from synth.bank import Bank
from synth.carrier import IntArray
from synth.grammar import cheapest
from synth.kernels import Gatherer
from synth.lanes import Keys, Words
from synth.program import Program
from synth.ranking import first_of_each
from synth.solvers import solvers


class Contexts:
    """Contexts whose other arguments are in the bank, the empty one first.

    The newest are raw: some may have equal residuals. They are sorted out when they are needed, as often they are not.

    Attributes:
        deepest: bits up to which contexts were made, of what the bank had then.
        keys, bits: of the residuals of contexts that are sorted out, and the contexts' own bits, ascending.
        raw_keys, raw_bits: of those that are not, in no order.
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
        self._solver: npt.NDArray[np.int16] = np.full(1, -1, dtype=np.int16)
        self._parent: npt.NDArray[np.int32] = np.full(1, -1, dtype=np.int32)
        self._other: npt.NDArray[np.int32] = np.full(1, -1, dtype=np.int32)
        self._offsets: IntArray = np.array([0, 1])
        self._raw: _Raw | None = None

    @property
    def raw_keys(self) -> Keys:
        return self.keys[:0] if self._raw is None else self._raw.keys

    @property
    def raw_bits(self) -> IntArray:
        return self.bits[:0] if self._raw is None else self._raw.bits

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
        parts: list[Words] = []
        bits: list[IntArray] = []
        parents: list[IntArray] = []
        others: list[IntArray] = []
        numbers: list[int] = []
        group = (0, 0)
        parent = other = cost = self.bits[:0]
        for number, solver in enumerate(self.solvers):  # those of equal arity and bits come together
            if group != (solver.rule.arity, solver.rule.bits):
                group = (solver.rule.arity, solver.rule.bits)
                parent, other, cost = self._pairs(*group, low, high)
                gatherer.at([parent, other])
            if not len(parent):
                continue
            sides = ((0, "parent"), (1, "other"))[: solver.rule.arity]
            answer = solver.kernel.apply(
                *(gatherer.take(*side, fill) for side, fill in zip(sides, solver.kernel.prepare, strict=True))
            )
            self.evaluated += len(parent)
            kept = [parent, other, cost]
            if solver.check is not None:
                good = solver.check(answer, *(gatherer.take(*side, None) for side in sides))
                if not good.all():
                    answer, kept = answer.compress(good, axis=1), [x[good] for x in kept]
            parts.append(answer)
            parents.append(kept[0])
            others.append(kept[1])
            bits.append(kept[2])
            numbers.append(number)
        self.deepest = high
        if not parts:
            self._offsets = np.append(self._offsets, np.full(high - low + 1, len(self.keys)))
            return
        words = np.concatenate(parts, axis=1)
        solver_numbers = np.repeat(np.array(numbers), [len(x) for x in bits])
        made = (solver_numbers, np.concatenate(parents), np.concatenate(others))
        self._raw = _Raw(words, self.bank.lanes.keys(words), np.concatenate(bits), made)

    def sort_out(self) -> None:
        """Of raw contexts with equal residuals keep the cheapest."""
        if self._raw is None:
            return
        raw, self._raw = self._raw, None
        new = first_of_each(self.keys, raw.keys, raw.bits)
        self._words = np.concatenate([self._words, raw.words.take(new, axis=1)], axis=1)
        self.keys = np.concatenate([self.keys, raw.keys[new]])
        self.bits = np.concatenate([self.bits, raw.bits[new]])
        solver, parent, other = (x[new] for x in raw.made)
        self._solver = np.concatenate([self._solver, solver.astype(np.int16)])
        self._parent = np.concatenate([self._parent, parent.astype(np.int32)])
        self._other = np.concatenate([self._other, other.astype(np.int32)])
        self._offsets = np.searchsorted(self.bits, np.arange(self.deepest + 2))

    def _pairs(self, arity: int, bits: int, low: int, high: int) -> tuple[IntArray, IntArray, IntArray]:
        """Parents and other arguments whose contexts have ``low`` to ``high`` bits, and those bits."""
        if arity == 1:
            start, stop = self._offsets.take([low - bits, high - bits + 1], mode="clip").tolist()
            parent = np.arange(start, stop)
            return parent, parent, self.bits[parent] + bits
        shelf = self.bank.shelves["value"]
        stop = int(self._offsets.take(max(0, high + 1 - bits), mode="clip"))
        around = self.bits[:stop] + bits
        lower = shelf.places.take(low - around, mode="clip")
        upper = np.minimum(shelf.places.take((high + 1) - around, mode="clip"), shelf.held)
        counts = np.maximum(upper - lower, 0)
        parent = np.repeat(np.arange(len(counts)), counts)
        other = np.arange(len(parent)) + (lower + counts - np.cumsum(counts))[parent]
        return parent, other, around[parent] + shelf.bits[other]

    def program(self, index: int, filler: Program) -> Program:
        """The context of that index with a program in its hole."""
        while index > 0:
            filler = self._around(filler, *(int(x[index]) for x in (self._solver, self._other)))
            index = int(self._parent[index])
        return filler

    def raw_program(self, index: int, filler: Program) -> Program:
        """The raw context of that index with a program in its hole."""
        assert self._raw is not None
        solver, parent, other = (int(x[index]) for x in self._raw.made)
        return self.program(parent, self._around(filler, solver, other))

    def _around(self, filler: Program, number: int, other: int) -> Program:
        solver = self.solvers[number]
        arguments = [filler]
        if solver.rule.arity == 2:
            arguments.insert(1 - solver.hole, self.bank.program(other))
        if solver.rule.commutes:  # as a bank has them: the cheaper first
            arguments.sort(key=lambda x: (x.bits, str(x)))
        return Program(solver.rule, tuple(arguments))


@dataclass(frozen=True, eq=False)
class _Raw:
    """Contexts as computed: residuals' words and keys, bits, and what made them (solver, parent, other argument)."""

    words: Words
    keys: Keys
    bits: IntArray
    made: tuple[IntArray, IntArray, IntArray]
