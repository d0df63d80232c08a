"""Derivations: every way in which behaviours are made of behaviours, up to a number of bits, and so their masses.

A bank keeps the first program of each behaviour; here every program counts. A behaviour's mass is the sum of 2^-bits
over all programs that have it and are built of behaviours whose cheapest programs, with the production that joins them,
have at most ``deepest`` bits in all, at the root and at every node below. So every program of at most ``deepest`` bits
counts, and so do much longer ones that take detours, as a + b - b + b does.

Which programs count does not depend on any label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from synth.behaviours import LITERAL, Behaviours, Made, Masses, evaluate, probes
from synth.carrier import Carrier, IntArray
from synth.grammar import SORTS, cheapest, overhead
from synth.integers import literal, literals_of
from synth.language import Language
from synth.program import Production, Program, Sort
from synth.vectors import Vectors, Words, vectors

_BYTES = 96  # of a candidate, in all that is held of it at any time, besides
_COPIES = 4  # of its values
_LEAST_GAIN = 1e-9  # of mass, that another round of substitution must add
_MOST_ROUNDS = 200


@dataclass(frozen=True, eq=False)
class Steps:
    """Derivations with one production: of which behaviours, by what factor, and what they make.

    Attributes:
        rule: the production.
        arguments: indices, shape (arity, count).
        factor: 2^-bits of the production times the orders of the arguments that it stands for, shape (count,).
        result: indices, shape (count,).
    """

    rule: Production
    arguments: IntArray
    factor: Masses
    result: IntArray


class Derivations:
    """All behaviours of at most ``deepest`` bits on a few points, with their masses.

    Attributes:
        language, carrier: what it was built for.
        inputs: the points, shape (points, arity). Beyond them a behaviour is that of its cheapest program.
        deepest: every program of at most so many bits counts.
        candidates: how many derivations there are.
        behaviours: by sort.
        steps: the derivations but leaves, by production's name.
    """

    def __init__(
        self,
        language: Language,
        carrier: Carrier,
        *,
        inputs: IntArray | None = None,
        most_candidates: int = 1 << 18,
        memory_mib: int = 1024,
        max_bits: int = 1 << 20,
    ) -> None:
        """Level by level, until the next would take more than ``most_candidates`` derivations, or memory.

        Args:
            inputs: the points; by default 16 of the carrier's, with zeros and equal arguments among them.

        Raises:
            ValueError: the language has no programs on the carrier, or inputs of another shape.
        """
        if not language.suits(carrier):
            raise ValueError(f"Derivations: language {language.name} has no programs on {carrier.name}")
        inputs = probes(carrier, language.arity) if inputs is None else np.asarray(inputs, dtype=np.int64)
        if inputs.ndim != 2 or not len(inputs) or inputs.shape[1] != language.arity:
            raise ValueError(f"Derivations: inputs must have shape (points, {language.arity}), got {inputs.shape}")
        self.language, self.carrier, self.inputs = language, carrier, inputs
        self.deepest = 0
        self.candidates = 0
        self._vectors = vectors(language, carrier, len(inputs))
        arity = max([1, *(x.arity for x in language.productions)])
        self.behaviours: dict[Sort, Behaviours] = {s: Behaviours.none(self._vectors, arity) for s in SORTS}
        self._least = cheapest(language)
        self._parts: dict[str, list[Steps]] = {}
        self._leaf: dict[Sort, list[tuple[IntArray, float]]] = {s: [] for s in SORTS}
        self._programs: dict[tuple[Sort, int], Program] = {}
        each = _BYTES + _COPIES * self._vectors.room(1).nbytes
        most = min(most_candidates, memory_mib * 2**20 // each)
        while self.deepest < max_bits and self._grow(self.deepest + 1, most):
            pass
        self.steps: dict[str, Steps] = {name: _joined(parts) for name, parts in self._parts.items()}
        self._parts = {}
        self._add_up()

    # Building

    def _grow(self, bits: int, most: int) -> bool:
        """Make all of exactly so many bits, or say that it is too much."""
        plans = {s: list(self._plans(s, bits)) for s in SORTS}
        work = sum(count for plan in plans.values() for _, count, _ in plan)
        if self.candidates + work > most or not self._possible(bits):
            return False
        self.candidates += work
        for sort in SORTS:
            made = [x for _, _, build in plans[sort] for x in build()]
            made += list(self._leaves(sort, bits))
            self._put(sort, bits, made)
        self.deepest = bits
        return True

    def _possible(self, bits: int) -> bool:
        """Whether anything of so many bits or more can be made of what is there."""
        if self.language.integers:
            return True
        top = {s: (int(x.bits[-1]) if len(x) else -(1 << 30)) for s, x in self.behaviours.items()}
        return any(x.bits + sum(top[s] for s in x.arguments) >= bits for x in self.language.productions)

    def _plans(self, sort: Sort, bits: int) -> Iterator[tuple[Production, int, Callable[[], Iterator[Made]]]]:
        for position, rule in enumerate(self.language.productions):
            if rule.sort != sort or not rule.arity or rule.bits >= bits:
                continue
            counts = np.ones(1)
            for s in rule.arguments:
                counts = np.convolve(counts, np.diff(self.behaviours[s].offsets))
            left = bits - rule.bits
            count = int(counts[left]) if left < len(counts) else 0
            if count:
                count = count // 2 if rule.commutes else count

                def build(rule: Production = rule, position: int = position, left: int = left) -> Iterator[Made]:
                    yield self._combined(rule, position, left)

                yield rule, count, build

    def _combined(self, rule: Production, position: int, bits: int) -> Made:
        """All of one production whose arguments have so many bits together; of pairs that commute one order."""
        found = self.behaviours[rule.arguments[0]]
        left = bits - found.bits - int(sum(self._least[s] for s in rule.arguments[1:]))
        first = np.flatnonzero(found.bits == bits) if rule.arity == 1 else np.flatnonzero(left >= 0)
        arguments, spent = [first], found.bits[first]
        for i, sort in enumerate(rule.arguments[1:], start=1):
            found = self.behaviours[sort]
            offsets = np.array(found.offsets)
            last = i == rule.arity - 1
            rest = int(sum(self._least[s] for s in rule.arguments[i + 1 :]))
            high = np.clip(bits - spent - rest + 1, 0, len(offsets) - 1)
            stop = offsets[high]
            start = offsets[np.clip(bits - spent, 0, len(offsets) - 1)] if last else np.zeros_like(stop)
            if rule.commutes and last:
                start = np.maximum(start, arguments[-1])
            counts = np.maximum(stop - start, 0)
            row = np.arange(len(counts)).repeat(counts)
            index = np.arange(len(row)) + (start - counts.cumsum() + counts)[row]
            arguments = [x[row] for x in arguments]
            spent = spent[row] + found.bits[index]
            arguments.append(index)
        indices = np.array(arguments)
        times = np.where(indices[0] == indices[1], 1.0, 2.0) if rule.commutes else 1.0
        words = [self.behaviours[s].values.take(x, axis=1) for s, x in zip(rule.arguments, indices, strict=True)]
        return Made(rule, position, indices, times, self._vectors.apply(rule, *words))

    def _leaves(self, sort: Sort, bits: int) -> Iterator[Made]:
        none = np.empty((0, 1), dtype=np.int64)
        for position, rule in enumerate(self.language.productions):
            if rule.sort == sort and not rule.arity and rule.bits == bits:
                yield Made(rule, position, none, 1.0, self._vectors.leaf(rule, self.inputs))
        if self.language.integers and sort == "value" and len(values := np.array(literals_of(bits), dtype=np.int64)):
            self.candidates += len(values)
            made = np.broadcast_to(values, (len(self.inputs), len(values)))
            yield Made(literal(int(values[0])), LITERAL, values[None], 1.0, np.ascontiguousarray(made))

    def _put(self, sort: Sort, bits: int, made: list[Made]) -> None:
        """Number the new behaviours, and note what makes which."""
        found = self.behaviours[sort]
        if made:
            values = np.concatenate([x.values for x in made], axis=1)
            keys = self._vectors.keys(values)
            index, first = found.number(keys)
            if len(first):
                found.extend(bits, values.take(first, axis=1), *self._origins(sort, made, first))
            self._note(sort, made, index)
        found.offsets.append(len(found))

    def _origins(self, sort: Sort, made: list[Made], chosen: IntArray) -> tuple[IntArray, IntArray, IntArray]:
        """Of candidates by their place in all that was made: the production's position, the arguments, the height."""
        count, ends = len(chosen), np.cumsum([len(x) for x in made])
        part = np.searchsorted(ends, chosen, side="right")
        origin, rank = np.empty(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
        arguments = np.full((len(self.behaviours[sort].arguments), count), -1, dtype=np.int64)
        for i in np.unique(part).tolist():
            here = np.flatnonzero(part == i)
            taken = made[i].arguments[:, chosen[here] - (ends[i] - len(made[i]))]
            origin[here] = made[i].position
            arguments[: len(taken), here] = taken
            if made[i].rule.arity:
                ranks = [self.behaviours[s].rank[x] for s, x in zip(made[i].rule.arguments, taken, strict=True)]
                rank[here] = 1 + np.max(ranks, axis=0)
        return origin, arguments, rank

    def _note(self, sort: Sort, made: list[Made], index: IntArray) -> None:
        start = 0
        for x in made:
            result = index[start : start + len(x)]
            start += len(result)
            weight = 2.0**-x.rule.bits
            if not x.rule.arity:
                self._leaf[sort].append((result, weight))
                continue
            factor = np.broadcast_to(weight * np.asarray(x.times), result.shape)
            self._parts.setdefault(x.rule.name, []).append(Steps(x.rule, x.arguments, factor, result))

    # Masses

    def _add_up(self) -> None:
        """Masses by substitution from the leaves: after r rounds all programs of at most r levels are in.

        Behaviours have derivations of any depth through one another; rounds end where they add no more.
        """
        leaves: dict[Sort, Masses] = {s: np.zeros(len(x)) for s, x in self.behaviours.items()}
        for sort, parts in self._leaf.items():
            for index, weight in parts:
                np.add.at(leaves[sort], index, weight)
        masses, least, round_, gain = leaves, self._levels(), 0, 1.0
        while round_ < least or (gain > _LEAST_GAIN and round_ < _MOST_ROUNDS):
            following: dict[Sort, Masses] = {s: x.copy() for s, x in leaves.items()}
            for step in self.steps.values():
                made = self._weights(step, masses)
                following[step.rule.sort] += np.bincount(step.result, made, len(following[step.rule.sort]))
            gain = sum(float((following[s] - masses[s]).sum()) for s in masses)
            masses, round_ = following, round_ + 1
        for sort, found in self.behaviours.items():
            found.masses = masses[sort]

    def _weights(self, step: Steps, masses: dict[Sort, Masses]) -> Masses:
        made = step.factor.copy()
        for sort, index in zip(step.rule.arguments, step.arguments, strict=True):
            made *= masses[sort][index]
        return made

    def _levels(self) -> int:
        """The most levels of a program of at most ``deepest`` bits."""
        tallest: dict[Sort, list[int]] = {s: [0] * (self.deepest + 1) for s in SORTS}
        for bits in range(1, self.deepest + 1):
            for s in SORTS:
                tallest[s][bits] = max(tallest[s][bits - 1], 1 if self._least[s] <= bits else 0)
            for x in self.language.productions:
                for i, s in enumerate(x.arguments):
                    left = bits - overhead(x, i, self._least)
                    if left >= self._least[s]:
                        tallest[x.sort][bits] = max(tallest[x.sort][bits], 1 + tallest[s][int(left)])
        return tallest["value"][self.deepest]

    @property
    def total(self) -> float:
        """The mass of all programs that count."""
        return float(self.behaviours["value"].masses.sum())

    def within(self, name: str) -> float:
        """The mass of the programs that count and have the named production at the root."""
        step = self.steps.get(name)
        masses: dict[Sort, Masses] = {s: x.masses for s, x in self.behaviours.items()}
        return float(self._weights(step, masses).sum()) if step is not None else 0.0

    # Reading

    def __len__(self) -> int:
        return len(self.behaviours["value"])

    def find(self, outputs: IntArray) -> IntArray:
        """The indices of behaviours, shape (q,), -1 where there is none, by values on the points, shape (q, points)."""
        return self.behaviours["value"].find(self._vectors.keys(self._vectors.pack(outputs)))

    def program(self, index: int, sort: Sort = "value") -> Program:
        """The cheapest program with a behaviour."""
        found = self._programs.get((sort, index))
        if found is None:
            here = self.behaviours[sort]
            position, arguments = int(here.origin[index]), here.arguments[:, index].tolist()
            if position == LITERAL:
                found = Program(literal(arguments[0]))
            else:
                rule = self.language.productions[position]
                parts = (self.program(i, s) for s, i in zip(rule.arguments, arguments, strict=False))
                found = Program(rule, tuple(parts))
            self._programs[sort, index] = found
        return found

    def evaluate(self, indices: IntArray, inputs: IntArray) -> tuple[Vectors, Words]:
        """The values of cheapest programs by index, at any inputs of shape (t, arity), and how they are packed."""
        return evaluate(self.language, self.carrier, self.behaviours, indices, inputs)


def _joined(parts: list[Steps]) -> Steps:
    return Steps(
        parts[0].rule,
        np.concatenate([x.arguments for x in parts], axis=1),
        np.concatenate([x.factor for x in parts]),
        np.concatenate([x.result for x in parts]),
    )
