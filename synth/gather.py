"""Gathering: words taken at indices, prepared and put through several kernels in one go."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from synth.carrier import IntArray
from synth.kernels import Kernel, Prepare
from synth.lanes import Words


@dataclass(frozen=True, eq=False, slots=True)
class Batch:
    """Kernels that differ only in what they do to their arguments beforehand: evaluated in one go, one after another.

    Attributes:
        count: how many.
        apply: what they share.
        sides: for each argument its source, the number of its indices, and how each kernel prepares it.
    """

    count: int
    apply: Callable[..., Words]
    sides: tuple[tuple[str, int, tuple[Prepare | None, ...]], ...]


def batches(calls: Sequence[tuple[Kernel, Sequence[str], Sequence[int]]]) -> tuple[Batch, ...]:
    """Batches of consecutive calls, each a kernel with its arguments' sources and numbers of indices."""
    made: list[Batch] = []
    for kernel, sources, numbers in calls:
        sides = list(zip(sources, numbers, kernel.prepare, strict=True))
        if kernel.symmetric:
            sides.sort(key=lambda x: x[1])
        last = made[-1] if made else None
        if last and last.apply is kernel.apply and [x[:2] for x in sides] == [x[:2] for x in last.sides]:
            joined = tuple((*x[:2], (*x[2], y[2])) for x, y in zip(last.sides, sides, strict=True))
            made[-1] = Batch(last.count + 1, kernel.apply, joined)
        else:
            made.append(Batch(1, kernel.apply, tuple((*x[:2], (x[2],)) for x in sides)))
    return tuple(made)


class Gatherer:
    """Words prepared once as kernels need them, and taken once at each set of indices."""

    def __init__(self, sources: Mapping[str, Words]) -> None:
        self._sources = sources
        self._prepared: dict[tuple[str, tuple[Prepare | None, ...]], Words] = {}
        self._indices: Sequence[IntArray] = ()
        self._taken: dict[tuple[str, int, tuple[Prepare | None, ...]], Words] = {}

    def at(self, indices: Sequence[IntArray]) -> None:
        """From now on take words at these indices."""
        self._indices, self._taken = indices, {}

    def evaluate(self, batch: Batch) -> Words:
        """The words of all kernels of a batch at the indices, kernel by kernel; shape (words, kernels * indices)."""
        return batch.apply(*(self.take(*side) for side in batch.sides))

    def take(self, source: str, number: int, fills: tuple[Prepare | None, ...] = (None,)) -> Words:
        """The source's words, prepared in each way, at the indices of that number; shape (words, ways * indices)."""
        found = self._taken.get((source, number, fills))
        if found is None:
            whole = self._prepared.get((source, fills))
            if whole is None:
                whole = self._prepared[source, fills] = self._prepare(source, fills)
            found = whole.take(self._indices[number], axis=-1)
            if len(fills) > 1:
                found = found.reshape(len(found), -1)
            self._taken[source, number, fills] = found
        return found

    def _prepare(self, source: str, fills: tuple[Prepare | None, ...]) -> Words:
        words = self._sources[source]
        if len(fills) == 1:
            return words if fills[0] is None else fills[0](words)
        ways = [words if fill is None else fill(words) for fill in fills]
        return np.concatenate(ways, axis=1).reshape(len(words), len(fills), -1)
