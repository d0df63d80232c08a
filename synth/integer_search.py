"""The two searches on plain integers: all behaviours in order of length, and the modulus read off the examples.

A behaviour is a column of integers, told apart by a hash. A program without a value at some example can be part of none
that agrees, as every production hands that on, and is dropped at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from synth.carrier import IntArray
from synth.examples import Examples
from synth.grammar import cheapest
from synth.integers import MAX_LITERAL, NOTHING, literal, literal_bits, literals_of, remainder
from synth.lanes import Keys
from synth.language import Language
from synth.language import language as named_language
from synth.program import Production, Program
from synth.search import Progress

MAX_BITS = 1 << 20
_BLOCK = 1 << 15  # candidates evaluated at once
_NOTICE = 1 << 18  # candidates between two moments at which a caller may stop
_MIX = np.uint64(0x9E3779B97F4A7C15)  # odd multipliers, as in SplitMix64 (Steele, Lea and Flood 2014)
_FINAL = np.uint64(0x94D049BB133111EB)
_HALF, _ONE = np.uint64(32), np.uint64(1)
_LITERAL = -1  # in place of a production's position; the argument is then the literal's value
_MODULI = 32  # how many moduli from the least possible one on sums are looked for in
_JOINED = (1 << 4, 1 << 16)  # among how many behaviours: the sums of fewer are soon behaviours themselves
_FACTORS = np.arange(1, (1 << 16) + 1)  # up to the root of 2^32


def search_integers(
    language: Language, examples: Examples, *, meet: bool, memory_mib: int, max_programs: int | None
) -> Iterator[Progress]:
    """Programs in order of length until one agrees with all examples.

    Args:
        language: one on integers; conditions in it are not searched.
        examples: at least one.
        meet: also look for every behaviour's remainder, whatever the modulus, and for those of sums and differences of
            two behaviours by the first 32 moduli above all labels. The first answer then is quick but may not be the
            shortest; the search goes on until it is certified minimal.
        memory_mib: what it may hold; it ends after the deepest complete level that fits.
        max_programs: how many candidates it may evaluate; it ends after the deepest complete level, too.
    """
    points, best, visited, bound = examples.fingerprint(conditional=True), None, 0, 1
    while True:
        bank = IntegerBank(language, examples, points, memory_mib, max_programs, visited)
        wrong: IntArray | None = None
        looked = 0
        for deepest in bank.grow():
            agrees = True
            if deepest > looked:
                looked = deepest
                for program in bank.answers(meet=meet, below=best.bits if best is not None else MAX_BITS):
                    if program is None:
                        yield _progress(best, bank.visited, bound)
                        continue
                    errors = examples.disagreements(program)
                    if len(errors):  # others, which agree, may hide behind it
                        wrong, agrees = errors, program.bits > deepest
                        break
                    best = program
                bound = max(bound, deepest + 1 if agrees else deepest)
            if wrong is not None:
                break
            yield _progress(best, bank.visited, bound)
            if best is not None and best.bits <= bound:
                return
        visited = bank.visited
        if wrong is None:
            return
        points = examples.refined(points, wrong)


def _progress(best: Program | None, visited: int, bound: int) -> Progress:
    minimal = best is not None and best.bits <= bound
    return Progress(best, visited, best.bits if best is not None and minimal else bound, minimal)


@dataclass(frozen=True, eq=False)
class _Level:
    """The distinct behaviours of exactly so many bits that no shorter program has.

    Attributes:
        values: shape (points, count).
        origin, arguments: what made each: a production's position (or _LITERAL), and its arguments' levels and places
            there, shape (arity at most, 2, count).
    """

    values: npt.NDArray[np.int32]
    origin: npt.NDArray[np.int16]
    arguments: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.origin)


class IntegerBank:
    """All distinct behaviours of a language on integers at some points, level by level.

    Attributes:
        deepest: every program of at most so many bits that has values at all points has its behaviour here.
        visited: how many candidates were evaluated.
    """

    def __init__(
        self,
        language: Language,
        examples: Examples,
        points: IntArray,
        memory_mib: int,
        max_programs: int | None,
        visited: int = 0,
    ) -> None:
        self.language, self.carrier = language, examples.carrier
        self.inputs, self.target = examples.inputs[points], examples.outputs[points]
        self.memory_mib, self.max_programs, self.visited = memory_mib, max_programs, visited
        self.deepest = 0
        self._rules = [
            (i, x) for i, x in enumerate(language.productions) if x.sort == "value" and "condition" not in x.arguments
        ]
        self._arity = max((x.arity for _, x in self._rules), default=0)
        self._least = int(cheapest(language)["value"])
        empty = np.empty(0, dtype=np.int64)
        self._levels: list[_Level] = [self._level(self._columns(empty), empty, self._no_arguments(0))]
        self._known: Keys = np.empty(0, dtype=np.uint64)
        self._program_at: dict[tuple[int, int], Program] = {}
        self._remainder = next((x for _, x in self._rules if x.semantics is remainder), None)
        built_in = named_language("int", 1)
        known = {x.name: x for _, x in self._rules if x.name in "+-" and x.semantics is built_in[x.name].semantics}
        holes = (("+", 1), ("-", 1), ("-", 0))  # the argument that is looked for
        self._joins = [(known[name], hole) for name, hole in holes if name in known]

    def grow(self) -> Iterator[int]:
        """Build level by level, yielding ``deepest`` after each and also within long ones, where it stays."""
        while self.deepest < MAX_BITS:
            bits = self.deepest + 1
            if not self._affordable(bits):
                return
            yield from self._build(bits)
            self.deepest = bits
            yield bits

    def answers(self, *, meet: bool, below: int) -> Iterator[Program | None]:
        """Programs that agree with the target at the points, each shorter than the one before and than ``below``.

        Of the deepest level, and with ``meet`` also remainders of its behaviours. None is a moment to stop.
        """
        if self.deepest >= below:
            return
        level = self._levels[self.deepest]
        least = int(self.target.max()) + 1  # a remainder is smaller than the modulus
        for start in range(0, len(level), _NOTICE):
            difference = level.values[:, start : start + _NOTICE] - self.target[:, None].astype(np.int64)
            for place in np.flatnonzero((difference == 0).all(axis=0))[:1].tolist():
                yield self.program(self.deepest, start + place)
                return
            if start:
                yield None
            if not meet or self._remainder is None:
                continue
            if self.deepest + self._remainder.bits + literal_bits(least) >= below:
                continue
            for modulus, place in _common_divisors(difference, least):
                program = Program(
                    self._remainder, (self.program(self.deepest, start + place), Program(literal(modulus)))
                )
                if program.bits < below:
                    below = program.bits
                    yield program
        if meet and self._remainder is not None:
            yield from self._remainders_of_sums(self._remainder, least, below)

    def _remainders_of_sums(self, outer: Production, least: int, below: int) -> Iterator[Program]:
        """Shorter and shorter remainders of sums and differences, one part of the deepest level, of few moduli."""
        newest = self._levels[self.deepest].values
        if not _JOINED[0] <= sum(map(len, self._levels)) <= _JOINED[1]:
            return
        every = np.concatenate([x.values for x in self._levels], axis=1)
        ends = np.cumsum([len(x) for x in self._levels])
        goal = self.target[:, None]
        for modulus in range(least, least + _MODULI):
            root = literal(modulus)
            fixed = self.deepest + outer.bits + root.bits
            if not self._joins or fixed + min(x.bits for x, _ in self._joins) + self._least >= below:
                return
            residues = np.remainder(every, np.int32(modulus))
            known, first = np.unique(_keys(residues), return_index=True)  # the first is the shortest
            for rule, hole in self._joins:
                # What the other part must be: goal - x in a sum, x - goal behind a minus, goal + x before it.
                other = goal - newest if rule.commutes else newest - goal if hole == 1 else goal + newest
                keys = _keys(np.remainder(other, modulus))
                at = np.minimum(np.searchsorted(known, keys), len(known) - 1)
                self.visited += len(keys)
                for place in np.flatnonzero(known[at] == keys).tolist():
                    found = int(first[at[place]])
                    bits = int(np.searchsorted(ends, found, side="right"))
                    if fixed + rule.bits + bits < below:
                        parts = [self.program(self.deepest, place), self.program(bits, found - int(ends[bits - 1]))]
                        below = fixed + rule.bits + bits
                        whole = Program(rule, tuple(parts if hole == 1 else parts[::-1]))
                        yield Program(outer, (whole, Program(root)))

    def program(self, bits: int, place: int) -> Program:
        """The shortest program with a behaviour, by its level and its place there."""
        if (bits, place) not in self._program_at:
            level = self._levels[bits]
            position, arguments = int(level.origin[place]), level.arguments[:, :, place].tolist()
            if position == _LITERAL:
                made = Program(literal(arguments[0][1]))
            else:
                rule = self.language.productions[position]
                made = Program(rule, tuple(self.program(*x) for x in arguments[: rule.arity]))
            self._program_at[bits, place] = made
        return self._program_at[bits, place]

    # Building

    def count(self, bits: int) -> int:
        """How many behaviours have exactly so many bits."""
        return len(self._levels[bits]) if 0 <= bits < len(self._levels) else 0

    def _splits(self, arity: int, bits: int, commutes: bool) -> Iterator[tuple[int, ...]]:
        """How so many bits may be shared among arguments, such that each has behaviours."""
        if arity == 0:
            if bits == 0:
                yield ()
            return
        if arity == 1:
            if self.count(bits):
                yield (bits,)
            return
        for first in range(self._least, (bits // 2 if commutes else bits - self._least * (arity - 1)) + 1):
            if self.count(first):
                for rest in self._splits(arity - 1, bits - first, False):
                    yield (first, *rest)

    def _work(self, bits: int) -> int:
        """How many candidates have exactly so many bits."""
        total = len(literals_of(bits))
        for _, x in self._rules:
            for split in self._splits(x.arity, bits - x.bits, x.commutes):
                total += prod(map(self.count, split))
        return total

    def _affordable(self, bits: int) -> bool:
        work = self._work(bits)
        if self.max_programs is not None and self.visited + work > self.max_programs:
            return False
        each = 4 * len(self.target) + 8 * self._arity + 10  # of a behaviour; thrice while a level is put together
        held = each * sum(map(len, self._levels)) + 8 * len(self._known)
        return held + 3 * each * work + 8 * _BLOCK * len(self.target) * 4 <= self.memory_mib * 2**20

    def _candidates(self, bits: int) -> Iterator[tuple[Any, IntArray, Any]]:
        """Values, shape (points, n), origins and arguments of all candidates of so many bits, in blocks."""
        values = literals_of(bits)
        for start in range(values.start, values.stop, _BLOCK):
            block = np.arange(start, min(start + _BLOCK, values.stop))
            arguments = self._no_arguments(len(block))
            arguments[0, 1] = block
            yield self._columns(block), np.full(len(block), _LITERAL), arguments
        for position, rule in self._rules:
            if rule.arity == 0 and rule.bits == bits:
                yield self._leaf(rule)[:, None], np.array([position]), self._no_arguments(1)
            elif rule.arity:
                for split in self._splits(rule.arity, bits - rule.bits, rule.commutes):
                    yield from self._combined(position, rule, split)

    def _combined(self, position: int, rule: Production, split: tuple[int, ...]) -> Iterator[tuple[Any, IntArray, Any]]:
        shape = tuple(map(self.count, split))
        triangle = rule.commutes and split[0] == split[1]
        for start in range(0, prod(shape), _BLOCK):
            places = np.unravel_index(np.arange(start, min(start + _BLOCK, prod(shape))), shape)
            if triangle:
                kept = places[0] <= places[1]
                places = tuple(x[kept] for x in places)
            taken = [
                self._levels[b].values.take(x, axis=1).astype(np.int64) for b, x in zip(split, places, strict=True)
            ]
            values = np.asarray(rule.semantics(self.carrier, *taken))
            arguments = self._no_arguments(len(places[0]))
            for i, (b, x) in enumerate(zip(split, places, strict=True)):
                arguments[i, 0], arguments[i, 1] = b, x
            yield values, np.full(len(places[0]), position), arguments

    def _build(self, bits: int) -> Iterator[int]:
        parts: list[tuple[Any, IntArray, Any, Keys]] = []
        notice = 0
        for values, origin, arguments in self._candidates(bits):
            self.visited += len(origin)
            keys = _keys(values)
            _, first = np.unique(keys, return_index=True)
            at = np.minimum(np.searchsorted(self._known, keys[first]), max(len(self._known) - 1, 0))
            fresh = first[self._known[at] != keys[first]] if len(self._known) else first
            fresh = np.sort(fresh[(values[:, fresh] != NOTHING).all(axis=0)])
            if len(fresh):
                parts.append((values[:, fresh].astype(np.int32), origin[fresh], arguments[:, :, fresh], keys[fresh]))
            notice += len(origin)
            if notice > _NOTICE:
                notice = 0
                yield self.deepest
        if not parts:
            self._levels.append(self._levels[0])
            return
        keys = np.concatenate([x[3] for x in parts])
        distinct, first = np.unique(keys, return_index=True)
        yield self.deepest
        first.sort()
        values, origin, arguments = (np.concatenate([x[i] for x in parts], axis=-1)[..., first] for i in range(3))
        yield self.deepest
        self._levels.append(self._level(values, origin, arguments))
        self._known = np.sort(np.concatenate([self._known, distinct]), kind="stable")  # which merges sorted runs

    def _leaf(self, rule: Production) -> IntArray:
        if rule.variable is not None:
            return self.inputs[:, rule.variable]
        return np.full(len(self.target), int(rule.semantics(self.carrier)))

    def _columns(self, values: IntArray) -> IntArray:
        return np.broadcast_to(values, (len(self.target), len(values)))

    def _no_arguments(self, count: int) -> npt.NDArray[np.int32]:
        return np.zeros((max(self._arity, 1), 2, count), dtype=np.int32)

    def _level(self, values: Any, origin: Any, arguments: Any) -> _Level:
        return _Level(np.ascontiguousarray(values, dtype=np.int32), origin.astype(np.int16), arguments)


def _keys(values: IntArray) -> Keys:
    """A hash of 63 bits of each column, shape (count,)."""
    key = np.zeros(values.shape[1], dtype=np.uint64)
    for row in values:
        key += row.astype(np.int64).view(np.uint64)
        key *= _MIX
        key ^= key >> _HALF
        key *= _FINAL
    key ^= key >> _HALF
    return key >> _ONE


def _common_divisors(difference: IntArray, least: int) -> Iterator[tuple[int, int]]:
    """The columns, of shape (points, count), that have a common divisor of at least ``least`` and at most MAX_LITERAL:
    the smallest such divisor, and the column. By divisor, then by column."""
    places = np.arange(difference.shape[1])
    divisor = np.zeros(len(places), dtype=np.int64)
    for row in difference:
        divisor = np.gcd(divisor, row[places])
        kept = (divisor >= least) | (divisor == 0)
        places, divisor = places[kept], divisor[kept]
    found = [(_smallest_divisor(int(d), least), int(i)) for d, i in zip(divisor, places, strict=True) if d > 0]
    yield from sorted(x for x in found if x[0] <= MAX_LITERAL)


def _smallest_divisor(n: int, least: int) -> int:
    """The smallest divisor of n, at most 2^32, that is at least ``least``."""
    small = _FACTORS[n % _FACTORS == 0]
    divisors = np.concatenate([small, n // small])
    return int(divisors[divisors >= least].min())
