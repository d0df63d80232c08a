"""Contexts: programs with one hole, and what the hole must yield so that the whole agrees with the examples.

Found from the goal downwards in cost order, as a bank is from the leaves upwards, and like there one context is kept
for each residual behaviour, the cheapest. A behaviour that is in the bank and a residual of a context is a program.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from synth.bank import Bank
from synth.carrier import IntArray
from synth.grammar import cheapest
from synth.kernels import Gatherer, Prepare
from synth.lanes import Keys, Words
from synth.program import Program
from synth.ranking import first_of_each
from synth.shelf import Shelf
from synth.solvers import Solver, solvers
from synth.tiles import BLOCK, build_level, tiles

_SIDES = ((0, "parent"), (1, "other"))
_NO_KEY = np.uint64(1)
_NO_KEYS = np.array([1], dtype=np.uint64)


class Contexts:
    """Contexts whose other arguments are in the bank, the empty one first.

    The newest may be raw: some have equal residuals. They are sorted out when they are needed, as often they are not.

    Attributes:
        deepest: bits up to which contexts were made, of what the bank had then.
        shelf: the residuals that are sorted out, by the contexts' own bits. A residual's origin is its solver, and its
            arguments are the context around it and the other argument's index in the bank.
        raw_keys: keys of the residuals that are not, in no order; odd where there is no residual.
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
        self.shelf = Shelf(bank.lanes, 2)
        self.shelf.offsets = [0]
        none = np.full(1, -1)
        self._target = bank.lanes.keys(target)
        self.shelf.extend(target, self._target, np.zeros(1, dtype=np.int64), none, none.repeat(2)[:, None], 0)
        self.raw_keys: Keys = self._target[:0]
        self._raw: list[_Part] = []
        self._solver_bits: IntArray = np.array([x.rule.bits for x in self.solvers], dtype=np.int64)
        names = ["", *{x.family: None for x in self.solvers if x.family}]
        # By solver, as numbers; the empty context has solver -1, the last entry, which is of no family.
        self._families: IntArray = np.array([*(names.index(x.family) for x in self.solvers), 0])
        self._prepared: dict[tuple[str, int, Prepare], Words] = {}

    def __len__(self) -> int:
        return len(self.shelf) + len(self.raw_keys)

    def work(self, high: int) -> float:
        """How many residuals it takes to get to ``high`` bits, with what the bank has."""
        self.sort_out()
        counts = self.shelf.counts()
        pairs = np.convolve(counts, self.bank.shelves["value"].counts())
        total = 0.0
        for x in self.solvers:
            source = counts if x.rule.arity == 1 else pairs
            total += float(source[max(self.deepest + 1 - x.rule.bits, 0) : max(high + 1 - x.rule.bits, 0)].sum())
        return total

    # A few levels at a time

    def extend(self, high: int) -> None:
        """Make the contexts of more than ``deepest`` and at most ``high`` bits; at most ``stride`` bits further."""
        self.sort_out()
        low = self.deepest + 1
        assert high < low + self.stride
        gatherer = Gatherer({"parent": self.shelf.words, "other": self.bank.shelves["value"].words})
        parts: list[_Part] = []
        group: tuple[int, int, int] | None = None
        parent = other = self.shelf.bits[:0]
        for number, solver in enumerate(self.solvers):  # those of one group come together
            if group != (group := (solver.rule.arity, solver.rule.bits, int(self._families[number]))):
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
        self.raw_keys = np.concatenate([x.keys for x in parts]) if parts else self.raw_keys[:0]

    def sort_out(self) -> None:
        """Of raw contexts with equal residuals keep the cheapest."""
        parts, self._raw = self._raw, []
        if not parts:
            while self.shelf.closed < self.deepest:
                self.shelf.extend_keys(0, self._target[:0])
            return
        sizes = [len(x.keys) for x in parts]
        solver = np.array([x.solver for x in parts]).repeat(sizes)
        parent = np.concatenate([x.parent for x in parts])
        other = np.concatenate([x.other for x in parts])
        bits = self._bits_of(solver, parent, other)
        known = np.concatenate([self.shelf.keys, _NO_KEYS])
        new = first_of_each(known, self.raw_keys, bits)
        words = np.concatenate([x.words for x in parts], axis=1).take(new, axis=1)
        made = np.array([parent.take(new), other.take(new)])
        self.shelf.extend(words, self.raw_keys[new], bits[new], solver[new], made, self.deepest)
        self.raw_keys = self.raw_keys[:0]

    def _bits_of(self, solver: IntArray | int, parent: IntArray, other: IntArray) -> IntArray:
        """The bits of contexts, from what makes them."""
        beside = np.where(other >= 0, self.bank.shelves["value"].bits[other], 0)
        return self._solver_bits[solver] + self.shelf.bits[parent] + beside

    def _pairs(self, arity: int, bits: int, family: int, low: int, high: int) -> tuple[IntArray, IntArray]:
        """Parents and other arguments (-1 for none) whose contexts have ``low`` to ``high`` bits."""
        if arity == 1:
            start, stop = self.shelf.places.take([low - bits, high - bits + 1], mode="clip").tolist()
            return np.arange(start, stop), np.full(stop - start, -1)
        shelf = self.bank.shelves["value"]
        stop = int(self.shelf.places.take(max(0, high + 1 - bits), mode="clip"))
        around = self.shelf.bits[:stop] + bits
        lower = shelf.places.take(low - around, mode="clip")
        upper = np.minimum(shelf.places.take((high + 1) - around, mode="clip"), shelf.held)
        counts = np.maximum(upper - lower, 0)
        if family and high - bits <= self.bank.deepest:
            # A dearer argument in the bank does as well.
            counts[self._families[self.shelf.origin[:stop]] == family] = 0
        parent = np.arange(len(counts)).repeat(counts)
        return parent, np.arange(len(parent)) + (lower + counts - counts.cumsum())[parent]

    # One large level at a time

    def extend_level(self, fits: Callable[[float], bool]) -> Iterator[None]:
        """Make the contexts of one bit more, held by their keys alone; needs keys that are exact.

        Yields at times, and ends without them where so many bytes do not fit.
        """
        self.sort_out()
        bits = self.deepest + 1
        keys = (x for _, x in self._blocks(bits))
        for done in build_level(self.shelf, bits, keys, int(self.work(bits)) + BLOCK, fits):
            self.evaluated += done
            yield
        if self.shelf.closed == bits:
            self.deepest = bits

    def _blocks(self, bits: int) -> Iterator[tuple[tuple[int, int, int, int], Keys]]:
        """All contexts of exactly so many bits: solver, first parent, first other argument and how many of those in a
        row; and keys, that of the target where there is no residual."""
        bank = self.bank.shelves["value"]
        for number, solver in enumerate(self.solvers):
            left = bits - solver.rule.bits
            for level in range(left + 1):
                count, beside = self.shelf.count(level), bank.count(left - level)
                if solver.rule.arity == 1:
                    if level < left or not count:
                        continue
                    result = self._level("parent", level, None)
                    answer = solver.kernel(result)
                    yield (number, self.shelf.offsets[level], -1, 1), self._checked(solver, answer, result)
                    continue
                if not count or not beside:
                    continue
                sides = [("parent", level), ("other", left - level)]
                plain = [self._level(*side, None) for side in sides]
                ready = [self._level(*side, fill) for side, fill in zip(sides, solver.kernel.prepare, strict=True)]
                for ((a, b), (c, d)), order in tiles([count, beside], False):
                    first = (slice(None), slice(a, b), None) if order == (0, 1) else (slice(None), None, slice(a, b))
                    second = (slice(None), None, slice(c, d)) if order == (0, 1) else (slice(None), slice(c, d), None)
                    answer = solver.kernel.apply(ready[0][first], ready[1][second])
                    keys = self._checked(solver, answer, plain[0][first], plain[1][second])
                    if order != (0, 1):
                        keys = keys.T
                    place = self.shelf.offsets[level] + a, bank.offsets[left - level] + c
                    yield (number, *place, d - c), keys.reshape(-1)

    def _checked(self, solver: Solver, answer: Words, *arguments: Words) -> Keys:
        keys = self.bank.lanes.keys(answer)
        if solver.check is not None:
            keys = np.where(solver.check(answer, *arguments), keys, self._target)
        return keys

    def _level(self, side: str, level: int, fill: Prepare | None) -> Words:
        shelf = self.shelf if side == "parent" else self.bank.shelves["value"]
        if fill is None:
            return shelf.level(level)
        if (side, level, fill) not in self._prepared:
            self._prepared[side, level, fill] = fill(np.ascontiguousarray(shelf.level(level)))
        return self._prepared[side, level, fill]

    @property
    def bytes(self) -> int:
        return self.shelf.bytes + sum(x.nbytes for x in self._prepared.values())

    # Reading

    def program(self, index: int, filler: Program) -> Program:
        """The context of that index with a program in its hole."""
        while index > 0:
            solver, index, other = self._made(index)
            filler = self._around(filler, solver, other)
        return filler

    def _made(self, index: int) -> tuple[int, int, int]:
        """What makes a context: solver, the context around it, the other argument."""
        if index < self.shelf.held:
            parent, other = self.shelf.arguments[:, index].tolist()
            return int(self.shelf.origin[index]), parent, other
        bits = self.shelf.bits_of(index)
        wanted = self.shelf.levels[bits][index - self.shelf.offsets[bits]]
        for (solver, parent, other, row), keys in self._blocks(bits):
            if len(hits := np.flatnonzero(keys == wanted)):
                down, along = divmod(int(hits[0]), row)
                return solver, parent + down, other + along if other >= 0 else -1
        raise AssertionError(f"Contexts: nothing makes context {index}")

    def raw_bits(self, indices: IntArray) -> IntArray:
        """The bits of raw contexts."""
        if not len(indices):
            return indices
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
