"""Seeded draws from a documented hash, so that no library's release can ever change a stream or a task.

The hash is SplitMix64 (Steele, Lea and Flood 2014): a seed and a purpose are folded into a 64-bit state, and draw
number i is the finaliser of state + (i+1) * 0x9E3779B97F4A7C15. tests/golden holds its first values.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from synth.carrier import IntArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)


def _finalise(z: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * _MIX1
    z = (z ^ (z >> np.uint64(27))) * _MIX2
    return z ^ (z >> np.uint64(31))


def hashes(seed: int, purpose: str, counters: IntArray) -> npt.NDArray[np.uint64]:
    """64 random bits for each counter, of the counters' shape; streams for different purposes are independent."""
    state = np.array([seed % 2**64], dtype=np.uint64)
    with np.errstate(over="ignore"):  # arithmetic modulo 2^64 is the point
        for byte in purpose.encode():
            state = _finalise(state + _GOLDEN * np.uint64(byte + 1))
        return _finalise(state + _GOLDEN * (np.asarray(counters).astype(np.uint64) + np.uint64(1)))


def uniforms(seed: int, purpose: str, counters: IntArray) -> npt.NDArray[np.float64]:
    """Numbers in [0, 1) with 53 random bits, of the counters' shape."""
    return (hashes(seed, purpose, counters) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def permutation(seed: int, purpose: str, size: int) -> IntArray:
    """A permutation of 0 .. size-1, shape (size,): the order of the counters' hashes."""
    return np.argsort(hashes(seed, purpose, np.arange(size)), kind="stable").astype(np.int64)


def integers(seed: int, purpose: str, counters: IntArray, below: int) -> IntArray:
    """Integers in 0 .. below-1, of the counters' shape; the bias of the product method is under below / 2^53."""
    return np.floor(uniforms(seed, purpose, counters) * below).astype(np.int64)
