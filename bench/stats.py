"""The numbers of a board: n* and its interval, and medians that keep censored runs censored."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A median with an order-statistic interval.

    Attributes:
        median: the middle value; inf where it is censored. For an even count the larger of the two in the middle, so
            that it is a value that was seen, and never flatters.
        low, high: the interval's ends; inf where censored.
        coverage: the probability that the interval holds the true median, whatever the distribution.
    """

    median: float
    low: float
    high: float
    coverage: float


def n_star(solved_by_size: Mapping[int, bool]) -> float:
    """The smallest size such that it and every larger size tried is solved; inf when there is none."""
    best = math.inf
    for size in sorted(solved_by_size, reverse=True):
        if not solved_by_size[size]:
            break
        best = size
    return best


def median(values: Iterable[float | None]) -> float:
    """The middle value (the larger of two), None counting as +inf: a censored run took longer than we waited.

    Raises:
        ValueError: there are no values.
    """
    ordered = sorted(math.inf if value is None else value for value in values)
    if not ordered:
        raise ValueError("median: expected at least one value, got none")
    return ordered[len(ordered) // 2]


def median_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """The narrowest symmetric order-statistic interval of at least the confidence, or the range where none has it.

    The coverage of (x_(k), x_(S+1-k)) is 1 - 2 P(Binomial(S, 1/2) < k) (David and Nagaraja, Order Statistics, 7.1):
    three seeds' range covers the median at 75% only, six seeds' at 97%.

    Raises:
        ValueError: there are no values.
    """
    ordered, count = sorted(values), len(values)
    middle = median(ordered)

    def coverage(k: int) -> float:
        return 1 - 2 * sum(math.comb(count, i) for i in range(k)) / 2**count

    k = max((k for k in range(1, (count + 1) // 2 + 1) if coverage(k) >= confidence), default=1)
    return Interval(middle, ordered[k - 1], ordered[count - k], coverage(k))
