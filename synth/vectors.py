"""Vectors: values at many points, packed in words where the carrier allows, plain for programs on integers.

The behaviours lie along the last axis; along the first are words of several points (``Lanes``), or points.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from synth.carrier import Carrier, IntArray
from synth.kernels import kernels
from synth.lanes import Lanes
from synth.language import Language
from synth.program import Production

Words = npt.NDArray[Any]
_MIX = np.uint64(0x9E3779B97F4A7C15)  # odd multipliers, as in SplitMix64 (Steele, Lea and Flood 2014)
_FINAL = np.uint64(0x94D049BB133111EB)
_HALF, _ONE = np.uint64(32), np.uint64(1)


class Vectors(Protocol):
    """How values at a fixed number of points are held."""

    def empty(self) -> Words:
        """Of no behaviour."""
        ...

    def room(self, count: int) -> Words:
        """For so many behaviours, uninitialised."""
        ...

    def leaf(self, rule: Production, inputs: IntArray) -> Words:
        """A variable's or a constant's, of one behaviour."""
        ...

    def apply(self, rule: Production, *arguments: Words) -> Words:
        """A production's, from its arguments'."""
        ...

    def keys(self, words: Words) -> npt.NDArray[np.uint64]:
        """A number for each behaviour, shape (count,); two that differ share one with probability 2^-63."""
        ...

    def values(self, words: Words) -> npt.NDArray[Any]:
        """The values themselves, shape (count, points)."""
        ...

    def pack(self, values: IntArray) -> Words:
        """From values of shape (count, points)."""
        ...


def vectors(language: Language, carrier: Carrier, points: int) -> Vectors:
    """How the values of a language's programs at so many points are held."""
    return _Plain(carrier, points) if language.integers else _Packed(carrier, Lanes(points, carrier.size))


@dataclass(frozen=True)
class _Packed:
    """Several points in a word."""

    carrier: Carrier
    lanes: Lanes

    def empty(self) -> Words:
        return self.room(0)

    def room(self, count: int) -> Words:
        return np.empty((self.lanes.words, count), dtype=np.uint64)

    def leaf(self, rule: Production, inputs: IntArray) -> Words:
        return self.lanes.pack(_leaf(rule, self.carrier, inputs)[None])

    def apply(self, rule: Production, *arguments: Words) -> Words:
        return kernels(self.carrier).of(rule)(*arguments)

    def keys(self, words: Words) -> npt.NDArray[np.uint64]:
        return self.lanes.keys(words)

    def values(self, words: Words) -> npt.NDArray[Any]:
        count = words.shape[1]
        return np.ascontiguousarray(words.T).view(self.lanes.dtype).reshape(count, -1)[:, : self.lanes.points]

    def pack(self, values: IntArray) -> Words:
        return self.lanes.pack(values)


@dataclass(frozen=True)
class _Plain:
    """One 64-bit integer a point."""

    carrier: Carrier
    points: int

    def empty(self) -> Words:
        return self.room(0)

    def room(self, count: int) -> Words:
        return np.empty((self.points, count), dtype=np.int64)

    def leaf(self, rule: Production, inputs: IntArray) -> Words:
        return _leaf(rule, self.carrier, inputs)[:, None]

    def apply(self, rule: Production, *arguments: Words) -> Words:
        values = [x != 0 if s == "condition" else x for s, x in zip(rule.arguments, arguments, strict=True)]
        return np.asarray(rule.semantics(self.carrier, *values)).astype(np.int64)

    def keys(self, words: Words) -> npt.NDArray[np.uint64]:
        key = np.full(words.shape[1], _MIX)
        for row in words:
            key ^= key >> _HALF
            key += row.astype(np.uint64)
            key *= _FINAL
        return (key ^ (key >> _HALF)) << _ONE

    def values(self, words: Words) -> npt.NDArray[Any]:
        return words.T

    def pack(self, values: IntArray) -> Words:
        return np.ascontiguousarray(np.asarray(values, dtype=np.int64).T)


def _leaf(rule: Production, carrier: Carrier, inputs: IntArray) -> IntArray:
    if rule.variable is not None:
        return np.asarray(inputs[:, rule.variable], dtype=np.int64)
    return np.full(len(inputs), np.asarray(rule.semantics(carrier)), dtype=np.int64)
