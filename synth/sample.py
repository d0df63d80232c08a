"""Random programs of a chosen length, and a certificate that nothing short computes the same.

Programs of equal bits are equally probable under the grammar, so that a draw from it given its bits is a uniform one:
counts of programs by length say how probable each choice is.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from synth.bank import Bank
from synth.carrier import Carrier, IntArray, Residues
from synth.draws import integers, uniforms
from synth.grammar import program_counts, ways
from synth.language import Language
from synth.language import language as named_language
from synth.program import Program, Sort

TOLERANCE = 2  # bits by which a ladder's program may miss its length
POINTS = 16  # where a short program would have to agree
_TRIES = 1000
_WITNESSES = 64  # points at which an input is changed to see whether the program depends on it
_DEPTH = 1 << 12  # draws reserved for each program


def draw_program(
    language: Language, bits: int, tolerance: int, seed: int, *, every_variable: bool = True, skip: int = 0
) -> Program:
    """A random program of ``bits`` ± ``tolerance`` bits, distributed as the grammar has it given its length.

    Args:
        every_variable: draw again until the text mentions every input.
        skip: how many draws to leave out first, for another program of the same seed.

    Raises:
        ValueError: there is no program of such a length, or none with every input in 1000 draws.
    """
    counts = program_counts(language, bits + tolerance)
    lengths = [b for b in range(max(0, bits - tolerance), bits + tolerance + 1) if counts["value"][b]]
    if not lengths:
        raise ValueError(f"draw_program: {language.name} has no program of {bits} ± {tolerance} bits")
    top = max(lengths)
    weights = [counts["value"][b] << (top - b) for b in lengths]
    wanted = frozenset(x.variable for x in language.productions if x.variable is not None)
    for draw in range(skip * _TRIES, (skip + 1) * _TRIES):
        choices = _Choices(seed, draw)
        program = _draw("value", lengths[choices.of(weights)], language, counts, choices)
        if not every_variable or program.variables == wanted:
            return program
    raise ValueError(f"draw_program: no {language.name} program of {bits} ± {tolerance} bits mentions every input")


class _Choices:
    """A sequence of seeded choices, each with given weights."""

    def __init__(self, seed: int, draw: int) -> None:
        self._draws = iter(uniforms(seed, "program", draw * _DEPTH + np.arange(_DEPTH)).tolist())

    def of(self, weights: list[int]) -> int:
        point = int(next(self._draws) * 2**53) * sum(weights)
        for i, weight in enumerate(weights):
            point -= weight << 53
            if point < 0:
                return i
        raise AssertionError("a point lies beyond all weights")


def _draw(sort: Sort, bits: int, language: Language, counts: dict[Sort, list[int]], choices: _Choices) -> Program:
    """A uniform program of exactly so many bits."""
    rules = [x for x in language.of_sort(sort) if x.bits <= bits]
    rule = rules[choices.of([ways(x.arguments, bits - x.bits, counts) for x in rules])]
    left = bits - rule.bits
    arguments: list[Program] = []
    for i, argument in enumerate(rule.arguments):
        rest = rule.arguments[i + 1 :]
        spent = choices.of([counts[argument][b] * ways(rest, left - b, counts) for b in range(left + 1)])
        arguments.append(_draw(argument, spent, language, counts, choices))
        left -= spent
    return Program(rule, tuple(arguments))


def depends_on(program: Program, carrier: Carrier, seed: int = 0) -> frozenset[int]:
    """Inputs that the program truly depends on, each seen to change its output at one of 64 hashed points.

    An input that matters only at very few points may be missed; one that is named does matter.
    """
    arity = max(program.variables, default=0) + 1
    draws = integers(seed, "witness", np.arange(_WITNESSES * (arity + 1)), carrier.size).reshape(arity + 1, -1)
    points, values = draws[:arity].T, draws[arity]
    before = program.evaluate(points, carrier)
    found: set[int] = set()
    for j in range(arity):
        changed = points.copy()
        changed[:, j] = values
        if (program.evaluate(changed, carrier) != before).any():
            found.add(j)
    return frozenset(found)


def hashed_points(carrier: Carrier, arity: int, count: int = POINTS) -> IntArray:
    """Fixed pseudo-random points, shape (count, arity)."""
    return integers(0, "points", np.arange(count * arity), carrier.size).reshape(count, arity)


def lower_bound(program: Program, bank: Bank) -> int | None:
    """How many bits at least any program has that agrees with this one, or None where the bank holds one that may.

    A program that agreed everywhere would agree on the bank's points, so that a bank without its behaviour there, of
    all programs of at most d bits, certifies d + 1.
    """
    outputs = program.evaluate(bank.inputs, bank.carrier)
    return None if bank.find(outputs[None])[0] >= 0 else bank.deepest + 1


@lru_cache(maxsize=8)
def _floor_bank(carrier: Carrier, arity: int, floor: int) -> Bank:
    language = named_language("full", arity)
    return Bank.build(language, carrier, hashed_points(carrier, arity), max_bits=floor)


def ladder_program(carrier: Residues, *, bits: int, seed: int, floor: int) -> tuple[Program, int, str]:
    """A random ``ring`` program of two inputs, of ``bits`` ± 2 bits, with no equivalent of ``floor`` bits or fewer.

    Returns:
        The program; how many bits at least any program has that agrees with it; and the language in which that holds,
        the default one ("full").

    Raises:
        ValueError: 1000 draws gave none, as where the modulus is so small that every function is short.
    """
    language = named_language("ring", 2)
    bank = _floor_bank(carrier, 2, min(floor, bits - TOLERANCE - 1))
    for attempt in range(_TRIES):
        program = draw_program(language, bits, TOLERANCE, seed, skip=attempt)
        if len(depends_on(program, carrier)) < language.arity:
            continue
        if (bound := lower_bound(program, bank)) is not None:
            return program, bound, bank.language.name
    raise ValueError(f"ladder: {_TRIES} programs of {bits} bits over {carrier.name} all have a short equivalent")
