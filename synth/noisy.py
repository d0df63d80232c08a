"""Search where labels may be wrong: the program of the shortest two-part code, that of its own bits and its exceptions.

``enumerate_noisy`` scores every behaviour in the bank on the examples, so that it knows the best of all programs up to
some length. ``meet_noisy`` reaches further: it searches small subsets of the examples exactly, of which some are
without a wrong label, and scores what it finds on all. Neither offers a program with which the labels cost no less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil, log2
from typing import TypeAlias

import numpy as np

from synth.bank import MEMORY_MIB, Bank
from synth.carrier import Carrier, IntArray
from synth.draws import permutation
from synth.examples import MOST_POINTS, Contradiction
from synth.grammar import cheapest
from synth.language import Language
from synth.scan import Scan
from synth.scores import NoisyProgress, Scores
from synth.search import MAX_BITS, Progress, enumerate_programs, meet_in_the_middle
from synth.twopart import TwoPart, subsets_needed

MISSED = 1e-3  # a run of subsets goes on until the chance that all hold a wrong label is smaller
_MOST_POINTS = 128  # examples on which behaviours are scored together; the others are looked at one program at a time
_FIRST_WORK = 1 << 12  # candidates that the first subsets are searched for
_MOST_WORK = 1 << 28  # and the last: more would not fit any memory
_GROWTH = 4
_RARE = 0.03  # more wrong labels than come so rarely are not reckoned with
_SPARE_BITS = 8.0  # a subset's labels hold so many bits more than a search can explain by chance
_MOST_SUBSETS = 2048

__all__ = ["NoisyProgress", "enumerate_noisy", "meet_noisy"]

_Search: TypeAlias = Callable[..., Iterator[Progress]]


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
    scores = Scores(carrier, inputs, outputs, noise)
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
        memory_mib=memory_mib // 3,  # as the scan keeps behaviours prepared for products and quotients besides
        max_programs=max_programs,
    )
    yield from Scan(scores, bank, max_programs).run()


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
    searched until what agrees with it is the best so far, or its share of the work is used up. If the best program's
    exceptions are then no more than the noise makes plausible, the search ends; otherwise each subset of the next round
    gets four times the work, and as many more examples as that needs. The lower bound is the trivial one: no proof is
    attempted.

    Arguments as ``enumerate_noisy`` takes them, and
        seed: of the subsets.
    """
    scores = Scores(carrier, inputs, outputs, noise)
    if scores.n:
        yield from _by_subsets(meet_in_the_middle, language, scores, seed, memory_mib, max_programs)


def _by_subsets(
    search: _Search, language: Language, scores: Scores, seed: int, memory_mib: int, max_programs: int | None
) -> Iterator[NoisyProgress]:
    code, n = scores.code, scores.n
    others = float(cheapest(language)["value"]) + code.least(n)
    visited = subsets = 0
    work = _FIRST_WORK
    while work <= _MOST_WORK and (max_programs is None or visited < max_programs):
        size = _subset_size(n, work, code)
        count = subsets_needed(n, size, code.noise, MISSED, _MOST_SUBSETS)
        blocks = max(1, n // size)
        order = np.arange(n)
        for i in range(count):
            if i % blocks == 0:
                order = permutation(seed, f"subsets of {work} {i}", n)
            chosen = np.sort(order[(i % blocks) * size : (i % blocks + 1) * size])
            share = work if max_programs is None else min(work, max_programs - visited)
            if share <= 0:
                break
            visited += _offer(search, language, scores, chosen, share, memory_mib)
            subsets += 1
            yield scores.progress(visited, subsets, others)
        if scores.program is not None and scores.exceptions <= code.most(n, MISSED):
            return
        work *= _GROWTH


def _subset_size(n: int, work: int, code: TwoPart) -> int:
    """How many examples tell what is meant from what so much work may hit upon; fewer, if they would hold wrong labels.

    Half the candidates meet the other half, and each pair agrees with s labels by chance with probability m^-s.
    """
    pairs = 2 * (log2(work) - 1)
    wanted = ceil((pairs + _SPARE_BITS) / log2(code.size)) if code.size > 1 else 1
    return max(1, min(n - code.most(n, _RARE), wanted, MOST_POINTS))


def _offer(
    search: _Search,
    language: Language,
    scores: Scores,
    chosen: IntArray,
    work: int,
    memory_mib: int,
) -> int:
    """Offer what agrees with the chosen examples; how many candidates that took, at least 1.

    Ends where a program is the best so far or is the best again. One as good but longer is soon overtaken: by another
    subset without a wrong label, which is searched on as long as what it yields is not the best.
    """
    visited, seen = 0, None
    inputs, outputs = scores.inputs[chosen], scores.outputs[chosen]
    try:
        for step in search(language, scores.carrier, inputs, outputs, memory_mib=memory_mib, max_programs=work):
            visited = step.visited
            if step.program is None or step.program == seen:
                continue
            seen = step.program
            if scores.offer(seen) or seen == scores.program:
                break
    except Contradiction:  # one of the labels is wrong, whatever else is
        pass
    return max(1, visited)
