"""Solvers: given a production's result and all arguments but one, the words that the missing argument must have.

A solver answers with one solution and says nothing of others: where it divides by 0 the missing argument may be
anything (if the result is 0), or nothing will do. So such answers are checked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from synth.carrier import Carrier, Residues
from synth.gather import Batch, batches
from synth.grammar import cheapest
from synth.kernels import Kernel, Kernels, Prepare, kernels
from synth.lanes import Words
from synth.language import Language
from synth.language import language as named_language
from synth.program import Production

_TABLE_SIZE = 256
Check: TypeAlias = Callable[..., npt.NDArray[np.bool_]]


@dataclass(frozen=True, eq=False)
class Solver:
    """One production with one argument missing.

    Attributes:
        position: of the production in the language.
        rule: the production.
        hole: which argument is missing.
        kernel: ``kernel(result, other)``, or ``kernel(result)`` for a production of one argument.
        family: a name shared by solvers of which two in a row make no more than one with another argument in the
            bank, at equal bits: (T - x) - y = T - (x + y), (T / x) / y = T / (x * y). Empty where that does not hold.
        complete: whether there are no other solutions, save where the argument may be anything.
        check: ``check(answer, result[, other])`` says which answers are right, shape (count,); None where all are.
    """

    position: int
    rule: Production
    hole: int
    kernel: Kernel
    family: str
    complete: bool
    check: Check | None = None


@lru_cache(maxsize=64)
def solvers(language: Language, carrier: Carrier) -> tuple[Solver, ...]:
    """The solvers for a language's productions of values with one or two arguments, those of equal bits together."""
    found: list[Solver] = []
    for position, rule in enumerate(language.productions):
        if rule.sort == "value" and rule.arguments in (("value",), ("value", "value")):
            holes = [i for i, x in enumerate(rule.inverses) if x is not None]
            found.extend(_solver(kernels(carrier), position, rule, i) for i in holes[: 1 if rule.commutes else None])
    return tuple(sorted(found, key=lambda x: (-x.rule.arity, x.rule.bits, x.family, x.position)))


@dataclass(frozen=True, eq=False, slots=True)
class SolverGroup:
    """Solvers of equal arity, bits and family, which meet the same pairs.

    Attributes:
        solvers: numbers; batches: their kernels, in that order.
        of_family: of all solvers, by number, which are of this family; the empty context has solver -1, the last entry.
    """

    arity: int
    bits: int
    family: str
    solvers: tuple[int, ...]
    batches: tuple[Batch, ...]
    of_family: npt.NDArray[np.bool_]


@lru_cache(maxsize=64)
def solver_groups(language: Language, carrier: Carrier) -> tuple[SolverGroup, ...]:
    """The solvers for a language, by what they meet."""
    every = solvers(language, carrier)
    found: list[SolverGroup] = []
    for (arity, bits, family), members in groupby(every, lambda x: (x.rule.arity, x.rule.bits, x.family)):
        its = list(members)
        joined = batches([(x.kernel, ("parent", "other")[:arity], range(arity)) for x in its])
        numbers = tuple(every.index(x) for x in its)
        of_family = np.array([*(x.family == family for x in every), False])
        found.append(SolverGroup(arity, bits, family, numbers, joined, of_family))
    return tuple(found)


@lru_cache(maxsize=64)
def context_stride(language: Language, carrier: Carrier) -> int:
    """How many bits a context has at least more than the one around it."""
    least = int(cheapest(language)["value"])
    return min((x.rule.bits + least * (x.rule.arity - 1) for x in solvers(language, carrier)), default=1)


def _solver(built: Kernels, position: int, rule: Production, hole: int) -> Solver:
    forward = built.of(rule)

    def check(answer: Words, result: Words, *other: Words) -> npt.NDArray[np.bool_]:
        back = forward(answer, *other) if hole == 0 else forward(*other, answer)
        return (back == result).all(axis=0)

    if (special := _built_in(built, rule, hole)) is not None:
        assert isinstance(built.carrier, Residues)
        if rule.name in ("+", "-"):
            return Solver(position, rule, hole, special, "+", True)
        if built.carrier.is_prime:
            return Solver(position, rule, hole, special, "*" * (rule.name == "*"), True, _same_zeros(built))
        return Solver(position, rule, hole, special, "", False, check)
    inverse = rule.inverses[hole]
    assert inverse is not None
    size, dtype = built.carrier.size, built.lanes.dtype
    if rule.arity == 1:
        values = np.arange(size)
        table = inverse(built.carrier, values, values)
        right = np.asarray(rule.semantics(built.carrier, np.maximum(table, 0))) == values
        kernel = Kernel((None,), built.look_up(np.maximum(table, 0)))
        return Solver(position, rule, hole, kernel, "", bool(right.all()), None if right.all() else check)

    complete = False  # beyond the table nobody says that an inverse has all solutions
    if size <= _TABLE_SIZE:
        result, other = np.divmod(np.arange(size * size), size)
        sides = (result, other) if hole == 0 else (other, result)
        made = np.asarray(rule.semantics(built.carrier, *sides), dtype=np.int64)
        complete = bool((inverse(built.carrier, made, other) == result).all())
        entries = np.maximum(inverse(built.carrier, result, other), 0).astype(dtype)

        def tabulated(result: Words, other: Words) -> Words:
            x, y = built.unpacked(result, other)
            return entries.take(x.astype(np.intp) * size + y).view(np.uint64)

        return Solver(position, rule, hole, Kernel((None, None), tabulated), "", complete, check)

    def evaluated(result: Words, other: Words) -> Words:
        x, y = (z.astype(np.int64) for z in built.unpacked(result, other))
        answer = np.maximum(inverse(built.carrier, x, y), 0)
        return np.ascontiguousarray(answer.astype(dtype)).view(np.uint64)

    return Solver(position, rule, hole, Kernel((None, None), evaluated), "", complete, check)


def _same_zeros(built: Kernels) -> Check:
    """The check of * and / modulo a prime: an answer is right where it is 0 just where the result is."""
    width = 8 * built.lanes.dtype.itemsize
    ones = sum(1 << (width * i) for i in range(64 // width))
    below, top = np.uint64(ones * (2 ** (width - 1) - 1)), np.uint64(ones << (width - 1))

    def check(answer: Words, result: Words, *other: Words) -> npt.NDArray[np.bool_]:
        # Adding all bits but the top one carries into the top one unless the lane is 0.
        different = ((answer + below) ^ (result + below)) & top
        return np.logical_not(np.logical_or.reduce(different, axis=0))

    return check


def _built_in(built: Kernels, rule: Production, hole: int) -> Kernel | None:
    """The solvers of + - * / on residues, made of their kernels."""
    full = named_language("full", 1)
    if not isinstance(built.carrier, Residues) or rule.name not in ("+", "-", "*", "/"):
        return None
    if full[rule.name].semantics is not rule.semantics:
        return None
    add, subtract, multiply, divide = (built.of(full[x]) for x in "+-*/")
    # result, other -> the first argument; result, other -> the second
    first = {"+": subtract, "-": add, "*": divide, "/": multiply}[rule.name]
    second = {"-": _swapped(subtract), "/": _swapped(divide)}.get(rule.name, first)
    return first if hole == 0 else second


def _swapped(kernel: Kernel) -> Kernel:
    left, right = kernel.prepare
    prepare: tuple[Prepare | None, ...] = (right, left)
    if kernel.symmetric:
        return Kernel(prepare, kernel.apply, symmetric=True)
    return Kernel(prepare, lambda x, y: kernel.apply(y, x))
