"""Misses: how many of many labels behaviours get wrong, in a bank and beyond what it holds.

A program is longer than each of its arguments by some bits at least, and so a bank of all programs of at most D bits
holds the arguments of all that are longer by as much. To find the best of those takes neither sorting nor storing them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from synth.bank import Bank
from synth.carrier import IntArray
from synth.grammar import cheapest, overhead
from synth.kernels import Kernel, Prepare, kernels
from synth.lanes import Lanes, Words
from synth.program import Production, Program, Sort

_BLOCK = 1 << 16  # words that stay in cache


class Misses:
    """Counts, in packed words, where behaviours differ from labels, shape (points,)."""

    def __init__(self, lanes: Lanes, labels: IntArray) -> None:
        self._target = lanes.pack(labels[None])[:, 0]
        top = 1 << (8 * lanes.dtype.itemsize - 1)
        self._below = np.full(lanes.per_word, top - 1, dtype=lanes.dtype).view(np.uint64)[0]
        tops = np.zeros(lanes.words * lanes.per_word, dtype=lanes.dtype)  # lanes beyond the last point do not count
        tops[: lanes.points] = top
        self._tops: Words = tops.view(np.uint64)

    def of(self, words: Words) -> IntArray:
        """How many labels behaviours miss: words of shape (words, ...) to (...)."""
        total = np.zeros(words.shape[1:], dtype=np.uint16)
        for word, target, top in zip(words, self._target, self._tops, strict=True):
            # A lane's top bit is free, and adding all the bits below sets it wherever one of them is set.
            wrong = word ^ target
            wrong += self._below
            wrong &= top
            total += np.bitwise_count(wrong)
        return total.astype(np.int64)


class Beyond:
    """The programs of a few bits more than a bank holds, made of what it holds.

    The bank is one that was to grow further: a complete one leaves out what only longer programs need.

    Attributes:
        candidates: how many were made so far.
    """

    def __init__(self, bank: Bank) -> None:
        self.bank = bank
        self.candidates = 0
        self._rules = [x for x in bank.language.of_sort("value") if x.arity]
        self._kernels = kernels(bank.carrier)
        self._prepared: dict[tuple[Sort, int, Prepare], Words] = {}

    @property
    def reach(self) -> int:
        """Every program of more bits than ``bank.deepest``, but no more than this, is among the blocks of its bits."""
        least = cheapest(self.bank.language)
        if any(not x.arity and x.bits > self.bank.deepest for x in self.bank.language.of_sort("value")):
            return self.bank.deepest
        held: dict[Sort, float] = {
            "value": self.bank.deepest,
            "condition": self.bank.shelves["condition"].closed,
        }
        return int(min(held[s] + overhead(x, i, least) for x in self._rules for i, s in enumerate(x.arguments)))

    def work(self, bits: int) -> int:
        """How many programs have exactly so many bits and arguments that the bank tells apart."""
        return sum(
            int(np.prod([self.bank.shelves[s].count(c) for s, c in zip(rule.arguments, levels, strict=True)]))
            for rule in self._rules
            for levels in self._levels(rule.arguments, bits - rule.bits, rule.commutes)
        )

    def blocks(self, bits: int) -> Iterator[tuple[Words, Production, list[IntArray]]]:
        """The words of all programs of exactly so many bits but leaves, shape (words, *counts), and what made them: the
        production and for each argument the indices along one axis.
        """
        for rule in self._rules:
            kernel = self._kernels.of(rule)
            for levels in self._levels(rule.arguments, bits - rule.bits, rule.commutes):
                yield from self._boxes(rule, kernel, levels)

    def program(self, rule: Production, indices: list[int]) -> Program:
        """The program of a production and the bank's indices of its arguments."""
        parts = {"value": self.bank.program, "condition": self.bank.condition}
        return Program(rule, tuple(parts[s](i) for s, i in zip(rule.arguments, indices, strict=True)))

    def _levels(self, sorts: tuple[Sort, ...], bits: int, commutes: bool) -> Iterator[tuple[int, ...]]:
        """How arguments may share so many bits; of two that commute the first is no longer than the second."""
        shelf = self.bank.shelves[sorts[0]]
        if len(sorts) == 1:
            if shelf.count(bits):
                yield (bits,)
            return
        for first in range(bits // 2 + 1 if commutes else bits):
            if shelf.count(first):
                for others in self._levels(sorts[1:], bits - first, False):
                    yield (first, *others)

    def _boxes(
        self, rule: Production, kernel: Kernel, levels: tuple[int, ...]
    ) -> Iterator[tuple[Words, Production, list[IntArray]]]:
        arguments = [self._words(s, c, f) for s, c, f in zip(rule.arguments, levels, kernel.prepare, strict=True)]
        places = [
            np.arange(self.bank.shelves[s].offsets[c], self.bank.shelves[s].offsets[c + 1])
            for s, c in zip(rule.arguments, levels, strict=True)
        ]
        sizes = [len(x) for x in places]
        steps, room = [1] * rule.arity, max(1, _BLOCK // self.bank.lanes.words)
        for i in sorted(range(rule.arity), key=sizes.__getitem__, reverse=True):
            steps[i] = max(1, min(sizes[i], room))
            room //= steps[i]
        corners = np.stack(
            np.meshgrid(*(np.arange(0, n, step) for n, step in zip(sizes, steps, strict=True)), indexing="ij"), axis=-1
        )
        for corner in corners.reshape(-1, rule.arity).tolist():
            parts: list[Words] = []
            for i, (words, start, step) in enumerate(zip(arguments, corner, steps, strict=True)):
                part = words[:, start : start + step]
                parts.append(part.reshape(part.shape[0], *(-1 if j == i else 1 for j in range(rule.arity))))
            made = kernel.apply(*parts)
            self.candidates += made[0].size
            yield made, rule, [x[s : s + d] for x, s, d in zip(places, corner, steps, strict=True)]

    def _words(self, sort: Sort, level: int, prepare: Prepare | None) -> Words:
        words = self.bank.shelves[sort].level(level)
        if prepare is None:
            return words
        if (sort, level, prepare) not in self._prepared:
            self._prepared[sort, level, prepare] = prepare(np.ascontiguousarray(words))
        return self._prepared[sort, level, prepare]
