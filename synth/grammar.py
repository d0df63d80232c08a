"""What a language's costs alone imply: its cheapest programs, how many there are of each length, how far they nest."""

from __future__ import annotations

from math import inf

from synth.language import Language
from synth.program import Production, Sort

SORTS: tuple[Sort, ...] = ("value", "condition")


def cheapest(language: Language) -> dict[Sort, float]:
    """The fewest bits of any program of each sort; inf where there is none."""
    least: dict[Sort, float] = dict.fromkeys(SORTS, inf)
    for _ in range(2 * len(SORTS)):
        for x in language.productions:
            least[x.sort] = min(least[x.sort], x.bits + sum(least[s] for s in x.arguments))
    return least


def overhead(production: Production, position: int, least: dict[Sort, float]) -> float:
    """By how many bits at least a program exceeds its argument at that position."""
    return production.bits + sum(least[s] for i, s in enumerate(production.arguments) if i != position)


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


def limits(language: Language, sort: Sort, bits: float) -> dict[Sort, float]:
    """Up to how many bits each sort is needed to have all programs of ``sort`` of at most ``bits`` bits."""
    least = cheapest(language)
    needed: dict[Sort, float] = dict.fromkeys(SORTS, -inf)
    needed[sort] = bits
    for _ in range(2 * len(SORTS)):
        for x in language.productions:
            for i, argument in enumerate(x.arguments):
                needed[argument] = max(needed[argument], needed[x.sort] - overhead(x, i, least))
    return needed


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
