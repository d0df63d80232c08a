"""How well functions of a law's combination stand for logits, and in what one of them beats its rivals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nets.cycles import Cycles
from synth.carrier import IntArray

Array = npt.NDArray[np.float64]
_SWEEPS = 3


@dataclass(frozen=True, eq=False)
class Claim:
    """How well a function of the law's combination stands for the logits.

    Attributes:
        explained: share of the variance of the logits, centred cell by cell.
        interaction: the same after what depends on one input alone has been taken off.
        worst: over the cells, the largest error of a centred logit over half the network's margin there; below 1 the
            function's argmax is the network's on every cell that was looked at. The margin is the network's, the same
            for every rival: a function's own grows with its scale, and any delta that is large enough would come to 2.
        rest: the same after what depends on one input alone has been taken off.
        parameters: how many numbers it takes.
    """

    explained: float
    interaction: float
    worst: float
    rest: float
    parameters: int


def failed_in(cosines: Claim, *rivals: Claim) -> tuple[str, ...]:
    """In what some rival is as good."""
    found: list[str] = []
    if cosines.interaction <= max(x.interaction for x in rivals) + 1e-9:
        found.append("variance")
    if cosines.rest >= min(x.rest for x in rivals) - 1e-9:
        found.append("worst error")
    return tuple(found)


@dataclass(frozen=True, eq=False)
class Seen:
    """Some logits as rows over s = h(c) - f(a) - g(b), and what claims about functions of s are judged by.

    Attributes:
        rows: shape (N, size).
        half: shape (N,): half the network's margin at each cell.
        mean: of the rows.
        size: the sum of their squares.
    """

    rows: npt.NDArray[np.float32]
    half: Array
    mean: Array
    size: float

    @classmethod
    def of(cls, cycles: Cycles, values: Array, total: IntArray, half: Array) -> Seen:
        rows = cycles.aligned(values, total)
        return cls(rows.astype(np.float32), half, rows.mean(axis=0), float((values**2).sum()))

    def explained(self, function: Array) -> float:
        """The share of the variance that a function explains."""
        return len(self.rows) * float((2 * self.mean - function) @ function) / max(self.size, 1e-30)

    def worst(self, function: Array) -> float:
        """Its largest error over half the margin there."""
        errors = np.abs(self.rows - function.astype(np.float32)).max(axis=1)
        return float((errors / np.maximum(self.half, 1e-30)).max())


def parts(cycles: Cycles, cells: IntArray, values: Array, total: IntArray) -> tuple[Array, Array]:
    """The mean profile over the law's combination, shape (size,), and what depends on one input alone, (N, size).

    By turns, each fitted to what the others leave: with some cells missing, means over them are not orthogonal.
    """
    size = int(cells.max()) + 1
    alone: list[Array] = [np.zeros_like(values) for _ in range(cells.shape[1])]
    order = [np.argsort(cells[:, j], kind="stable") for j in range(cells.shape[1])]
    counts = [np.maximum(np.bincount(cells[:, j], minlength=size), 1)[:, None] for j in range(cells.shape[1])]
    means: Array = np.zeros(values.shape[1])
    rest = values.copy()
    for _ in range(_SWEEPS):
        rest += cycles.moved(means, total)
        means = cycles.aligned(rest, total).mean(axis=0)
        rest -= cycles.moved(means, total)
        for j, part in enumerate(alone):
            rest += part
            sums: Array = np.zeros((size, values.shape[1]))
            keys = cells[order[j], j]
            starts = np.flatnonzero(np.diff(keys, prepend=-1))
            sums[keys[starts]] = np.add.reduceat(rest[order[j]], starts, axis=0)
            alone[j] = (sums / counts[j])[cells[:, j]]
            rest -= alone[j]
    return means, np.sum(alone, axis=0)
