"""The two searches: all programs in order of length, and meet-in-the-middle from the examples downwards.

Both tell behaviours apart by a fingerprint, a few of the examples, and put what matches to all of them. Where a match
fails there, programs that agree with all examples may hide behind one that does not; then the search starts again with
more points, so that what it says of minimality stays true. Neither knows a clock: the caller stops between two answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from synth.bank import MEMORY_MIB, Bank
from synth.carrier import Carrier, IntArray
from synth.certificate import Roots
from synth.conditionals import conditional_rule, conditionals
from synth.contexts import Contexts
from synth.examples import Contradiction, Examples, is_conditional
from synth.language import Language
from synth.program import Program
from synth.ranking import meeting
from synth.shelf import Shelf

MAX_BITS = 1 << 20  # longer than any search will get
TIE_BITS = 16  # up to so many bits, where few examples leave many equals, a tie is broken as enumerate_programs does
_MOST_CONTEXTS = 1 << 17  # residuals that are computed at a time by gathering
_MOST_CHECKED = 200  # conditionals that are put to all examples at a time

__all__ = ["Contradiction", "Progress", "enumerate_programs", "meet_in_the_middle"]


@dataclass(frozen=True)
class Progress:
    """Where a search stands.

    Attributes:
        program: the shortest found that agrees with all examples, or None.
        visited: how many candidates were evaluated so far.
        lower_bound_bits: every program in the language that agrees with all examples has at least so many bits.
        minimal: the program has no more bits than any that agrees.
    """

    program: Program | None
    visited: int
    lower_bound_bits: int
    minimal: bool


def enumerate_programs(
    language: Language,
    carrier: Carrier,
    inputs: IntArray,
    outputs: IntArray,
    *,
    memory_mib: int = MEMORY_MIB,
    max_programs: int | None = None,
) -> Iterator[Progress]:
    """All programs in order of length until one agrees with all examples: it is minimal.

    Args:
        inputs, outputs: the examples, shapes (n, arity) and (n,); n may be 0.
        memory_mib: what the search may hold. It ends after the deepest complete level that fits.
        max_programs: how many candidates it may evaluate; it ends after the deepest complete level, too.

    Raises:
        ValueError: examples of another shape or outside the carrier; Contradiction where no program can agree.
    """
    examples = Examples(carrier, inputs, outputs)
    if (trivial := _without_examples(language, examples)) is not None:
        yield trivial
        return
    if language.integers:
        from synth.integer_search import search_integers  # which builds on this file

        yield from search_integers(language, examples, meet=False, memory_mib=memory_mib, max_programs=max_programs)
        return
    points, visited, bound = examples.fingerprint(conditional=False), 0, 1
    while True:
        left = None if max_programs is None else max_programs - visited
        bank = Bank(
            language, carrier, examples.inputs[points], max_bits=MAX_BITS, memory_mib=memory_mib, max_programs=left
        )
        target = examples.outputs[points][None]
        wrong: IntArray | None = None
        for deepest in bank.grow():
            index = int(bank.find(target)[0])
            if index >= 0:
                program = bank.program(index)
                wrong = examples.disagreements(program)
                if not len(wrong):
                    yield Progress(program, visited + bank.candidates, program.bits, True)
                    return
                bound = max(bound, program.bits)
                break
            bound = max(bound, deepest + 1)
            yield Progress(None, visited + bank.candidates, bound, False)
        visited += bank.candidates
        if wrong is None:
            return
        points = examples.refined(points, wrong)


def _without_examples(language: Language, examples: Examples) -> Progress | None:
    """With nothing to agree with, the answer is the shortest program."""
    if examples.n:
        return None
    leaves = [x for x in language.of_sort("value") if not x.arity]
    shortest = Program(min(leaves, key=lambda x: x.bits))
    return Progress(shortest, 1, shortest.bits, True)


def meet_in_the_middle(
    language: Language,
    carrier: Carrier,
    inputs: IntArray,
    outputs: IntArray,
    *,
    memory_mib: int = MEMORY_MIB,
    max_programs: int | None = None,
) -> Iterator[Progress]:
    """Grow a bank upwards and contexts downwards until a residual of a context is in the bank; then certify.

    The first answer is quick and rarely longer than the shortest. The search goes on until an answer is certified
    minimal, or to the limits, with the lower bound that it has reached. Arguments as ``enumerate_programs`` takes them.
    """
    examples = Examples(carrier, inputs, outputs)
    if (trivial := _without_examples(language, examples)) is not None:
        yield trivial
        return
    if language.integers:
        from synth.integer_search import search_integers  # which builds on this file

        yield from search_integers(language, examples, meet=True, memory_mib=memory_mib, max_programs=max_programs)
        return
    points = examples.fingerprint(conditional=is_conditional(language))
    best: Program | None = None
    visited = 0
    while True:
        left = None if max_programs is None else max_programs - visited
        search = _Meeting(language, examples, points, best, memory_mib, left)
        for progress in search.run():
            yield Progress(progress.program, visited + progress.visited, progress.lower_bound_bits, progress.minimal)
        if search.wrong is None:
            if search.progress().minimal and search.best is not None and search.best.bits <= TIE_BITS:
                yield from _first_of_equals(search, visited)
            return
        best, visited = search.best, visited + search.visited
        points = examples.refined(points, search.wrong)


def _first_of_equals(search: _Meeting, visited: int) -> Iterator[Progress]:
    """Of several minimal programs the one that ``enumerate_programs`` comes to first, so that the two agree."""
    bits = search.best.bits if search.best is not None else 0
    bank, examples = search.bank, search.examples
    for progress in enumerate_programs(bank.language, bank.carrier, examples.inputs, examples.outputs):
        if progress.program is not None and progress.program.bits == bits and progress.program != search.best:
            yield Progress(progress.program, visited + search.visited + progress.visited, bits, True)


class _Meeting:
    """One meet-in-the-middle search, on one fingerprint.

    Attributes:
        best: the shortest program so far.
        wrong: positions of examples that a match of the fingerprint got wrong; then it is to be refined.
    """

    def __init__(
        self,
        language: Language,
        examples: Examples,
        points: IntArray,
        best: Program | None,
        memory_mib: int,
        max_programs: int | None,
    ) -> None:
        self.examples = examples
        self.bank = Bank(
            language,
            examples.carrier,
            examples.inputs[points],
            max_bits=MAX_BITS,
            memory_mib=memory_mib * 2 // 5,
            max_programs=max_programs,
        )
        self.target = self.bank.lanes.pack(examples.outputs[points][None])
        self.contexts = Contexts(self.bank, self.target)
        self._roots: Roots | None = None
        self.best = best
        self.bound = 1  # every program that agrees has at least so many bits
        self.wrong: IntArray | None = None
        self.max_programs = max_programs
        self.memory_mib = memory_mib
        self._large = self._full = False  # contexts level by level; no more contexts
        self._conditional = conditional_rule(self.bank)

    @property
    def visited(self) -> int:
        return self.bank.candidates + self.contexts.evaluated

    def progress(self) -> Progress:
        minimal = self.best is not None and self.best.bits <= self.bound
        bound = self.best.bits if self.best is not None and minimal else self.bound
        return Progress(self.best, self.visited, bound, minimal)

    def run(self) -> Iterator[Progress]:
        growing = self.bank.grow()
        growth, told = True, self.best
        while (look := self._contexts_are_due(growth)) or growth:
            if look:
                yield from self._look()
            else:
                before = self.bank.deepest
                if self.max_programs is not None:
                    self.bank.max_programs = self.max_programs - self.contexts.evaluated
                growth = next(growing, None) is not None
                if self.bank.deepest > before:
                    self._meet(before)
                    self._choose()
                    if self.wrong is None:
                        self.bound = self.bank.deepest + 1
            if self.best is not told:
                told = self.best
                yield self.progress()  # before it is certified, as that takes its time
            self._certify(at_last=not growth)
            yield self.progress()
            if self.wrong is not None or self.progress().minimal:
                return

    def _next_depth(self) -> int:
        return self.contexts.deepest + (1 if self._large else self.contexts.stride)

    def _contexts_are_due(self, growth: bool) -> bool:
        """Whether to look further down rather than up: the two depths are kept alike, and no further than of use."""
        contexts, deepest = self.contexts, self.bank.deepest
        if self.bank.stopped == "closed":  # it holds every behaviour that there is
            return False
        if not contexts.solvers or self._full or (growth and contexts.deepest >= deepest):
            return False
        if self.best is not None and contexts.deepest + deepest >= self.best.bits:
            return False
        if self._next_depth() > 2 * deepest:
            return False
        allowed = np.inf if self.max_programs is None else self.max_programs - self.visited
        if not self._large and len(contexts) * len(self.bank) * len(contexts.solvers) <= min(allowed, _MOST_CONTEXTS):
            return True
        work = contexts.work(self._next_depth())
        if work > _MOST_CONTEXTS and not self._large:
            self._large = True
            work = contexts.work(self._next_depth())
            self._full = not self.bank.lanes.exact
        return work <= allowed and not self._full

    def _look(self) -> Iterator[Progress]:
        """Make deeper contexts and fill their holes."""
        if not self._large:
            self.contexts.extend(self._next_depth())
            i, j = meeting(self.bank.shelves["value"].keys, self.contexts.raw_keys)
            self._check_meetings(self.contexts.raw_bits(j), i, j, self.contexts.raw_program)
            return
        before = self.contexts.deepest
        for _ in self.contexts.extend_level(self._fits):
            yield self.progress()
        if self.contexts.deepest > before:
            self._fill(self.bank.shelves["value"], 0, self.contexts.shelf, before + 1)
        else:
            self._full = True

    def _fits(self, more: float) -> bool:
        return self.contexts.bytes + more <= self.memory_mib * 2 // 5 * 2**20

    def _certify(self, *, at_last: bool) -> None:
        """Raise the bound by what the roots show, where that settles the matter or nothing else will."""
        deepest = self.bank.deepest
        if self.wrong is not None or self.bound > deepest + 1 or not deepest:
            return
        if self._roots is None:
            if self.best is None and not at_last:
                return
            self._roots = Roots(self.bank, self.target)
        reach = self._roots.reach
        settles = self.best is not None and deepest + 1 < self.best.bits <= reach + 1
        if reach <= deepest or not (settles or at_last):
            return
        for bits, build in self._roots.matches():
            if self.best is not None and bits >= self.best.bits:
                break
            if self._check(build(), exact=True):
                break
            if self.wrong is not None:
                self.bound = bits
                return
        self.bound = reach + 1 if self.best is None else min(self.best.bits, reach + 1)

    def _meet(self, deeper_than: int) -> None:
        """Programs from all contexts with behaviours of more than so many bits in their holes."""
        self.contexts.sort_out()
        self._fill(self.bank.shelves["value"], deeper_than + 1, self.contexts.shelf, 0)

    def _fill(self, bank: Shelf, fillers_from: int, contexts: Shelf, contexts_from: int) -> None:
        """Programs from contexts and behaviours, each of so many bits or more."""
        first, second = bank.keys_from(fillers_from), contexts.keys_from(contexts_from)
        i, j = meeting(first, second) if len(first) <= len(second) else meeting(second, first)[::-1]
        i, j = i + bank.offsets[fillers_from], j + contexts.offsets[contexts_from]
        self._check_meetings(contexts.bits_at(j), i, j, self.contexts.program)

    def _check_meetings(
        self, bits: IntArray, fillers: IntArray, contexts: IntArray, build: Callable[[int, Program], Program]
    ) -> None:
        if not len(bits):
            return
        bits = bits + self.bank.shelves["value"].bits_at(fillers)
        for at in np.argsort(bits, kind="stable").tolist():
            if self.best is not None and bits[at] >= self.best.bits:
                return
            self._check(build(int(contexts[at]), self.bank.program(int(fillers[at]))), exact=True)
            if self.wrong is not None:
                return

    def _choose(self) -> None:
        """Conditional programs whose parts are all in the bank."""
        rule = self._conditional
        if rule is None or self.wrong is not None:
            return
        below = self.best.bits if self.best is not None else np.inf
        for checked, (_, (condition, then, otherwise)) in enumerate(conditionals(self.bank, self.target, below)):
            parts = (self.bank.condition(condition), self.bank.program(then), self.bank.program(otherwise))
            if self._check(Program(rule, parts), exact=False) or checked > _MOST_CHECKED:
                return

    def _check(self, program: Program, *, exact: bool) -> bool:
        wrong = self.examples.disagreements(program)
        if not len(wrong):
            self.best = program
            return True
        if exact:
            self.wrong = wrong
        return False
