"""Scan: every behaviour scored by the examples that it gets wrong, in order of length."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

import numpy as np

from synth.bank import Bank
from synth.lanes import Words
from synth.misses import Beyond, Misses
from synth.scores import NoisyProgress, Scores
from synth.search import MAX_BITS

_MOST_CHECKED = 64  # programs at a time that are put to the examples beyond the bank's points
_FEW = 1 << 14  # candidates that are not worth a look ahead: they are soon stored
_NOTICE = 1 << 20  # words of candidates between two moments at which a caller may stop


class Scan:
    """Scores behaviours by the thousand, those of a bank on the first of the examples.

    What the bank's behaviours can be put together to is scored first, and stored only when longer programs need it.

    Attributes:
        deepest: every program of at most so many bits was scored.
    """

    def __init__(self, scores: Scores, bank: Bank, max_programs: int | None) -> None:
        self.scores, self.bank, self.beyond = scores, bank, Beyond(bank)
        self.max_programs = max_programs
        self.deepest = 0
        points = len(bank.inputs)
        self._misses = Misses(bank.lanes, scores.outputs[:points])
        self._partial = points < scores.n
        rest = scores.code.least(scores.n - points)
        self._costs = np.array([scores.code.labels(points, k) for k in range(points + 1)]) + rest
        self._hidden = inf  # the fewest bits that a program may have whose like on the first points was looked at

    @property
    def visited(self) -> int:
        return self.bank.candidates + self.beyond.candidates

    @property
    def others(self) -> float:
        """The fewest bits of any code that was not looked at."""
        return min(self.deepest + 1 + self.scores.code.least(self.scores.n), self._hidden)

    def progress(self) -> NoisyProgress:
        return self.scores.progress(self.visited, 0, self.others)

    def run(self) -> Iterator[NoisyProgress]:
        growing = self.bank.grow()
        while self.scores.bits > self.others:  # else nothing can come that is shorter than what there is
            ahead = self.deepest + 1
            in_reach = ahead <= self.beyond.reach
            work = self.beyond.work(ahead) if in_reach else 0
            if work > _FEW:
                if self.max_programs is not None and self.visited + work > self.max_programs:
                    return
                yield from self._look_ahead(ahead)
                continue
            if self.max_programs is not None:
                self.bank.max_programs = self.max_programs - self.beyond.candidates
            if next(growing, None) is not None:
                self._take_stock()
            elif self.bank.stopped == "closed":
                self.deepest = MAX_BITS
            elif in_reach:
                yield from self._look_ahead(ahead)
            else:
                return
            yield self.progress()

    def _take_stock(self) -> None:
        """Score what is new in the bank."""
        shelf = self.bank.shelves["value"]
        for bits in range(self.deepest + 1, self.bank.deepest + 1):
            if shelf.count(bits):
                first = shelf.offsets[bits]
                for index in self._promising(bits, shelf.level(bits)):
                    self.scores.offer(self.bank.program(first + index))
        self.deepest = max(self.deepest, self.bank.deepest)

    def _look_ahead(self, bits: int) -> Iterator[NoisyProgress]:
        """Score the programs of so many bits, which the bank does not hold."""
        told, notice = self.visited, _NOTICE // self.bank.lanes.words
        for words, rule, places in self.beyond.blocks(bits):
            for index in self._promising(bits, words.reshape(words.shape[0], -1)):
                along = np.unravel_index(index, [len(x) for x in places])
                arguments = [int(x[i]) for x, i in zip(places, along, strict=True)]
                self.scores.offer(self.beyond.program(rule, arguments))
                yield self.progress()  # to find a program of a large level that level may have to be built again
            if self.visited - told > notice:
                told = self.visited
                yield self.progress()
        self.deepest = bits
        yield self.progress()

    def _promising(self, bits: int, words: Words) -> Iterator[int]:
        """Positions of those that may be the best so far, likeliest first."""
        bounds = self._costs[self._misses.of(words)] + bits
        least = float(bounds.min())
        if self._partial:
            self._hidden = min(self._hidden, least)
        if least >= self.scores.bits:
            return
        found = np.flatnonzero(bounds < self.scores.bits)
        for index in found[np.argsort(bounds[found], kind="stable")[:_MOST_CHECKED]].tolist():
            if bounds[index] < self.scores.bits:
                yield index
