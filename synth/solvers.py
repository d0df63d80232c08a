"""Solvers: given a production's result and all arguments but one, the words that the missing argument must have.

A solver answers with one solution and says nothing of others: where it divides by 0 the missing argument may be
anything (if the result is 0), or nothing will do. So a *partial* solver's answer has to be put to the production again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from synth.carrier import Residues
from synth.kernels import Kernel, Kernels, Prepare
from synth.lanes import Words
from synth.language import language
from synth.program import Production

_TABLE_SIZE = 256


@dataclass(frozen=True, eq=False)
class Solver:
    """One production with one argument missing.

    Attributes:
        position: of the production in the language.
        rule: the production.
        hole: which argument is missing.
        kernel: ``kernel(result, other)``, or ``kernel(result)`` for a production of one argument.
        check: the production itself as ``check(answer, other)``, for a partial solver; else None.
    """

    position: int
    rule: Production
    hole: int
    kernel: Kernel
    check: Callable[..., Words] | None = None


def solvers(kernels: Kernels, position: int, rule: Production) -> list[Solver]:
    """The solvers for a production of values with one or two arguments, as far as it has inverses."""
    if rule.sort != "value" or rule.arguments not in (("value",), ("value", "value")):
        return []
    holes = [i for i, x in enumerate(rule.inverses) if x is not None][: 1 if rule.commutes else None]
    return [_solver(kernels, position, rule, i) for i in holes]


def _solver(kernels: Kernels, position: int, rule: Production, hole: int) -> Solver:
    forward = kernels.of(rule)

    def check(answer: Words, other: Words) -> Words:
        return forward(answer, other) if hole == 0 else forward(other, answer)

    built_in = _built_in(kernels, rule, hole)
    if built_in is not None:
        return Solver(position, rule, hole, built_in, None if rule.name in ("+", "-") else check)
    inverse = rule.inverses[hole]
    assert inverse is not None
    size, dtype = kernels.carrier.size, kernels.lanes.dtype
    if rule.arity == 1:
        values = np.arange(size)
        table = np.maximum(inverse(kernels.carrier, values, values), 0).astype(dtype)
        return Solver(position, rule, hole, Kernel((None,), kernels.look_up(table)), lambda answer: forward(answer))

    if size <= _TABLE_SIZE:
        result, other = np.divmod(np.arange(size * size), size)
        entries = np.maximum(inverse(kernels.carrier, result, other), 0).astype(dtype)

        def tabulated(result: Words, other: Words) -> Words:
            x, y = kernels.unpacked(result, other)
            return entries.take(x.astype(np.intp) * size + y).view(np.uint64)

        return Solver(position, rule, hole, Kernel((None, None), tabulated), check)

    def evaluated(result: Words, other: Words) -> Words:
        x, y = (z.astype(np.int64) for z in kernels.unpacked(result, other))
        answer = np.maximum(inverse(kernels.carrier, x, y), 0)
        return np.ascontiguousarray(answer.astype(dtype)).view(np.uint64)

    return Solver(position, rule, hole, Kernel((None, None), evaluated), check)


def _built_in(kernels: Kernels, rule: Production, hole: int) -> Kernel | None:
    """The solvers of + - * / on residues, made of their kernels."""
    full = language("full", 1)
    if not isinstance(kernels.carrier, Residues) or rule.name not in ("+", "-", "*", "/"):
        return None
    if full[rule.name].semantics is not rule.semantics:
        return None
    add, subtract, multiply, divide = (kernels.of(full[x]) for x in "+-*/")
    # result, other -> the first argument; result, other -> the second
    first = {"+": subtract, "-": add, "*": divide, "/": multiply}[rule.name]
    second = {"-": _swapped(subtract), "/": _swapped(divide)}.get(rule.name, first)
    return first if hole == 0 else second


def _swapped(kernel: Kernel) -> Kernel:
    left, right = kernel.prepare
    prepare: tuple[Prepare | None, ...] = (right, left)
    return Kernel(prepare, lambda x, y: kernel.apply(y, x))
