"""Plans: which candidates of given lengths there are, by how many behaviours there are of each length.

A plan holds no values, only indices: it follows from the grammar and from counts. The same counts come up in nearly
every search at first, and so the small plans are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from synth.carrier import IntArray
from synth.grammar import SORTS, Group, cheapest, groups
from synth.language import Language
from synth.program import Sort

LEAF = -1  # an argument that is none
_SMALL = 1024  # behaviours from which on a plan is not kept
Offsets: TypeAlias = tuple[int, ...]  # entry c is the number of behaviours of fewer than c bits


@dataclass(frozen=True, eq=False, slots=True)
class Plan:
    """The candidates of one sort of a few consecutive lengths, in the order in which they count.

    Attributes:
        leaves: positions in the language of the variables and constants, which come first.
        parts: numbers of groups of productions, each with the indices of the arguments that its members meet. Then
            come, for each member and each of its orders, as many candidates as there are indices.
        bits, origin: of all candidates, shape (count,): bits, and the production's position.
        arguments: their arguments' indices, LEAF where there is none; shape (most arguments, count).
    """

    leaves: tuple[int, ...]
    parts: tuple[tuple[int, tuple[IntArray, ...]], ...]
    bits: IntArray
    origin: npt.NDArray[np.int16]
    arguments: npt.NDArray[np.int32]


def plan(language: Language, sort: Sort, low: int, high: int, offsets: Mapping[Sort, list[int]]) -> Plan:
    """The candidates of ``low`` to ``high`` bits over behaviours of which there are so many of each length."""
    sizes = tuple(offsets[x][-1] for x in SORTS)
    make = _kept if max(sizes) < _SMALL else _made
    return make(language, sort, low, high, *(tuple(offsets[x]) for x in SORTS))


class _Counts:
    """How many behaviours of one sort there are of each length."""

    def __init__(self, offsets: Offsets) -> None:
        self.places: IntArray = np.array(offsets, dtype=np.int64)
        self.bits: IntArray = np.arange(len(offsets) - 1).repeat(np.diff(self.places))


def _made(language: Language, sort: Sort, low: int, high: int, *offsets: Offsets) -> Plan:
    counts = dict(zip(SORTS, map(_Counts, offsets), strict=True))
    rules = language.productions
    leaves = [i for i, x in enumerate(rules) if x.sort == sort and not x.arity and low <= x.bits <= high]
    most = max((x.arity for x in rules), default=0)
    parts: list[tuple[int, tuple[IntArray, ...]]] = []
    bits: list[IntArray] = [np.array([rules[i].bits for i in leaves], dtype=np.int64)]
    origin = [np.array(leaves, dtype=np.int16)]
    arguments = [np.full((most, len(leaves)), LEAF, dtype=np.int32)]
    for number, group in enumerate(groups(language, sort)):
        cost, indices = _tuples(group, low, high, counts, cheapest(language))
        if not len(cost):
            continue
        parts.append((number, tuple(indices)))
        for position, orders in group.members:
            for order in orders:
                bits.append(cost)
                origin.append(np.full(len(cost), position, dtype=np.int16))
                arguments.append(np.full((most, len(cost)), LEAF, dtype=np.int32))
                for row, i in zip(arguments[-1], order, strict=False):
                    row[:] = indices[i]
    result = Plan(
        tuple(leaves), tuple(parts), np.concatenate(bits), np.concatenate(origin), np.concatenate(arguments, axis=1)
    )
    for x in (result.bits, result.origin, result.arguments, *(y for _, indices in parts for y in indices)):
        x.flags.writeable = False
    return result


_kept = lru_cache(maxsize=32)(_made)


def _tuples(
    group: Group, low: int, high: int, counts: Mapping[Sort, _Counts], least: Mapping[Sort, float]
) -> tuple[IntArray, list[IntArray]]:
    """Bits and arguments' indices of all programs with the group's roots that have ``low`` to ``high`` bits."""
    first = counts[group.arguments[0]]
    if len(group.arguments) == 1:
        start, stop = first.places.take([low - group.bits, high - group.bits + 1], mode="clip").tolist()
        return first.bits[start:stop] + group.bits, [np.arange(start, stop)]
    rests = [int(sum(least[s] for s in group.arguments[i + 1 :])) for i in range(len(group.arguments))]
    stop = int(first.places.take(high - group.bits - rests[0] + 1, mode="clip"))
    if stop <= 0 or high - group.bits - rests[0] < 0:
        return np.empty(0, dtype=np.int64), []
    bits, arguments = first.bits[:stop] + group.bits, [np.arange(stop)]
    for i, sort in enumerate(group.arguments[1:], start=1):
        there = counts[sort]
        number = there.places.take((high + 1 - rests[i]) - bits, mode="clip")
        lower = None
        if i == len(group.arguments) - 1:
            lower = there.places.take(low - bits, mode="clip")
        if group.unordered:
            lower = arguments[0] if lower is None else np.maximum(lower, arguments[0])
        if lower is not None:
            number = np.maximum(number - lower, 0)
        row = np.arange(len(bits)).repeat(number)
        skipped = number - number.cumsum()
        if lower is not None:
            skipped += lower
        index = np.arange(len(row)) + skipped[row]
        bits = bits[row] + there.bits[index]
        arguments = [x[row] for x in arguments]
        arguments.append(index)
    return bits, arguments


def pairs(
    first: list[int], second: list[int], second_held: int, barred: npt.NDArray[np.bool_], bits: int, low: int, high: int
) -> tuple[IntArray, IntArray, IntArray]:
    """Pairs that with ``bits`` bits more have ``low`` to ``high`` bits: the two indices, ordered by them, and the bits.

    Args:
        first, second: offsets of what pairs are made of, as ``plan`` takes them.
        second_held: only so many of the second, the first ones, count.
        barred: which of the first do not count, as far as they may be in a pair; shape (at least those,).
    """
    make = _pairs_kept if first[-1] * second[-1] < _SMALL**2 else _pairs_made
    return make(tuple(first), tuple(second), second_held, barred.tobytes(), bits, low, high)


def _pairs_made(
    first: Offsets, second: Offsets, second_held: int, barred: bytes, bits: int, low: int, high: int
) -> tuple[IntArray, IntArray, IntArray]:
    one, other = _Counts(first), _Counts(second)
    stop = int(one.places.take(max(0, high + 1 - bits), mode="clip"))
    around = one.bits[:stop] + bits
    lower = other.places.take(low - around, mode="clip")
    upper = np.minimum(other.places.take((high + 1) - around, mode="clip"), second_held)
    counts = np.maximum(upper - lower, 0)
    counts[np.frombuffer(barred, dtype=np.bool_)[:stop]] = 0
    left = np.arange(len(counts)).repeat(counts)
    right = np.arange(len(left)) + (lower + counts - counts.cumsum()).take(left)
    result = left, right, around.take(left) + other.bits.take(right)
    for x in result:
        x.flags.writeable = False
    return result


_pairs_kept = lru_cache(maxsize=32)(_pairs_made)
