"""Which candidates are new, and which of equal ones comes first; and where two sets of keys meet."""

from __future__ import annotations

import numpy as np

from synth.carrier import IntArray
from synth.lanes import Keys

SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: Knuth's multiplicative hashing
_MOST_TABLE = 26
_PLACE, _COST = 17, 3  # bits of a place and of a cost
_PLACES = np.uint64((1 << _PLACE) - 1)
_UPPER = np.uint64(2**64 - (1 << (_PLACE + _COST)))
_HANDFUL = 64
_STEP = 1 << 15  # keys that stay in cache


def first_of_each(known: Keys, keys: Keys, bits: IntArray) -> IntArray:
    """Which candidates are the cheapest, then first, with a key that is not known; in order of bits, then place.

    Args:
        known: distinct keys that do not count as new, in any order.
        keys, bits: of the candidates, shape (count,).
    """
    if not len(keys):
        return np.empty(0, dtype=np.int64)
    if len(known) + len(keys) <= _HANDFUL:
        return _first_of_handful(known, keys, bits)
    if len(known) + len(keys) <= 1 << _PLACE:
        low, high = int(bits.min()), int(bits.max())
        if high - low < (1 << _COST) - 1:
            found = _first_of_few(known, keys, bits - (low - 1))
            if found is not None:
                return found
    return _first_of_many(known, keys, bits)


def _first_of_handful(known: Keys, keys: Keys, bits: IntArray) -> IntArray:
    """As ``first_of_each``; numpy's calls would cost more than so few numbers."""
    costs, listed, seen = bits.tolist(), keys.tolist(), set(known.tolist())
    new: list[int] = []
    for i in sorted(range(len(costs)), key=costs.__getitem__):
        if listed[i] not in seen:
            seen.add(listed[i])
            new.append(i)
    return np.array(new, dtype=np.int64)


def _first_of_few(known: Keys, keys: Keys, costs: IntArray) -> IntArray | None:
    """As ``first_of_each``, by one plain sort of hashes with costs (1 and up) and places in their low bits.

    Sorting numbers is several times faster than sorting places by them. None where two hashes agree and their keys do
    not, which is rare.
    """
    both = np.concatenate([known, keys])
    packed = both * SPREAD
    packed &= _UPPER
    packed |= np.arange(len(both), dtype=np.uint64)
    packed[len(known) :] |= costs.view(np.uint64) << np.uint64(_PLACE)
    packed.sort()
    ranked = both.take((packed & _PLACES).view(np.int64))
    heads = np.empty(len(both), dtype=np.bool_)
    heads[0] = True
    np.not_equal(ranked[1:], ranked[:-1], out=heads[1:])
    hashes = packed & _UPPER
    if np.count_nonzero(hashes[1:] != hashes[:-1]) + 1 != np.count_nonzero(heads):
        return None
    new = packed.compress(heads)
    new &= ~_UPPER
    new.sort()
    places = new[new.searchsorted(_PLACES, side="right") :]  # those that cost nothing are known
    return (places & _PLACES).view(np.int64) - len(known)


def _first_of_many(known: Keys, keys: Keys, bits: IntArray) -> IntArray:
    both = np.concatenate([known, keys])
    order = np.argsort(both)
    ranked = both[order]
    ranks = np.concatenate([np.full(len(known), -1), (bits << 40) | np.arange(len(keys))])[order]
    heads = np.concatenate([[True], ranked[1:] != ranked[:-1]])
    best = np.minimum.reduceat(ranks, np.flatnonzero(heads))
    return np.sort(best[best >= 0]) & ((1 << 40) - 1)


class Sieve:
    """A table of hashed keys that lets pass what may be one of them: one in 16 or fewer of the others."""

    def __init__(self, keys: Keys) -> None:
        width = min(_MOST_TABLE, max(13, (16 * len(keys)).bit_length()))
        self._shift = np.uint64(64 - width)
        self._table = np.zeros(1 << width, dtype=np.bool_)
        for i in range(0, len(keys), _STEP):
            self._table[self._places(keys[i : i + _STEP])] = True

    def _places(self, keys: Keys) -> IntArray:
        return ((keys * SPREAD) >> self._shift).view(np.int64)

    def passing(self, keys: Keys) -> IntArray:
        """Positions of the keys that pass."""
        if len(keys) <= 2 * _STEP:
            return self._table.take(self._places(keys)).nonzero()[0]
        starts = range(0, len(keys), _STEP)  # in parts that stay in cache
        return np.concatenate([self.passing(keys[i : i + _STEP]) + i for i in starts])


class Directory:
    """Where a key stands among many that are sorted, distinct and spread evenly, as hashes are.

    A table says at which of them those with the same first bits begin; a few steps from there decide. Many times as
    fast as a binary search for keys in no order.
    """

    def __init__(self, ranked: Keys) -> None:
        width = max(1, len(ranked).bit_length())
        self._ranked, self._shift = ranked, np.uint64(64 - width)
        self._starts = np.full(1 << width, len(ranked) - 1, dtype=np.int32)
        for stop in range(len(ranked), 0, -_STEP):  # from the end, as the first of each bucket is to stand
            start = max(0, stop - _STEP)
            buckets = (ranked[start:stop] >> self._shift).view(np.int64)
            self._starts[buckets[::-1]] = np.arange(stop - 1, start - 1, -1, dtype=np.int32)

    def find(self, keys: Keys) -> tuple[IntArray, IntArray]:
        """Positions (i, j) with ``keys[i] == ranked[j]``."""
        at = self._starts.take((keys >> self._shift).view(np.int64)).astype(np.int64)
        there = self._ranked.take(at)
        before = (there < keys).nonzero()[0]
        last = len(self._ranked) - 1
        while len(before):
            step = np.minimum(at[before] + 1, last)
            at[before], there[before] = step, self._ranked.take(step)
            before = before[(there[before] < keys[before]) & (step < last)]
        hit = (there == keys).nonzero()[0]
        return hit, at[hit]


def meeting(few: Keys, many: Keys) -> tuple[IntArray, IntArray]:
    """Positions (i, j) with ``few[i] == many[j]``; the keys of ``few`` are distinct."""
    if not len(few) or not len(many):
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    if len(few) + len(many) <= 4 * _HANDFUL:  # numpy's calls would cost more
        place = {key: i for i, key in enumerate(few.tolist())}
        met = [(place[key], j) for j, key in enumerate(many.tolist()) if key in place]
        return np.array([i for i, _ in met], dtype=np.int64), np.array([j for _, j in met], dtype=np.int64)
    passing = Sieve(few).passing(many)
    order = few.argsort()
    ranked, wanted = few.take(order), many.take(passing)
    at = ranked.searchsorted(wanted)
    hit = (ranked.take(at, mode="clip") == wanted).nonzero()[0]
    return order.take(at.take(hit)), passing.take(hit)


class KeyPool:
    """Sorted known keys, and new ones that are merged in by sorting all together.

    Keys leave their last bits free. There known keys have 0 and new ones a tag, that of the level that they come from,
    so that after sorting the first of each run of equals says whether it was known, and if not its lowest level. All is
    done in place, as fresh memory costs more than the sort.

    Args:
        known: distinct keys, sorted.
        space: the array whose beginning ``known`` is, if it is to be used further; any other is not touched.
        tag_bits: how many bits are free.
    """

    def __init__(self, known: Keys, space: Keys, tag_bits: int = 1) -> None:
        self._tags = np.uint64((1 << tag_bits) - 1)
        owned = len(known) <= len(space) and known.__array_interface__["data"] == space.__array_interface__["data"]
        self._space = space if owned else known.copy()
        self.old = len(known)
        self.used = self.most_used = len(known)

    @property
    def room(self) -> int:
        return len(self._space) - self.used

    def reserve(self, count: int) -> None:
        """Make room for so many keys, and more: memory that is never touched costs nothing."""
        if self.room < count:
            bigger = np.empty(4 * (self.used + count), dtype=np.uint64)
            bigger[: self.used] = self._space[: self.used]
            self._space = bigger

    def add(self, keys: Keys, tag: int = 1) -> None:
        """Put keys in; there must be room."""
        np.bitwise_or(keys, np.uint64(tag), out=self._space[self.used : self.used + len(keys)])
        self.used += len(keys)
        self.most_used = max(self.most_used, self.used)

    def merge(self) -> None:
        """Sort, and leave one of each."""
        whole = self._space[: self.used]
        whole.sort()
        end, previous = 0, None
        for start in range(0, self.used, _STEP):
            part = whole[start : start + _STEP]
            keep = np.empty(len(part), dtype=np.bool_)
            np.greater(part[1:] ^ part[:-1], self._tags, out=keep[1:])
            keep[0] = previous is None or (int(part[0]) ^ previous) > self._tags
            previous = int(part[-1])
            kept = part.compress(keep)  # four times as fast as part[keep]; a copy, which writing back never overtakes
            whole[end : end + len(kept)] = kept
            end += len(kept)
        self.used = end

    def close(self, tags: int = 1) -> tuple[list[Keys], Keys, Keys]:
        """The new keys, sorted, of each tag from 1; all keys, sorted; and the array whose beginning those are.

        Call ``merge`` first.
        """
        whole = self._space[: self.used]
        steps = [whole[i : i + _STEP] for i in range(0, self.used, _STEP)]
        sizes = np.zeros(tags + 1, dtype=np.int64)
        for part in steps:
            sizes += np.bincount((part & self._tags).view(np.int64), minlength=tags + 1)
        new = [np.empty(size, dtype=np.uint64) for size in sizes[1:].tolist()]
        ends = [0] * tags
        for part in steps:
            its = (part & self._tags).astype(np.uint8)
            part &= ~self._tags
            for i, result in enumerate(new):
                found = part.compress(its == i + 1)
                result[ends[i] : ends[i] + len(found)] = found
                ends[i] += len(found)
        return new, whole, self._space
