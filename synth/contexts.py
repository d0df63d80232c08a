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
from synth.gather import Gatherer
from synth.kernels import Prepare
from synth.lanes import Keys, Words
from synth.plans import pairs
from synth.program import Program
from synth.ranking import first_of_each
from synth.shelf import Shelf
from synth.solvers import Solver, SolverGroup, context_stride, solver_groups, solvers
from synth.tiles import BLOCK, build_levels, tiles

_SIDES = (("parent", 0), ("other", 1))
_NO_KEY = np.uint64(1)
_NO_KEYS = np.array([1], dtype=np.uint64)
# The empty context: its bits, its solver and what it is made of.
_EMPTY = np.zeros(1, dtype=np.int64), np.full(1, -1, dtype=np.int16), np.full((2, 1), -1, dtype=np.int32)


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
        self.stride = context_stride(bank.language, bank.carrier)
        self.deepest = 0
        self.evaluated = 0
        self.shelf = Shelf(bank.lanes, 2)
        self.shelf.offsets = [0]
        self._target = bank.lanes.keys(target)
        self.shelf.extend(target, self._target, *_EMPTY, 0)
        self.raw_keys: Keys = self._target[:0]
        self._raw: list[_Part] = []
        self._groups = solver_groups(bank.language, bank.carrier)
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
        for group in self._groups:
            parent, other, bits = self._pairs(group, low, high)
            if not len(bits):
                continue
            gatherer.at((parent, other))
            results = [gatherer.evaluate(x) for x in group.batches]
            words = results[0] if len(results) == 1 else np.concatenate(results, axis=1)
            keys = self.bank.lanes.keys(words)
            for i, number in enumerate(group.solvers):
                check = self.solvers[number].check
                if check is not None:
                    part = slice(i * len(bits), (i + 1) * len(bits))
                    taken = [gatherer.take(*side) for side in _SIDES[: group.arity]]
                    keys[part][~check(words[:, part], *taken)] = _NO_KEY
            self.evaluated += len(keys)
            parts.append(_Part(group.solvers, parent, other, bits, words, keys))
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
        times = [(x, len(x.solvers)) for x in parts]
        bits = np.concatenate([x.bits for x, count in times for _ in range(count)])
        known = np.concatenate([self.shelf.keys, _NO_KEYS])
        new = first_of_each(known, self.raw_keys, bits)
        solver = np.array([i for x in parts for i in x.solvers], dtype=np.int16)
        solver = solver.repeat([len(x.bits) for x, count in times for _ in range(count)]).take(new)
        parent = np.concatenate([x.parent for x, count in times for _ in range(count)]).take(new)
        other = np.concatenate([x.other for x, count in times for _ in range(count)]).take(new)
        words = np.concatenate([x.words for x in parts], axis=1).take(new, axis=1)
        made = np.array([parent, other], dtype=np.int32)
        self.shelf.extend(words, self.raw_keys.take(new), bits.take(new), solver, made, self.deepest)
        self.raw_keys = self.raw_keys[:0]

    def _pairs(self, group: SolverGroup, low: int, high: int) -> tuple[IntArray, IntArray, IntArray]:
        """Parents, other arguments (-1 for none) and bits of the group's contexts of ``low`` to ``high`` bits."""
        shelf = self.bank.shelves["value"]
        if group.arity == 1:
            start, stop = self.shelf.places.take([low - group.bits, high - group.bits + 1], mode="clip").tolist()
            return np.arange(start, stop), np.full(stop - start, -1), self.shelf.bits[start:stop] + group.bits
        if group.family and high - group.bits <= self.bank.deepest:
            barred = group.of_family.take(self.shelf.origin)  # a dearer argument in the bank does as well
        else:
            barred = np.zeros(len(self.shelf.origin), dtype=np.bool_)
        return pairs(self.shelf.offsets, shelf.offsets, shelf.held, barred, group.bits, low, high)

    # One large level at a time

    def extend_level(self, fits: Callable[[float], bool]) -> Iterator[None]:
        """Make the contexts of one bit more, held by their keys alone; needs keys that are exact.

        Yields at times, and ends without them where so many bytes do not fit.
        """
        self.sort_out()
        bits = self.deepest + 1
        keys = ((bits, x) for _, x in self._blocks(bits))
        for done in build_levels(self.shelf, bits, bits, keys, int(self.work(bits)) + BLOCK, fits):
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
        for part, start in self._starts():
            inside = ((indices >= start) & (indices < start + len(part.keys))).nonzero()[0]
            bits[inside] = part.bits.take((indices[inside] - start) % len(part.bits))
        return bits

    def raw_program(self, index: int, filler: Program) -> Program:
        """The raw context of that index with a program in its hole."""
        for part, start in self._starts():
            if start <= index < start + len(part.keys):
                solver, pair = divmod(index - start, len(part.bits))
                around = self._around(filler, part.solvers[solver], int(part.other[pair]))
                return self.program(int(part.parent[pair]), around)
        raise IndexError(f"Contexts: no raw context {index}")

    def _starts(self) -> Iterator[tuple[_Part, int]]:
        start = 0
        for part in self._raw:
            yield part, start
            start += len(part.keys)

    def _around(self, filler: Program, number: int, other: int) -> Program:
        solver = self.solvers[number]
        arguments = [filler]
        if solver.rule.arity == 2:
            arguments.insert(1 - solver.hole, self.bank.program(other))
        if solver.rule.commutes:  # as a bank has them: the cheaper first
            arguments.sort(key=lambda x: x.bits)
            if arguments[0].bits == arguments[1].bits:
                arguments.sort(key=str)
        return Program(solver.rule, tuple(arguments))


@dataclass(frozen=True, eq=False, slots=True)
class _Part:
    """Contexts that one group's solvers made, as they came: solver by solver all pairs.

    Attributes:
        solvers: numbers.
        parent, other, bits: of the pairs, shape (pairs,).
        words, keys: the residuals', shapes (words, solvers * pairs) and (solvers * pairs,).
    """

    solvers: tuple[int, ...]
    parent: IntArray
    other: IntArray
    bits: IntArray
    words: Words
    keys: Keys
