"""What a language's costs alone imply: its cheapest programs, how many there are of each length, how far they nest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import inf
from types import MappingProxyType

from synth.language import Language
from synth.program import Production, Sort

SORTS: tuple[Sort, ...] = ("value", "condition")


@lru_cache(maxsize=64)
def cheapest(language: Language) -> Mapping[Sort, float]:
    """The fewest bits of any program of each sort; inf where there is none."""
    least: dict[Sort, float] = dict.fromkeys(SORTS, inf)
    for _ in range(2 * len(SORTS)):
        for x in language.productions:
            least[x.sort] = min(least[x.sort], x.bits + sum(least[s] for s in x.arguments))
    return MappingProxyType(least)


def overhead(production: Production, position: int, least: Mapping[Sort, float]) -> float:
    """By how many bits at least a program exceeds its argument at that position."""
    return production.bits + sum(least[s] for i, s in enumerate(production.arguments) if i != position)


@lru_cache(maxsize=64)
def stride(language: Language) -> int:
    """How many consecutive lengths can be built at once: values of at most so many bits more than the values at hand.

    Every argument of a value is cheaper than the value by at least this, save the values inside conditions, which are
    built after the values.
    """
    least = cheapest(language)
    steps = [
        overhead(x, i, least)
        for x in language.productions
        for i, argument in enumerate(x.arguments)
        if not (x.sort == "condition" and argument == "value")
    ]
    return int(min((s for s in steps if s < inf), default=1))


@lru_cache(maxsize=64)
def limits(language: Language, sort: Sort, bits: float) -> Mapping[Sort, float]:
    """Up to how many bits each sort is needed to have all programs of ``sort`` of at most ``bits`` bits."""
    least = cheapest(language)
    needed: dict[Sort, float] = dict.fromkeys(SORTS, -inf)
    needed[sort] = bits
    for _ in range(2 * len(SORTS)):
        for x in language.productions:
            for i, argument in enumerate(x.arguments):
                needed[argument] = max(needed[argument], needed[x.sort] - overhead(x, i, least))
    return MappingProxyType(needed)


@lru_cache(maxsize=64)
def used(language: Language, sort: Sort, bits: float) -> Mapping[Sort, float]:
    """Up to how many bits programs of each sort are arguments of programs of ``sort`` of at most ``bits`` bits."""
    least, needed = cheapest(language), limits(language, sort, bits)
    most: dict[Sort, float] = dict.fromkeys(SORTS, -1.0)
    for x in language.productions:
        for i, argument in enumerate(x.arguments):
            most[argument] = max(most[argument], needed[x.sort] - overhead(x, i, least))
    return MappingProxyType(most)


@dataclass(frozen=True)
class Group:
    """Productions of one sort that meet the same arguments: equal sorts of arguments and equal bits.

    Attributes:
        arguments, bits: what they share.
        unordered: whether pairs of arguments are met once, in one order.
        members: each production's position in the language, and the orders of the arguments that it is to see.
    """

    arguments: tuple[Sort, ...]
    bits: int
    unordered: bool
    members: tuple[tuple[int, tuple[tuple[int, ...], ...]], ...]


@lru_cache(maxsize=64)
def groups(language: Language, sort: Sort) -> tuple[Group, ...]:
    """The productions of a sort that have arguments, by what they meet; in the order of the first of each."""
    together: dict[tuple[tuple[Sort, ...], int], list[int]] = {}
    for position, x in enumerate(language.productions):
        if x.sort == sort and x.arguments:
            together.setdefault((x.arguments, x.bits), []).append(position)
    found: list[Group] = []
    for (arguments, bits), positions in together.items():
        rules = [language.productions[i] for i in positions]
        plain = tuple(range(len(arguments)))
        unordered = any(x.commutes for x in rules)
        orders = [(plain,) if x.commutes or not unordered else (plain, plain[::-1]) for x in rules]
        found.append(Group(arguments, bits, unordered, tuple(zip(positions, orders, strict=True))))
    return tuple(found)


def program_counts(language: Language, bits: int) -> dict[Sort, list[int]]:
    """How many programs of each sort have exactly 0, 1, .. ``bits`` bits: the grammar's own count, without a search."""
    counts: dict[Sort, list[int]] = {x: [0] * (bits + 1) for x in SORTS}
    for cost in range(bits + 1):
        for x in language.productions:
            if x.bits <= cost:
                counts[x.sort][cost] += ways(x.arguments, cost - x.bits, counts)
    return counts


def ways(arguments: tuple[Sort, ...], bits: int, counts: dict[Sort, list[int]]) -> int:
    """How many tuples of arguments have ``bits`` bits in all."""
    if not arguments:
        return int(bits == 0)
    first, rest = counts[arguments[0]], arguments[1:]
    if not rest:
        return first[bits]
    return sum(first[i] * ways(rest, bits - i, counts) for i in range(bits + 1) if first[i])


@lru_cache(maxsize=64)
def arities(language: Language) -> Mapping[tuple[int, int], int]:
    """How many productions have so many values and so many conditions as arguments."""
    return MappingProxyType(
        Counter((x.arguments.count("value"), x.arguments.count("condition")) for x in language.productions)
    )


@lru_cache(maxsize=64)
def dearest(language: Language) -> Mapping[tuple[int, int], int]:
    """The most bits of a production with so many values and so many conditions as arguments."""
    most: dict[tuple[int, int], int] = {}
    for x in language.productions:
        shape = x.arguments.count("value"), x.arguments.count("condition")
        most[shape] = max(most.get(shape, 0), x.bits)
    return MappingProxyType(most)
