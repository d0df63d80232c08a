"""When a run's measures make their change: the steps of 10, 50 and 90% of it, beside the jump of the accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

SHARES = (0.1, 0.5, 0.9)
LEAST = 0.02  # of the largest value, that a change must exceed to be one
LAST = 5  # values, or a tenth of them all, whose median is where a measure ends: single ones may fall into a spike


@dataclass(frozen=True)
class Transition:
    """The change of one measure over a run.

    Attributes:
        start: its first value; end: the median of its last few; least, most: its extremes.
        steps: the first steps at which it has made 10, 50 and 90% of the way from start to end; None where that is no
            change to speak of: less than ``LEAST``, or than what it still moves by among its last values.
        correlation: Pearson's, with the held-out accuracy over the checkpoints; None where either is constant.
    """

    start: float
    end: float
    least: float
    most: float
    steps: tuple[int | None, int | None, int | None]
    correlation: float | None


@dataclass(frozen=True)
class Jump:
    """The jump of the accuracy; steps, None where it does not come.

    Attributes:
        memorised: the first step with .99 of the examples right.
        half, exact: the first steps with .5 and .999 of the held-out cells right.
        apart_half: the first with half of those right that have no reordering among the examples.
        width: from 10 to 90% of the held-out accuracy's change.
        law: the step from which on, to the end, an accepted law read from the held-out logits is right on every cell.
    """

    memorised: int | None
    half: int | None
    exact: int | None
    apart_half: int | None
    width: int | None
    law: int | None


Trace = Mapping[str, Sequence[float | None]]  # by measure, one entry a checkpoint


def transition(steps: Sequence[int], values: Sequence[float | None], accuracy: Sequence[float | None]) -> Transition:
    """One measure's change; checkpoints without it are left out.

    Args:
        steps, values: one a checkpoint, with at least one value.
        accuracy: of the held-out cells at the same checkpoints.
    """
    known = [(step, x) for step, x in zip(steps, values, strict=True) if x is not None]
    last = [x for _, x in known[-max(1, min(LAST, len(known) // 10)) :]]
    start, end = known[0][1], median(last)
    change = end - start
    real = abs(change) > max(max(last) - min(last), LEAST * max(abs(x) for _, x in known))
    found = [
        next((step for step, x in known if (x - start) / change >= q - 1e-9), None) if real else None for q in SHARES
    ]
    both = [(x, y) for x, y in zip(values, accuracy, strict=True) if x is not None and y is not None]
    return Transition(
        start, end, min(x for _, x in known), max(x for _, x in known), (found[0], found[1], found[2]),
        _correlation([x for x, _ in both], [y for _, y in both]),
    )  # fmt: skip


def transitions(steps: Sequence[int], trace: Trace) -> dict[str, Transition]:
    """Every measure's change, of those that apply."""
    accuracy = trace.get("test_accuracy") or [None] * len(steps)
    return {
        name: transition(steps, values, accuracy)
        for name, values in trace.items()
        if any(x is not None for x in values)
    }


def jump(steps: Sequence[int], trace: Trace) -> Jump:
    """The jump of a run's accuracies."""

    def first(name: str, least: float) -> int | None:
        values = trace.get(name) or []
        return next((step for step, x in zip(steps, values, strict=False) if x is not None and x >= least), None)

    changed = transitions(steps, {"test_accuracy": trace["test_accuracy"]}) if "test_accuracy" in trace else {}
    low, _, high = changed["test_accuracy"].steps if changed else (None, None, None)
    accepted, right = trace.get("law_accepted") or [], trace.get("law_accuracy") or []
    law = None
    for step, x, y in zip(steps, accepted, right, strict=False):
        law = (law or step) if x and y == 1.0 else None
    return Jump(
        memorised=first("train_accuracy", 0.99),
        half=first("test_accuracy", 0.5),
        exact=first("test_accuracy", 0.999),
        apart_half=first("apart_accuracy", 0.5),
        width=high - low if low is not None and high is not None else None,
        law=law,
    )


def _correlation(x: Sequence[float], y: Sequence[float]) -> float | None:
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return float(np.corrcoef(x, y)[0, 1])
