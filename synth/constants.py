"""The cheapest programs for constants: integers over Z, and residue classes where wraparound may help.

A language holds only the constants 0..3; every other one is built up by +, - and * (and neg and square where the
language has them). Division is left out, so that what is built means the same modulo every m.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TypeAlias

import numpy as np

from synth.carrier import IntArray
from synth.language import CONSTANTS, Language
from synth.program import Program

EXACT = 1000  # integers up to here are built at the least cost there is, larger ones by Horner's rule in base 3
FARTHEST = 20 * EXACT  # what a step on the way may reach; with 2^31 in its place no cost up to EXACT changes
MAX_MODULUS = 4096  # beyond, a residue is built as an integer: the table of all residues grows with the square
_BINARY = ("*", "+", "-")  # this order, and the dearer argument first, print best: 3*3 + 2
_UNARY = ("neg", "square")

# How a value is made: a production's name and the values of its arguments.
_Made: TypeAlias = tuple[str, tuple[int, ...]]


def integer(language: Language, value: int) -> Program:
    """A program for an integer literal, equal to it over Z and so modulo every m.

    It is the cheapest in the language's +, -, *, neg and square for |value| <= 1000. A larger one is 3*q + r with r
    in {-1, 0, 1}, all the way down. A language on integers has literals: there it is the literal.

    Raises:
        ValueError: the language has no constants (as that of groups has none).
    """
    _require_constants(language)
    if language.integers:
        literal = language.make(str(abs(value)))
        return literal if value >= 0 else language.make("-", language.make("0"), literal)
    if abs(value) <= EXACT:
        return _integers(language, 100 if abs(value) <= 100 else EXACT)[value]
    quotient, digit = divmod(value + 1, 3)
    digit -= 1
    tripled = language.make("*", language.make("3"), integer(language, quotient))
    if digit == 0:
        return tripled
    return language.make("+" if digit > 0 else "-", tripled, language.make("1"))


def residue(language: Language, value: int, modulus: int) -> Program:
    """The cheapest program, in the language's +, -, *, neg and square, whose value is ``value`` modulo ``modulus``.

    For a modulus above 4096 it is the cheaper of ``integer(value)`` and ``integer(value - modulus)``.

    Raises:
        ValueError: the language has no constants, or the modulus is below 2.
    """
    _require_constants(language)
    if modulus < 2:
        raise ValueError(f"residue: the modulus must be at least 2, got {modulus}")
    value %= modulus
    if modulus > MAX_MODULUS:
        return min(integer(language, value), integer(language, value - modulus), key=lambda x: x.bits)
    return _residues(language, modulus)[value]


def has_arithmetic(language: Language) -> bool:
    """Whether polynomials modulo m can be written in the language: it has +, -, * and the constants 0..3."""
    return language.kind == "residues" and all(name in language for name in ("+", "-", "*", *map(str, CONSTANTS)))


def _require_constants(language: Language) -> None:
    if "0" not in language:
        raise ValueError(f"language {language.name} has no constants")


@cache
def _integers(language: Language, bound: int) -> dict[int, Program]:
    """The cheapest program of every integer in -bound .. bound."""
    made: dict[int, _Made] = {}
    missing = 2 * bound + 1
    for values, how in _levels(language, None):
        missing -= int((np.abs(values) <= bound).sum())
        made.update(zip(values.tolist(), how, strict=True))
        if missing == 0:
            break
    return _programs(language, made, range(-bound, bound + 1))


@cache
def _residues(language: Language, modulus: int) -> dict[int, Program]:
    """The cheapest program of every residue modulo ``modulus``."""
    made: dict[int, _Made] = {}
    for values, how in _levels(language, modulus):
        made.update(zip(values.tolist(), how, strict=True))
        if len(made) == modulus:
            break
    return _programs(language, made, range(modulus))


def _levels(language: Language, modulus: int | None) -> Iterator[tuple[IntArray, list[_Made]]]:
    """Values that cost more than all before, in order of cost, each with how it is made. Over Z never ends.

    Over Z, values beyond FARTHEST are left out: the way out and back costs more than it saves.
    """
    levels: dict[int, IntArray] = {}
    seen = np.empty(0, dtype=np.int64)
    operators = [language[name] for name in (*_UNARY, *_BINARY) if name in language]
    constants = {value: language[str(value)].bits for value in CONSTANTS if modulus is None or value < modulus}
    cost = 0
    while True:
        cost += 1
        values = [np.array([value for value, bits in constants.items() if bits == cost], dtype=np.int64)]
        made: list[tuple[str, IntArray, IntArray]] = [("", values[0], values[0])]
        for operator in operators:
            rest = cost - operator.bits
            if operator.arity == 1:
                pairs = [(levels[rest], np.zeros(1, dtype=np.int64))] if rest in levels else []
            else:
                pairs = [(levels[i], levels[rest - i]) for i in reversed(levels) if rest - i in levels]
            for left, right in pairs:
                x, y = (side.ravel() for side in np.broadcast_arrays(left[:, None], right[None, :]))
                values.append(_apply(operator.name, x, y, modulus))
                made.append((operator.name, x, y))
        flat, first = np.unique(np.concatenate(values), return_index=True)
        new = ~np.isin(flat, seen) & (np.abs(flat) <= FARTHEST)
        if not new.any():
            continue
        levels[cost], first = flat[new], first[new]
        seen = np.concatenate([seen, levels[cost]])
        ends = np.cumsum([len(x) for x in values])
        how: list[_Made] = []
        for index in first.tolist():
            block = int(np.searchsorted(ends, index, side="right"))
            name, x, y = made[block]
            at = index - (int(ends[block - 1]) if block else 0)
            arguments = () if name == "" else (int(x[at]),) if name in _UNARY else (int(x[at]), int(y[at]))
            how.append((name, arguments))
        yield levels[cost], how


def _apply(name: str, x: IntArray, y: IntArray, modulus: int | None) -> IntArray:
    match name:
        case "+":
            result = x + y
        case "-":
            result = x - y
        case "*":
            result = x * y
        case "square":
            result = x * x
        case _:
            result = -x
    return result if modulus is None else result % modulus


def _programs(language: Language, made: dict[int, _Made], wanted: range) -> dict[int, Program]:
    programs: dict[int, Program] = {}
    for value, (name, arguments) in made.items():  # in order of cost, so the arguments are there already
        programs[value] = language.make(name or str(value), *(programs[x] for x in arguments))
    return {value: programs[value] for value in wanted}
