"""How well functions of a law's combination stand for logits, and in what one of them beats its rivals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from synth.carrier import IntArray

Array = npt.NDArray[np.float64]
_SWEEPS = 3


@dataclass(frozen=True, eq=False)
class Claim:
    """How well a function of the law's combination stands for the logits.

    Attributes:
        explained: share of the variance of the logits, centred cell by cell.
        interaction: the same after what depends on one input alone has been taken off.
        worst: the largest error of a centred logit over half the function's own margin; below 1 the function's
            argmax is the network's on every cell that was looked at.
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
    """What of some logits a claim about a function of s = h(c) - f(a) - g(b) depends on.

    Attributes:
        low, high, mean: at each s, shape (order,).
        size: the sum of their squares.
        n: cells.
    """

    low: Array
    high: Array
    mean: Array
    size: float
    n: int

    @classmethod
    def of(cls, values: Array, total: IntArray) -> Seen:
        rows = _aligned(values, total)
        return cls(rows.min(axis=0), rows.max(axis=0), rows.mean(axis=0), float((values**2).sum()), len(total))

    def judge(self, function: Array) -> tuple[float, float]:
        """The share of the variance that a function explains, and its worst error over half its margin."""
        margin = float(function[0] - function[1:].max())
        error = float(np.maximum(self.high - function, function - self.low).max())
        explained = self.n * float((2 * self.mean - function) @ function) / max(self.size, 1e-30)
        return explained, error / (margin / 2) if margin > 0 else float("inf")


def parts(cells: IntArray, values: Array, total: IntArray) -> tuple[Array, Array]:
    """The mean profile over the law's combination, shape (order,), and what depends on one input alone, (N, order).

    By turns, each fitted to what the others leave: with some cells missing, means over them are not orthogonal.
    """
    size = int(cells.max()) + 1
    alone: list[Array] = [np.zeros_like(values) for _ in range(cells.shape[1])]
    order = [np.argsort(cells[:, j], kind="stable") for j in range(cells.shape[1])]
    counts = [np.maximum(np.bincount(cells[:, j], minlength=size), 1)[:, None] for j in range(cells.shape[1])]
    means: Array = np.zeros(values.shape[1])
    rest = values.copy()
    for _ in range(_SWEEPS):
        rest += _moved(means, total)
        means = _aligned(rest, total).mean(axis=0)
        rest -= _moved(means, total)
        for j, part in enumerate(alone):
            rest += part
            sums: Array = np.zeros((size, values.shape[1]))
            keys = cells[order[j], j]
            starts = np.flatnonzero(np.diff(keys, prepend=-1))
            sums[keys[starts]] = np.add.reduceat(rest[order[j]], starts, axis=0)
            alone[j] = (sums / counts[j])[cells[:, j]]
            rest -= alone[j]
    return means, np.sum(alone, axis=0)


def _moved(function: Array, total: IntArray) -> Array:
    """A function of s = h(c) - total as rows over classes, shape (N, order)."""
    doubled = np.concatenate([function, function])
    windows = np.lib.stride_tricks.sliding_window_view(doubled, len(function))
    return windows[-total % len(function)]


def _aligned(rows: Array, total: IntArray) -> Array:
    """Rows over classes as rows over s = h(c) - total."""
    order = rows.shape[1]
    doubled = np.concatenate([rows, rows], axis=1)
    return np.lib.stride_tricks.sliding_window_view(doubled, order, axis=1)[np.arange(len(rows)), total]
