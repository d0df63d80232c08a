"""Lanes: how behaviours are packed into 64-bit words, and the keys by which they are told apart.

A behaviour's values lie side by side in the bytes (or 16- or 32-bit lanes) of a few words, so that one 64-bit operation
works on several points. Lanes are wide enough that the sum of two values never carries into the next one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from synth.carrier import IntArray

Words: TypeAlias = npt.NDArray[np.uint64]  # shape (words, ...): a behaviour's words lie along the first axis
Keys: TypeAlias = npt.NDArray[np.uint64]

# Odd multipliers of the key, from SplitMix64's finaliser (Steele, Lea and Flood 2014).
MIX = np.uint64(0xBF58476D1CE4E5B9)
FINAL = np.uint64(0x94D049BB133111EB)
_HALF, _ONE = np.uint64(32), np.uint64(1)
_TAG_BITS = 3  # the last bits of a hashed key
UNTAGGED = np.uint64(2**64 - (1 << _TAG_BITS))


@dataclass(frozen=True)
class Lanes:
    """The packing of behaviours on ``points`` points of a carrier with ``size`` elements.

    Points that do not fill the last word are made up by repeating the last one, so that the spare lanes never tell two
    behaviours apart.
    """

    points: int
    size: int

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """The narrowest unsigned type that holds twice the size: bytes to 127, 16 bits to 32 767, then 32 bits."""
        return np.dtype(np.uint8 if self.size <= 127 else np.uint16 if self.size <= 32767 else np.uint32)

    @property
    def per_word(self) -> int:
        return 8 // self.dtype.itemsize

    @property
    def words(self) -> int:
        return -(-self.points // self.per_word)

    @property
    def exact(self) -> bool:
        """Whether a key is the behaviour itself. Keys of several words are hashes, and two may collide."""
        return self.words == 1

    @property
    def tag_bits(self) -> int:
        """How many bits at the end of a key are free, and 0."""
        return 1 if self.exact else _TAG_BITS

    def pack(self, values: IntArray) -> Words:
        """Shape (count, points) to (words, count)."""
        count = values.shape[0]
        lanes = np.empty((self.words, count, self.per_word), dtype=self.dtype)
        flat = np.empty((count, self.words * self.per_word), dtype=self.dtype)
        flat[:, : self.points] = values
        flat[:, self.points :] = flat[:, self.points - 1 : self.points]
        lanes[:] = flat.reshape(count, self.words, self.per_word).swapaxes(0, 1)
        return lanes.view(np.uint64)[:, :, 0]

    def unpack(self, words: Words) -> IntArray:
        """Shape (words, count) to (count, points)."""
        count = words.shape[1]
        lanes = np.ascontiguousarray(words.T).view(self.dtype).reshape(count, -1)
        return lanes[:, : self.points].astype(np.int64)

    def keys(self, words: Words) -> Keys:
        """A number for each behaviour, whose last ``tag_bits`` are 0; shape of ``words`` less its first axis.

        A single word is shifted by its top bit, which is always 0. Several words are hashed to 61 bits: two different
        behaviours share a key with probability 2^-61, so that among 10^7 any do with probability 2 * 10^-5.
        """
        if self.exact:
            return words[0] << _ONE
        key = words[0] * MIX
        for word in words[1:]:
            key ^= key >> _HALF
            key += word
            key *= FINAL
        key ^= key >> _HALF
        key &= UNTAGGED
        return key

    def behaviours(self, keys: Keys) -> Words:
        """The words that ``keys`` stand for, shape (1, count); only where ``exact``."""
        return (keys >> _ONE)[None]
