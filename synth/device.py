"""A bank's large levels on a torch device: evaluated, told apart and sorted there; their keys come back.

What comes back is what numpy would have built: the same keys in the same order, and so the same bits, behaviours and
programs. Productions are evaluated by their own semantics, which use only what numpy and torch share. This is the one
file of the package that imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from synth.candidates import Candidates
from synth.carrier import Carrier
from synth.lanes import FINAL, MIX, UNTAGGED, Keys, Words
from synth.program import Sort
from synth.tiles import tiles

_CHUNK = 1 << 24  # candidates that are sorted at a time
_TILE_CPU, _TILE = 1 << 16, 1 << 21  # candidates that are evaluated at a time, on a CPU and elsewhere
_MOST_NARROW = 46341  # products of smaller numbers fit 31 bits
_SIGN = -(2**63)
_TOP = np.uint64(1 << 63)


class Sweeper:
    """Builds levels on a device for a bank whose shelves and candidates are given.

    Attributes:
        bytes: what it holds on the device between two levels.
    """

    def __init__(self, sources: Candidates, device: str) -> None:
        """Raises ValueError where torch has no such device here."""
        try:
            self.device = torch.device(device)
            torch.empty(1, device=self.device)
        except (RuntimeError, AssertionError) as error:  # torch says the latter where it was built without CUDA
            raise ValueError(f"Bank: torch has no device {device!r} here ({str(error).splitlines()[0]})") from None
        self._sources, self._lanes = sources, sources.lanes
        self._narrow = {1: torch.uint8, 2: torch.int16, 4: torch.int32}[sources.lanes.dtype.itemsize]
        self._wide = torch.int32 if sources.carrier.size <= _MOST_NARROW else torch.int64
        self._carrier: Any = _Moved(sources.carrier, self.device, self._wide)
        self._tile = _TILE_CPU if self.device.type == "cpu" else _TILE
        self._values: dict[tuple[Sort, int], Tensor] = {}
        self._known: dict[Sort, Tensor] = {}

    @property
    def bytes(self) -> int:
        return sum(x.nbytes for x in [*self._values.values(), *self._known.values()])

    def build_level(
        self, sort: Sort, bits: int, known: Callable[[], Keys], fits: Callable[[float], bool]
    ) -> Iterator[int]:
        """Put the new behaviours of exactly so many bits on the sort's shelf, by their keys alone.

        Args:
            known: the sorted keys of what is there before the first level that is built here.
            fits: whether so many more bytes may be used. Where it says no, nothing is put on the shelf.

        Yields:
            Numbers of candidates that have been seen since the last time.
        """
        if sort not in self._known:
            self._known[sort] = self._uploaded(known())
        new, waiting, count = self._known[sort][:0], list[Tensor](), 0
        for words in self._candidates(sort, bits):
            waiting.append(_keys(words) ^ _SIGN)
            count += len(words)
            if count >= _CHUNK:
                if not fits(8.0 * 5 * (count + len(new))):
                    return
                new, waiting = _distinct([new, *waiting]), []
                yield count
                count = 0
        if not fits(8.0 * (5 * (count + len(new)) + 3 * len(self._known[sort]))):
            return
        new = _distinct([new, *waiting])
        new = new[~_among(new, self._known[sort])[0]]
        self._known[sort] = torch.cat([self._known[sort], new]).sort().values
        self._sources.shelves[sort].extend_keys(bits, new.cpu().numpy().view(np.uint64) ^ _TOP)
        yield count

    def words(self, sort: Sort, bits: int) -> Words:
        """The words of a level's behaviours, shape (words, count): made once more."""
        new = self._uploaded(self._sources.shelves[sort].levels[bits])
        result = torch.empty((len(new), self._lanes.words), dtype=torch.int64, device=self.device)
        for words in self._candidates(sort, bits):
            hit, at = _among(_keys(words) ^ _SIGN, new)
            result[at[hit]] = words[hit]
        return np.ascontiguousarray(result.cpu().numpy().view(np.uint64).T)

    def _uploaded(self, keys: Keys) -> Tensor:
        """Sorted keys as signed numbers in the same order."""
        return torch.from_numpy((keys ^ _TOP).view(np.int64)).to(self.device)

    def _level(self, sort: Sort, bits: int) -> Tensor:
        """The values of a level's behaviours, one lane beside another, shape (count, lanes)."""
        if (sort, bits) not in self._values:
            words = self._sources.shelves[sort].level(bits)
            values = np.ascontiguousarray(words.T).view(self._lanes.dtype)
            signed = values if values.itemsize == 1 else values.view(f"i{values.itemsize}")
            self._values[sort, bits] = torch.from_numpy(np.array(signed)).to(self.device)
        return self._values[sort, bits]

    def _candidates(self, sort: Sort, bits: int) -> Iterator[Tensor]:
        """The words of all candidates of exactly so many bits, shape (count, words), a tile at a time."""
        for rule in self._sources.language.productions:
            if rule.sort != sort or rule.bits > bits:
                continue
            if not rule.arity:
                if rule.bits == bits:
                    words = self._sources.leaves([rule]).T
                    yield torch.from_numpy(np.ascontiguousarray(words).view(np.int64)).to(self.device)
                continue
            for levels in self._sources.splits(rule.arguments, bits - rule.bits, rule.commutes):
                values = [self._level(s, level) for s, level in zip(rule.arguments, levels, strict=True)]
                triangle = rule.commutes and levels[0] == levels[1]
                for ranges, _ in tiles([len(x) for x in values], triangle, self._tile):
                    arguments: list[Tensor] = []
                    for i, (start, stop) in enumerate(ranges):
                        shape = [1] * len(ranges) + [values[i].shape[1]]
                        shape[i] = stop - start
                        lanes = values[i][start:stop].reshape(shape)
                        arguments.append(lanes != 0 if rule.arguments[i] == "condition" else lanes.to(self._wide))
                    result = rule.semantics(self._carrier, *arguments).to(self._narrow)
                    count = prod(stop - start for start, stop in ranges)
                    yield result.reshape(count, -1).contiguous().view(torch.int64)


class _Moved:
    """A carrier whose tables are on a device."""

    def __init__(self, carrier: Carrier, device: torch.device, dtype: torch.dtype) -> None:
        self._carrier = carrier
        for name in ("inverses", "table"):
            if hasattr(carrier, name):
                setattr(self, name, torch.from_numpy(np.array(getattr(carrier, name))).to(device, dtype))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._carrier, name)


def _keys(words: Tensor) -> Tensor:
    """As ``Lanes.keys`` on words of shape (count, words); signed numbers wrap round alike."""
    first, *others = words.unbind(1)
    if not others:
        return first << 1
    key = first * _signed(MIX)
    for word in others:
        key ^= (key >> 32) & 0xFFFFFFFF
        key += word
        key *= _signed(FINAL)
    key ^= (key >> 32) & 0xFFFFFFFF
    return key & _signed(UNTAGGED)


def _signed(number: np.uint64) -> int:
    return int(number.view(np.int64))


def _distinct(parts: list[Tensor]) -> Tensor:
    """The distinct numbers, sorted."""
    return torch.unique_consecutive(torch.cat(parts).sort().values)


def _among(keys: Tensor, ranked: Tensor) -> tuple[Tensor, Tensor]:
    """Which keys are among distinct sorted ones, and where they would stand."""
    if not len(ranked):
        return torch.zeros_like(keys, dtype=torch.bool), torch.zeros_like(keys)
    at = torch.searchsorted(ranked, keys).clamp_(max=len(ranked) - 1)
    return ranked[at] == keys, at
