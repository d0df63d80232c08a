"""Shelf: the behaviours of one nonterminal that a bank has found, in cost order.

Early behaviours are held with their words and with what made them. Late levels may be held as sorted keys alone, an
eighth of the memory: no program is built from them, or their key is the behaviour itself.
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
import numpy.typing as npt

from synth.carrier import IntArray
from synth.lanes import Keys, Lanes, Words


class Shelf:
    """Behaviours by index, cheapest first.

    Attributes:
        offsets: ``offsets[c]`` is the number of behaviours of fewer than c bits, up to one past the closed levels.
        words, keys, bits, origin, arguments: of the first ``held`` behaviours: packed values (words, held), keys, bits,
            position of the production in the language, indices of the arguments (most arguments, held).
        levels: the sorted keys of each level that is not among those, by bits; it is held by its keys alone, and what
            made a behaviour has to be found anew.
        level_words: the words of such levels, where they were asked for and keys are not exact.
        known: all keys, sorted; kept only once ``sort_known`` has been called.
        spare: the array that ``known`` is the beginning of, with room for more; ``touched`` keys of it were ever used.
    """

    def __init__(self, lanes: Lanes, most_arguments: int) -> None:
        self.lanes = lanes
        self.offsets: list[int] = [0, 0]
        self.words: Words = np.empty((lanes.words, 0), dtype=np.uint64)
        self.keys: Keys = np.empty(0, dtype=np.uint64)
        self.bits: IntArray = np.empty(0, dtype=np.int64)
        self.origin: npt.NDArray[np.int16] = np.empty(0, dtype=np.int16)
        self.arguments: npt.NDArray[np.int32] = np.empty((most_arguments, 0), dtype=np.int32)
        self.levels: dict[int, Keys] = {}
        self.level_words: dict[int, Words] = {}
        self.known: Keys | None = None
        self.spare: Keys = self.keys
        self.touched = 0
        self._places: IntArray | None = None
        self._order: IntArray | None = None
        self._sorted: Keys = self.keys

    def __len__(self) -> int:
        return self.offsets[-1]

    @property
    def places(self) -> IntArray:
        """``offsets`` as an array."""
        if self._places is None:
            self._places = np.array(self.offsets)
        return self._places

    @property
    def held(self) -> int:
        return len(self.keys)

    @property
    def closed(self) -> int:
        """The most bits of a level that is complete."""
        return len(self.offsets) - 2

    @property
    def bytes(self) -> int:
        arrays = [self.words, self.keys, self.bits, self.origin, self.arguments]
        arrays += [*self.levels.values(), *self.level_words.values()]
        return sum(x.nbytes for x in arrays) + 8 * max(self.touched, len(self.known) if self.known is not None else 0)

    def count(self, bits: int) -> int:
        """How many behaviours have exactly so many bits."""
        return self.offsets[bits + 1] - self.offsets[bits] if 0 <= bits <= self.closed else 0

    def counts(self) -> npt.NDArray[np.float64]:
        """The number of behaviours of 0, 1, .. bits, shape (closed + 1,)."""
        return np.diff(self.places).astype(np.float64)

    def bits_of(self, index: int) -> int:
        return bisect_right(self.offsets, index) - 1

    def bits_at(self, indices: IntArray) -> IntArray:
        """The bits of behaviours by index."""
        return self.places.searchsorted(indices, side="right") - 1

    def keys_from(self, bits: int) -> Keys:
        """The keys of all behaviours of so many bits or more, by index."""
        start = self.offsets[bits]
        levels = [keys for level, keys in sorted(self.levels.items()) if level >= bits]
        if start >= self.held and len(levels) == 1:
            return levels[0]
        return np.concatenate([self.keys[start:], *levels]) if levels else self.keys[start:]

    def extend(
        self,
        words: Words,
        keys: Keys,
        bits: IntArray,
        origin: npt.NDArray[np.int16],
        arguments: npt.NDArray[np.int32],
        closed: int,
    ) -> None:
        """Put behaviours of ascending bits on the shelf and close all levels up to ``closed`` bits."""
        if len(keys):
            self.words = np.concatenate([self.words, words], axis=1)
            self.keys = np.concatenate([self.keys, keys])
            self.bits = np.concatenate([self.bits, bits])
            self.origin = np.concatenate([self.origin, origin])
            self.arguments = np.concatenate([self.arguments, arguments], axis=1)
            self._order = None
        self._places = None
        before = self.offsets[-1]
        for bound in bits.searchsorted(np.arange(len(self.offsets), closed + 2)).tolist():
            self.offsets.append(before + bound)

    def extend_keys(self, bits: int, keys: Keys) -> None:
        """Put a level on the shelf as its sorted keys alone."""
        if len(keys):
            self.levels[bits] = keys
        self.offsets.append(self.offsets[-1] + len(keys))
        self._places = None

    def level(self, bits: int) -> Words:
        """The words of the behaviours of exactly so many bits, shape (words, count)."""
        if bits in self.level_words:
            return self.level_words[bits]
        if bits in self.levels:
            assert self.lanes.exact, f"shelf: the values of level {bits} were not kept"
            return self.lanes.behaviours(self.levels[bits])
        return self.words[:, self.offsets[bits] : self.offsets[bits + 1]]

    def has_words(self, bits: int) -> bool:
        """Whether the values of a level are there."""
        return self.lanes.exact or bits not in self.levels or bits in self.level_words

    @property
    def worded(self) -> int:
        """The most bits of a level up to which all have their values."""
        return min((bits - 1 for bits in self.levels if not self.has_words(bits)), default=self.closed)

    def all_words(self) -> Words:
        """The words of the behaviours of at most ``worded`` bits by index, shape (words, count)."""
        worded = self.worded
        later = [self.level(bits) for bits in sorted(self.levels) if bits <= worded]
        return np.concatenate([self.words, *later], axis=1) if later else self.words

    def words_at(self, indices: IntArray) -> Words:
        """The words of behaviours by index, shape (words, count); only where they are held or keys are exact."""
        if not self.levels:
            return self.words.take(indices, axis=1)  # not words[:, indices], which comes out transposed in memory
        result = np.empty((self.lanes.words, len(indices)), dtype=np.uint64)
        early = indices < self.held
        result[:, early] = self.words.take(indices[early], axis=1)
        for bits, keys in self.levels.items():
            at = indices - self.offsets[bits]
            inside = (at >= 0) & (at < len(keys))
            if inside.any():
                result[:, inside] = self.level(bits).take(at[inside], axis=1)
        return result

    def sort_known(self) -> Keys:
        """All keys, sorted, from now on kept up to date by the caller in ``known``."""
        if self.known is None:
            self.known = self.spare = np.sort(np.concatenate([self.keys, *self.levels.values()]))
        return self.known

    def forget_known(self) -> None:
        """Let go of what ``sort_known`` keeps: the next call begins anew."""
        self.known, self.spare, self.touched = None, self.keys[:0], 0

    def find(self, words: Words, keys: Keys) -> IntArray:
        """The indices of behaviours, shape (count,), -1 where there is none."""
        result = np.full(len(keys), -1, dtype=np.int64)
        if self.held:
            if self._order is None:
                self._order = np.argsort(self.keys)
                self._sorted = self.keys[self._order]
            at = np.minimum(np.searchsorted(self._sorted, keys), self.held - 1)
            hit = np.flatnonzero(self._sorted[at] == keys)
            index = self._order[at[hit]]
            same = (self.words[:, index] == words[:, hit]).all(axis=0)  # keys of several words may collide
            result[hit[same]] = index[same]
        for bits, level in self.levels.items():
            at = np.minimum(np.searchsorted(level, keys), len(level) - 1)
            hit = level[at] == keys
            result[hit] = at[hit] + self.offsets[bits]
        return result
