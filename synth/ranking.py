"""Which candidates are new, and which of equal ones comes first; and where two sets of keys meet."""

from __future__ import annotations

import numpy as np

from synth.carrier import IntArray
from synth.lanes import Keys

_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: Knuth's multiplicative hashing
_MOST_TABLE = 26


def first_of_each(known: Keys, keys: Keys, bits: IntArray) -> IntArray:
    """Which candidates are the cheapest, then first, with a key that is not known; in order of bits, then place.

    Args:
        known: distinct keys that do not count as new, in any order.
        keys, bits: of the candidates, shape (count,).
    """
    both = np.concatenate([known, keys])
    order = np.argsort(both)
    ranked = both[order]
    ranks = np.concatenate([np.full(len(known), -1), (bits << 40) | np.arange(len(keys))])[order]
    heads = np.empty(len(both), dtype=np.bool_)
    heads[:1] = True
    np.not_equal(ranked[1:], ranked[:-1], out=heads[1:])
    if not len(both):
        return np.empty(0, dtype=np.int64)
    best = np.minimum.reduceat(ranks, np.flatnonzero(heads))
    return np.sort(best[best >= 0]) & ((1 << 40) - 1)


def meeting(few: Keys, many: Keys) -> tuple[IntArray, IntArray]:
    """Positions (i, j) with ``few[i] == many[j]``; the keys of each are distinct.

    A table of hashed keys lets pass what may be in both, so that only little is compared.
    """
    if not len(few) or not len(many):
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    width = min(_MOST_TABLE, max(10, (16 * len(few)).bit_length()))
    shift = np.uint64(64 - width)
    table = np.zeros(1 << width, dtype=np.bool_)
    table[((few * _SPREAD) >> shift).view(np.int64)] = True
    passing = np.flatnonzero(table.take(((many * _SPREAD) >> shift).view(np.int64)))
    order = np.argsort(few)
    ranked, wanted = few[order], many[passing]
    at = np.minimum(np.searchsorted(ranked, wanted), len(few) - 1)
    hit = ranked[at] == wanted
    return order[at[hit]], passing[hit]
