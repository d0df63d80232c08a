"""Search where labels may be wrong: the program of the shortest two-part code, that of its own bits and its exceptions.

``enumerate_noisy`` scores every behaviour in the bank on the examples, so that it knows the best of all programs up to
some length. ``meet_noisy`` reaches further: it searches small subsets of the examples exactly, of which some are
without a wrong label, and scores what it finds on all. Neither offers a program with which the labels cost no less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil, inf, log2
from typing import TypeAlias

import numpy as np

from synth.bank import MEMORY_MIB, Bank
from synth.carrier import Carrier, IntArray
from synth.draws import permutation
from synth.examples import MOST_POINTS, Contradiction
from synth.grammar import cheapest
from synth.lanes import Words
from synth.language import Language
from synth.misses import Beyond, Misses
from synth.program import Program
from synth.search import MAX_BITS, Progress, enumerate_programs, meet_in_the_middle
from synth.twopart import TwoPart, subsets_needed

MISSED = 1e-3  # a run of subsets goes on until the chance that all hold a wrong label is smaller
_MOST_POINTS = 128  # examples on which behaviours are scored together; the others are looked at one program at a time
_MOST_CHECKED = 64  # programs of one level that are put to those others
_FIRST_WORK = 1 << 12  # candidates that the first subsets are searched for
_MOST_WORK = 1 << 28
_GROWTH = 4
_SPARE_BITS = 8.0  # a subset's labels hold so many bits more than a search can explain by chance
_MOST_SUBSETS = 2048
_FEW = 1 << 14  # candidates that are not worth a look ahead: they are soon stored
_NOTICE = 1 << 20  # candidates between two moments at which a caller may stop

_Search: TypeAlias = Callable[..., Iterator[Progress]]


@dataclass(frozen=True)
class NoisyProgress:
    """Where a search under noise stands.

    Attributes:
        program: of the shortest two-part code so far, if that is shorter than the labels without a program; or None.
        score_bits: the length of that code, or that of the labels without a program.
        exceptions: how many examples the program gets wrong; all, where there is none.
        visited: how many candidates were evaluated so far.
        subsets: how many subsets of the examples were searched.
        lower_bound_bits: no program in the language has a shorter two-part code.
        minimal: nor has any than this program.
    """

    program: Program | None
    score_bits: float
    exceptions: int
    visited: int
    subsets: int
    lower_bound_bits: float
    minimal: bool


class _Scores:
    """The examples, and the best program so far."""

    def __init__(self, carrier: Carrier, inputs: IntArray, outputs: IntArray, noise: float) -> None:
        self.carrier = carrier
        self.inputs = np.asarray(inputs, dtype=np.int64)
        self.outputs = np.asarray(outputs, dtype=np.int64)
        if self.inputs.ndim != 2 or self.outputs.shape != self.inputs.shape[:1]:
            raise ValueError(
                f"examples: inputs of shape (n, arity) and outputs of shape (n,) are expected, "
                f"got {self.inputs.shape} and {self.outputs.shape}"
            )
        for what, values in (("input", self.inputs), ("output", self.outputs)):
            if values.size and (values.min() < 0 or values.max() >= carrier.size):
                raise ValueError(
                    f"examples: every {what} must be an element 0..{carrier.size - 1} of {carrier.name}, "
                    f"got {values.min()}..{values.max()}"
                )
        self.n = len(self.outputs)
        self.code = TwoPart(carrier.size, noise)
        self.program: Program | None = None
        self.exceptions = self.n
        self.bits = self.code.null(self.n)

    def right(self, program: Program) -> IntArray:
        """Positions of the examples that the program gets right."""
        return np.flatnonzero(program.evaluate(self.inputs, self.carrier) == self.outputs)

    def offer(self, program: Program) -> bool:
        """Whether the program is the best so far; then it is kept."""
        if program.bits + self.code.least(self.n) >= self.bits:
            return False
        k = self.n - len(self.right(program))
        bits = program.bits + self.code.labels(self.n, k)
        if bits >= self.bits:
            return False
        self.program, self.exceptions, self.bits = program, k, bits
        return True

    def progress(self, visited: int, subsets: int, others: float) -> NoisyProgress:
        """Where all other programs have a code of at least so many bits."""
        minimal = self.program is not None and self.bits <= others
        bound = min(self.bits, others) if self.program is not None else others
        return NoisyProgress(self.program, self.bits, self.exceptions, visited, subsets, bound, minimal)


def enumerate_noisy(
    language: Language,
    carrier: Carrier,
    inputs: IntArray,
    outputs: IntArray,
    *,
    noise: float,
    memory_mib: int = MEMORY_MIB,
    max_programs: int | None = None,
) -> Iterator[NoisyProgress]:
    """All programs in order of length, every behaviour scored: the best of all up to the length reached.

    A longer program costs its own bits and those of labels that it all gets right, and no more: this is the lower
    bound. The search ends where it has come up to the best, or to the labels without a program, or at the limits. On
    more than 128 examples behaviours are told apart on the first 128; what could differ beyond is in the bound, too.

    Programs on plain integers have no bank: there subsets are searched, as ``meet_noisy`` does.

    Args:
        inputs, outputs: the examples, shapes (n, arity) and (n,); one input may have several labels.
        noise: the declared share of wrong labels, from 0 to 1.
        memory_mib, max_programs: as ``enumerate_programs`` takes them.

    Raises:
        ValueError: examples of another shape or outside the carrier, or a noise that is no probability.
    """
    scores = _Scores(carrier, inputs, outputs, noise)
    if not scores.n:
        return
    if language.integers:
        yield from _by_subsets(enumerate_programs, language, scores, 0, memory_mib, max_programs)
        return
    bank = Bank(
        language,
        carrier,
        scores.inputs[:_MOST_POINTS],
        max_bits=MAX_BITS,
        memory_mib=memory_mib // 2,
        max_programs=max_programs,
    )
    yield from _Every(scores, bank, max_programs).run()


class _Every:
    """Scores behaviours by the thousand, in order of length.

    What the bank's behaviours can be put together to is scored first, and stored only when longer programs need it.

    Attributes:
        deepest: every program of at most so many bits was scored.
    """

    def __init__(self, scores: _Scores, bank: Bank, max_programs: int | None) -> None:
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
        told = self.visited
        for words, rule, places in self.beyond.blocks(bits):
            for index in self._promising(bits, words.reshape(words.shape[0], -1)):
                along = np.unravel_index(index, [len(x) for x in places])
                arguments = [int(x[i]) for x, i in zip(places, along, strict=True)]
                self.scores.offer(self.beyond.program(rule, arguments))
            if self.visited - told > _NOTICE:
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


def meet_noisy(
    language: Language,
    carrier: Carrier,
    inputs: IntArray,
    outputs: IntArray,
    *,
    noise: float,
    seed: int,
    memory_mib: int = MEMORY_MIB,
    max_programs: int | None = None,
) -> Iterator[NoisyProgress]:
    """Meet-in-the-middle on small subsets of the examples, and what it finds scored on all of them.

    In rounds: as many subsets as it takes until one is without a wrong label, but for a chance of 1 in 1000; each is
    searched until something agrees with it or its share of the work is used up. After a round the best program's right
    examples are searched once more for a shorter one. If its exceptions are as many as the noise makes plausible, the
    search ends; otherwise each subset of the next round gets four times the work, and as many more examples as that
    needs. The lower bound is the trivial one: what is left unproved is said to be.

    Arguments as ``enumerate_noisy`` takes them, and
        seed: of the subsets.
    """
    scores = _Scores(carrier, inputs, outputs, noise)
    if scores.n:
        yield from _by_subsets(meet_in_the_middle, language, scores, seed, memory_mib, max_programs)


def _by_subsets(
    search: _Search, language: Language, scores: _Scores, seed: int, memory_mib: int, max_programs: int | None
) -> Iterator[NoisyProgress]:
    code, n = scores.code, scores.n
    others = float(cheapest(language)["value"]) + code.least(n)
    visited = subsets = 0
    work = _FIRST_WORK
    while work <= _MOST_WORK and (max_programs is None or visited < max_programs):
        size = _subset_size(n, work, scores.carrier.size)
        count = subsets_needed(n, size, code.noise, MISSED, _MOST_SUBSETS)
        blocks = max(1, n // size)
        order = np.arange(n)
        before = scores.bits
        for i in range(count):
            if i % blocks == 0:
                order = permutation(seed, f"subsets of {work} {i}", n)
            chosen = np.sort(order[(i % blocks) * size : (i % blocks + 1) * size])
            share = work if max_programs is None else min(work, max_programs - visited)
            if share <= 0:
                break
            visited += _offer(search, language, scores, chosen, share, memory_mib, thorough=False)
            subsets += 1
            yield scores.progress(visited, subsets, others)
        if scores.program is not None and scores.bits < before:
            right = scores.right(scores.program)
            share = work if max_programs is None else min(work, max_programs - visited)
            if share > 0:
                visited += _offer(search, language, scores, right, share, memory_mib, thorough=True)
        yield scores.progress(visited, subsets, others)
        if scores.program is not None and code.plausible(n, scores.exceptions, MISSED):
            return
        work *= _GROWTH


def _subset_size(n: int, work: int, size: int) -> int:
    """How many examples tell what is meant from what so much work may hit upon.

    Half the candidates meet the other half, and each pair agrees with s labels by chance with probability m^-s.
    """
    pairs = 2 * (log2(work) - 1)
    wanted = ceil((pairs + _SPARE_BITS) / log2(size)) if size > 1 else 1
    return min(n, wanted, MOST_POINTS)


def _offer(
    search: _Search,
    language: Language,
    scores: _Scores,
    chosen: IntArray,
    work: int,
    memory_mib: int,
    *,
    thorough: bool,
) -> int:
    """Offer what agrees with the chosen examples; how many candidates that took, at least 1.

    Ends where a program is the best so far or is the best again, or if ``thorough`` with the shortest that agrees.
    """
    visited, seen = 0, None
    inputs, outputs = scores.inputs[chosen], scores.outputs[chosen]
    try:
        for step in search(language, scores.carrier, inputs, outputs, memory_mib=memory_mib, max_programs=work):
            visited = step.visited
            if step.program is None or step.program == seen:
                continue
            seen = step.program
            if (scores.offer(seen) or seen == scores.program) and not thorough:
                break
    except Contradiction:  # one of the labels is wrong, whatever else is
        pass
    return max(1, visited)
