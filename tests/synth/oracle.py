"""Brute force: every program of a language by cost, as the grammar has them. Slow and plain, for the tests alone."""

from __future__ import annotations

from itertools import product

from synth.carrier import Carrier, IntArray
from synth.language import Language
from synth.program import Program, Sort


def all_programs(language: Language, bits: int) -> dict[Sort, list[list[Program]]]:
    """For each sort a list by cost of all programs of exactly that cost."""
    by_cost: dict[Sort, list[list[Program]]] = {"value": [[] for _ in range(bits + 1)]}
    by_cost["condition"] = [[] for _ in range(bits + 1)]
    for cost in range(bits + 1):
        for rule in language.productions:
            for split in _splits(cost - rule.bits, rule.arity):
                pools = [by_cost[s][c] for s, c in zip(rule.arguments, split, strict=True)]
                by_cost[rule.sort][cost].extend(Program(rule, tuple(x)) for x in product(*pools))
    return by_cost


def _splits(bits: int, parts: int) -> list[tuple[int, ...]]:
    if bits < 0 or (parts == 0 and bits > 0):
        return []
    if parts == 0:
        return [()]
    if parts == 1:
        return [(bits,)]
    return [(first, *rest) for first in range(1, bits) for rest in _splits(bits - first, parts - 1)]


def cheapest_by_behaviour(
    language: Language, carrier: Carrier, inputs: IntArray, bits: int, sort: Sort = "value"
) -> dict[tuple[int, ...], int]:
    """The fewest bits of any program with each behaviour on the inputs."""
    best: dict[tuple[int, ...], int] = {}
    for programs in all_programs(language, bits)[sort]:
        for program in programs:
            behaviour = tuple(int(x) for x in program.evaluate(inputs, carrier))
            best.setdefault(behaviour, program.bits)
    return best
