"""Candidates: the programs of given length whose arguments are on the shelves, evaluated in bulk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from synth.carrier import Carrier, IntArray
from synth.gather import Batch, Gatherer, batches
from synth.grammar import cheapest, groups
from synth.kernels import Kernel, kernels
from synth.lanes import Lanes, Words
from synth.language import Language
from synth.plans import Plan, plan
from synth.program import Production, Sort
from synth.shelf import Shelf
from synth.tiles import tiles

_Fill: TypeAlias = Callable[[Words], Words]


@dataclass(frozen=True, slots=True)
class Block:
    """Candidates of one production: arguments ``start <= index < stop`` of the levels, on the axes in ``order``."""

    position: int
    ranges: tuple[tuple[int, int], ...]
    order: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.ranges[i][1] - self.ranges[i][0] for i in self.order)

    def arguments(self, local: IntArray) -> list[IntArray]:
        """The arguments' indices of candidates by their place in the block."""
        if not self.order:
            return []
        along = np.unravel_index(local, self.shape)
        result = [np.empty(0, dtype=np.int64)] * len(self.order)
        for axis, i in zip(along, self.order, strict=True):
            result[i] = axis + self.ranges[i][0]
        return result


class Candidates:
    """Programs with one production over arguments that are on the shelves.

    Few are evaluated by gathering their arguments; many in blocks, by broadcasting whole levels against each other.
    """

    def __init__(
        self, language: Language, carrier: Carrier, inputs: IntArray, lanes: Lanes, shelves: Mapping[Sort, Shelf]
    ) -> None:
        self.language, self.carrier, self.inputs, self.lanes, self.shelves = language, carrier, inputs, lanes, shelves
        built = kernels(carrier)
        self._kernels: list[Kernel | None] = [built.of(x) if x.arity else None for x in language.productions]
        self._fills = _fills(language, carrier)
        self._least = cheapest(language)
        self._prepared: dict[tuple[Sort, int, _Fill], Words] = {}

    def bytes_at(self, bits: int) -> int:
        """What it will keep of levels prepared for the kernels when those of so many bits are arguments."""
        offsets = [self.shelves[x].offsets for x in self._fills]
        return sum(8 * self.lanes.words * x[min(max(bits, 0) + 1, len(x) - 1)] for x in offsets)

    # Small levels, several at a time

    def gather(self, sort: Sort, low: int, high: int) -> tuple[Plan, Words]:
        """All candidates of ``low`` to ``high`` bits, by gathering; words of shape (words, count)."""
        found = plan(self.language, sort, low, high, {s: x.offsets for s, x in self.shelves.items()})
        parts = [self.leaves([self.language.productions[i] for i in found.leaves])] if found.leaves else []
        gatherer = Gatherer({s: x.words for s, x in self.shelves.items()})
        by_group = _batches(self.language, self.carrier, sort)
        for number, indices in found.parts:
            gatherer.at(indices)
            parts.extend(gatherer.evaluate(batch) for batch in by_group[number])
        return found, np.concatenate(parts, axis=1) if parts else self.shelves[sort].words[:, :0]

    def leaves(self, rules: list[Production]) -> Words:
        """The words of variables and constants, shape (words, rules)."""
        values = np.empty((len(rules), len(self.inputs)), dtype=np.int64)
        for row, rule in zip(values, rules, strict=True):
            row[:] = rule.semantics(self.carrier) if rule.variable is None else self.inputs[:, rule.variable]
        return self.lanes.pack(values)

    # Large levels, one at a time

    def blocks(self, sort: Sort, bits: int, only: Production | None = None) -> Iterator[tuple[Block, Words]]:
        """All candidates of exactly so many bits, or those of one production, in blocks that stay in cache."""
        for position, rule in enumerate(self.language.productions):
            if rule.sort != sort or rule.bits > bits or only not in (None, rule):
                continue
            kernel = self._kernels[position]
            if kernel is None:
                if rule.bits == bits:
                    yield Block(position, (), ()), self.leaves([rule])
                continue
            for levels in self.splits(rule.arguments, bits - rule.bits, rule.commutes):
                values = [
                    self._prepare(s, level, fill)
                    for s, level, fill in zip(rule.arguments, levels, kernel.prepare, strict=True)
                ]
                firsts = [self.shelves[s].offsets[c] for s, c in zip(rule.arguments, levels, strict=True)]
                triangle = rule.commutes and levels[0] == levels[1]
                for ranges, order in tiles([x.shape[1] for x in values], triangle):
                    shaped: list[Words] = []
                    for i, (start, stop) in enumerate(ranges):
                        shape = [values[i].shape[0]] + [1] * len(order)
                        shape[1 + order.index(i)] = stop - start
                        shaped.append(values[i][:, start:stop].reshape(shape))
                    result = kernel.apply(*shaped)
                    moved = tuple((f + a, f + b) for f, (a, b) in zip(firsts, ranges, strict=True))
                    yield Block(position, moved, order), result.reshape(result.shape[0], -1)

    def splits(self, sorts: tuple[Sort, ...], bits: int, commutes: bool) -> Iterator[tuple[int, ...]]:
        """How so many bits may be shared among arguments, such that each has behaviours."""
        if len(sorts) == 1:
            if self.shelves[sorts[0]].count(bits):
                yield (bits,)
            return
        rest = sum(int(self._least[s]) for s in sorts[1:])
        most = bits // 2 if commutes else bits - rest
        for first in range(int(self._least[sorts[0]]), most + 1):
            if self.shelves[sorts[0]].count(first):
                for others in self.splits(sorts[1:], bits - first, False):
                    yield (first, *others)

    def _prepare(self, sort: Sort, level: int, fill: _Fill | None) -> Words:
        shelf = self.shelves[sort]
        if fill is None:
            return shelf.level(level)
        if (sort, level, fill) not in self._prepared:
            self._prepared[sort, level, fill] = fill(np.ascontiguousarray(shelf.level(level)))
        return self._prepared[sort, level, fill]


@lru_cache(maxsize=64)
def _fills(language: Language, carrier: Carrier) -> tuple[Sort, ...]:
    """The sorts of arguments that kernels prepare, once for each way."""
    built, rules = kernels(carrier), [x for x in language.productions if x.arity]
    ways = {way for x in rules for way in zip(x.arguments, built.of(x).prepare, strict=True) if way[1] is not None}
    return tuple(sort for sort, _ in ways)


@lru_cache(maxsize=64)
def _batches(language: Language, carrier: Carrier, sort: Sort) -> tuple[tuple[Batch, ...], ...]:
    """For each group of a sort's productions the kernels of its members, in every order of theirs."""
    built = kernels(carrier)
    return tuple(
        batches(
            [
                (built.of(language.productions[position]), group.arguments, order)
                for position, orders in group.members
                for order in orders
            ]
        )
        for group in groups(language, sort)
    )
