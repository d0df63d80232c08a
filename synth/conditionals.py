"""Conditional programs by divide and conquer: behaviours that are right on some examples, and conditions that split so.

As in divide-and-conquer enumeration (Alur, Radhakrishna and Udupa 2017), but with the cheapest of all splits: for every
set of points the cheapest behaviour that is right on all of them is known beforehand, so that each condition costs two
look-ups.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from synth.bank import Bank
from synth.carrier import IntArray
from synth.lanes import Words
from synth.language import language
from synth.program import Production

MOST_POINTS = 16  # sets of points are numbered, so that there are 2^16 of them at most
_NONE = np.iinfo(np.int64).max


def conditional_rule(bank: Bank) -> Production | None:
    """The language's if-then-else, or None."""
    built_in = language("full", 1)["if"].semantics
    return next((x for x in bank.language.productions if x.semantics is built_in), None)


def conditionals(bank: Bank, target: Words, below: float) -> Iterator[tuple[int, tuple[int, int, int]]]:
    """Conditional programs that agree with the target on the first 16 points, cheapest first.

    One for each condition in the bank, the cheapest: bits in all, and the indices of the condition, of what is taken
    where it holds, and of what is taken elsewhere. Only those of fewer than ``below`` bits.
    """
    rule = conditional_rule(bank)
    conditions, values = bank.shelves["condition"], bank.shelves["value"]
    if rule is None or not len(conditions) or not len(values):
        return
    points = min(bank.lanes.points, MOST_POINTS)
    first = cheapest_by_set(sets(bank, values.all_words() ^ target, points), points)
    fails = sets(bank, conditions.all_words(), points)
    holds = (1 << points) - 1 - fails
    then, otherwise = first[holds], first[fails]
    possible = np.flatnonzero((then != _NONE) & (otherwise != _NONE))
    then, otherwise = then[possible], otherwise[possible]
    bits = rule.bits + conditions.bits_at(possible) + values.bits_at(then) + values.bits_at(otherwise)
    kept = np.flatnonzero(bits < below)
    for i in kept[np.argsort(bits[kept], kind="stable")].tolist():
        yield int(bits[i]), (int(possible[i]), int(then[i]), int(otherwise[i]))


def cheapest_by_set(right: IntArray, points: int) -> IntArray:
    """For each set of points the first behaviour that is right on all of it, shape (2^points,).

    Args:
        right: for each behaviour, cheapest first, the set of points that it is right on.
    """
    first = np.full(1 << points, _NONE, dtype=np.int64)
    first[right[::-1]] = np.arange(len(right) - 1, -1, -1)  # of repeated places the last assignment stands
    for i in range(points):  # from each set to the sets that it contains
        halves = first.reshape(-1, 2, 1 << i)
        np.minimum(halves[:, 0], halves[:, 1], out=halves[:, 0])
    return first


def sets(bank: Bank, words: Words, points: int) -> IntArray:
    """For each behaviour the set of the first points at which it is 0, as a number, shape (count,)."""
    lanes = np.ascontiguousarray(words.T).view(bank.lanes.dtype)[:, :points]
    packed = np.packbits(lanes == 0, axis=1, bitorder="little").astype(np.int64)
    return packed[:, 0] if packed.shape[1] == 1 else packed[:, 0] | packed[:, 1] << 8
