"""Certificates: all programs a little longer than a bank's deepest level, by what may stand at their root.

If a bank has every program of at most C bits, it has both arguments of every program of at most C + margin bits, where
the margin is what a production adds at least to its dearer argument (6 bits in ``ring``: an operator and a variable).
So it is enough to ask of each production which behaviours of the bank give the target: the cheaper argument is tried,
the dearer looked up; a single argument is tried; minima, maxima and conditionals are put together from sets of points.
Of any other production all that a few levels more would hold is evaluated, where that is not too much.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from synth.bank import Bank
from synth.carrier import IntArray
from synth.conditionals import MOST_POINTS, cheapest_by_set, conditional_rule, conditionals, sets
from synth.grammar import SORTS, cheapest, overhead, stride
from synth.kernels import kernels
from synth.lanes import Words
from synth.language import language as named_language
from synth.program import Production, Program
from synth.solvers import Solver, solvers

_MOST_SCANNED = 1 << 22  # candidates that are evaluated to see whether they are the target

Match = tuple[int, Callable[[], Program]]


class Roots:
    """What stands at the root of programs for one target.

    Attributes:
        margin: how many bits beyond the bank's deepest level ``matches`` can cover.
    """

    def __init__(self, bank: Bank, target: Words) -> None:
        self.bank, self.target = bank, target
        self._solvers: list[Solver] = []
        self._forward: list[Production] = []
        self._extrema: list[tuple[Production, bool]] = []
        self._scanned: list[Production] = []  # not to be turned round, or the target has zeros that products hide
        has_zero = bool((bank.lanes.unpack(target) == 0).any())
        full = named_language("full", 1)
        covered = True
        for rule in bank.language.of_sort("value"):
            if not rule.arguments:
                continue
            turned = [x for x in solvers(bank.language, bank.carrier) if x.rule is rule and x.complete]
            if rule.arity == 1 and rule.arguments == ("value",):
                self._forward.append(rule)
            elif len(turned) == (1 if rule.commutes else 2) and not (has_zero and rule.name in ("*", "/")):
                self._solvers.extend(turned)
            elif rule.semantics in (full["min"].semantics, full["max"].semantics):
                self._extrema.append((rule, rule.semantics is full["min"].semantics))
            elif set(rule.arguments) == {"value"}:
                self._scanned.append(rule)
            elif rule is not conditional_rule(bank):
                covered = False
        if (self._extrema or conditional_rule(bank)) and bank.lanes.points > MOST_POINTS:
            covered = False
        self.margin = stride(bank.language) if covered else 0

    @property
    def reach(self) -> int:
        """Up to how many bits ``matches`` covers, now; the bank's depth where it covers nothing."""
        deepest, values, conditions = self.bank.deepest, *(self.bank.shelves[x].worded for x in SORTS)
        if not self.margin:
            return deepest
        high = min(deepest, values) + self.margin
        if (rule := conditional_rule(self.bank)) is not None:
            high = min(high, conditions + int(overhead(rule, 0, cheapest(self.bank.language))))
        while high > deepest and self._scan_work(deepest + 1, high) > _MOST_SCANNED:
            high -= 1
        return max(high, deepest)

    def _scan_work(self, low: int, high: int) -> float:
        """How many candidates of those productions there are of ``low`` to ``high`` bits, at most."""
        counts, total = self.bank.shelves["value"].counts(), 0.0
        for rule in self._scanned:
            ways = counts
            for _ in rule.arguments[1:]:
                ways = np.convolve(ways, counts)
            total += float(ways[max(low - rule.bits, 0) : max(high + 1 - rule.bits, 0)].sum())
        return total

    def matches(self) -> list[Match]:
        """Programs that agree with the target, ascending. The first has the fewest bits of all that are longer than the
        bank is deep and no longer than ``reach``; there is none where none agrees."""
        low, high = self.bank.deepest + 1, self.reach
        if high < low:
            return []
        found = [*self._by_solvers(high), *self._by_trial(low, high), *self._by_sets(), *self._by_scan(low, high)]
        for bits, (condition, then, otherwise) in conditionals(self.bank, self.target, float(high + 1)):
            rule = conditional_rule(self.bank)
            assert rule is not None
            found.append((bits, self._choice(rule, condition, then, otherwise)))
            break
        return sorted((x for x in found if low <= x[0] <= high), key=lambda x: x[0])

    def _choice(self, rule: Production, condition: int, then: int, otherwise: int) -> Callable[[], Program]:
        bank = self.bank
        return lambda: Program(rule, (bank.condition(condition), bank.program(then), bank.program(otherwise)))

    def _program(self, rule: Production, *arguments: int) -> Callable[[], Program]:
        return lambda: Program(rule, tuple(self.bank.program(i) for i in arguments))

    def _by_solvers(self, high: int) -> Iterator[Match]:
        shelf = self.bank.shelves["value"]
        for solver in self._solvers:
            most = (high - solver.rule.bits) // 2
            count = int(shelf.places.take(most + 1, mode="clip"))
            other = shelf.words_at(np.arange(count))
            answer = solver.kernel(self.target, other)
            index = shelf.find(answer, self.bank.lanes.keys(answer))
            hits = np.flatnonzero(index >= 0)
            if solver.check is not None and len(hits):
                parts = answer.take(hits, axis=1), self.target, other.take(hits, axis=1)
                hits = hits[solver.check(*parts)]
            for i in hits.tolist():
                pair = (int(index[i]), i) if solver.hole == 0 else (i, int(index[i]))
                bits = solver.rule.bits + sum(shelf.bits_of(x) for x in pair)
                yield bits, self._program(solver.rule, *pair)

    def _by_trial(self, low: int, high: int) -> Iterator[Match]:
        shelf = self.bank.shelves["value"]
        built = kernels(self.bank.carrier)
        for rule in self._forward:
            for bits in range(max(1, low - rule.bits), min(high - rule.bits, shelf.worded) + 1):
                if shelf.count(bits):
                    same = (built.of(rule)(np.ascontiguousarray(shelf.level(bits))) == self.target).all(axis=0)
                    for i in np.flatnonzero(same)[:1].tolist():
                        yield bits + rule.bits, self._program(rule, shelf.offsets[bits] + i)

    def _by_scan(self, low: int, high: int) -> Iterator[Match]:
        for rule in self._scanned:
            for bits in range(low, high + 1):
                for block, words in self.bank.candidates_of(rule, bits):
                    for i in (words == self.target).all(axis=0).nonzero()[0][:1]:
                        yield bits, self._program(rule, *(int(x[0]) for x in block.arguments(np.array([i]))))

    def _by_sets(self) -> Iterator[Match]:
        """The cheapest minimum and maximum: no argument is beyond the target, and at each point one of them is it."""
        shelf, lanes = self.bank.shelves["value"], self.bank.lanes
        goal = np.ascontiguousarray(self.target.T).view(lanes.dtype)
        everywhere = (1 << lanes.points) - 1
        for rule, is_minimum in self._extrema:
            words = shelf.all_words()
            values = np.ascontiguousarray(words.T).view(lanes.dtype)
            fits: IntArray = np.flatnonzero(((values >= goal) if is_minimum else (values <= goal)).all(axis=1))
            if not len(fits):
                continue
            right = sets(self.bank, words.take(fits, axis=1) ^ self.target, lanes.points)
            first = cheapest_by_set(right, lanes.points)
            other = first[everywhere - right]
            able = np.flatnonzero(other < len(fits))
            if len(able):
                left, second = fits[able], fits[other[able]]
                bits = rule.bits + shelf.bits_at(left) + shelf.bits_at(second)
                best = int(np.argmin(bits))
                yield int(bits[best]), self._program(rule, int(left[best]), int(second[best]))
