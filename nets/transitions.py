"""When a run's measures make their change: the steps of 10, 50 and 90% of it, beside the jump of the accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import numpy.typing as npt

SHARES = (0.1, 0.5, 0.9)
LEAST = 0.02  # of the largest value, that a change must exceed to be one
LAST = 5  # values, or a tenth of them all, whose median is where a measure ends: single ones may fall into a spike
OVERSHOOT = 0.5  # of the change, by which a measure may go beyond its end and still count as going there
NOISE = 4.0  # standard deviations of what a measure jitters by, that a change must exceed

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Transition:
    """The change of one measure over a run.

    Its way leads from its first value to its end. A measure that goes beyond its end by more than half of that way
    and comes back has not gone there at all, it has turned: its way is then the last leg, from that extreme to the
    end. The step of 10% parts the run best in before and after: as few checkpoints as can be are past 10% of the way
    before it, or short of that from it on (the earliest such step, where there are several; this is isotonic regression
    in the L1 norm). So a few checkpoints off the way, however far, move no step; on a way without detours it is the
    first step past 10%.

    Attributes:
        start: its first value; end: the median of its last few; least, most: its extremes.
        steps: those of 10, 50 and 90% of the way; None where that is no change to speak of: less than ``LEAST`` of the
            largest value, than it still moves by among its last values, or than it jitters by.
        turn: the step at which the last leg begins, where that is not the first; else None.
        correlation: Pearson's, with the held-out accuracy over the checkpoints; None where either is constant.
    """

    start: float
    end: float
    least: float
    most: float
    steps: tuple[int | None, int | None, int | None]
    correlation: float | None
    turn: int | None = None


@dataclass(frozen=True)
class Jump:
    """The jump of the accuracy; steps, None where it does not come.

    Attributes:
        memorised: the first step with .99 of the examples right.
        half, exact: the first steps with .5 and .999 of the held-out cells right.
        apart_half: the first with half of those right that have no reordering among the examples.
        width: from 10 to 90% of the held-out accuracy's change.
        law: the step from which on, to the end, an accepted law read from the held-out logits is right on every cell.
        apart_width: the width of the change of the accuracy on cells that have no reordering among the examples.
    """

    memorised: int | None
    half: int | None
    exact: int | None
    apart_half: int | None
    width: int | None
    law: int | None
    apart_width: int | None = None


Trace = Mapping[str, Sequence[float | None]]  # by measure, one entry a checkpoint


def transition(steps: Sequence[int], values: Sequence[float | None], accuracy: Sequence[float | None]) -> Transition:
    """One measure's change; checkpoints without it are left out.

    Args:
        steps, values: one a checkpoint, with at least one value.
        accuracy: of the held-out cells at the same checkpoints.
    """
    known = [(step, x) for step, x in zip(steps, values, strict=True) if x is not None]
    at = [step for step, _ in known]
    raw = np.array([x for _, x in known], dtype=np.float64)
    smooth = _without_spikes(raw)
    last = max(1, min(LAST, len(raw) // 10))
    start, end = float(raw[0]), float(median(raw[-last:].tolist()))
    turn = _turn(smooth, end)
    change = end - float(smooth[turn])
    still = max(float(np.ptp(smooth[-last:])), NOISE * _jitter(raw), LEAST * float(np.abs(smooth).max()))
    found: list[int | None] = [None, None, None]
    if abs(change) > still:
        way = (raw[turn:] - smooth[turn]) / change
        parted = [_parting(way >= share - 1e-9) for share in SHARES]
        found = [at[turn + i] if i is not None else None for i in parted]
    both = [(x, y) for x, y in zip(values, accuracy, strict=True) if x is not None and y is not None]
    return Transition(
        start, end, float(raw.min()), float(raw.max()), (found[0], found[1], found[2]),
        _correlation([x for x, _ in both], [y for _, y in both]), at[turn] if turn and found[0] is not None else None,
    )  # fmt: skip


def _without_spikes(values: Values) -> Values:
    """Running medians of three; the first and last values as they are."""
    if len(values) < 3:
        return values
    inner = np.median(np.stack([values[:-2], values[1:-1], values[2:]]), axis=0)
    return np.concatenate([values[:1], inner, values[-1:]])


def _turn(values: Values, end: float) -> int:
    """Where the last leg begins: 0, or the extreme beyond the end that is too far beyond it to be on the way."""
    turn = 0
    while True:
        change = end - float(values[turn])
        beyond = (values[turn:] - end) * np.sign(change)
        furthest = int(np.argmax(beyond))
        if change == 0 or beyond[furthest] <= OVERSHOOT * abs(change):
            return turn
        turn += furthest  # at least 1: the leg's own beginning is on the other side of the end


def _jitter(values: Values) -> float:
    """The standard deviation of a measure's noise, by its second differences: a steady change has none."""
    if len(values) < 4:
        return 0.0
    return float(np.median(np.abs(np.diff(values, n=2)))) / (0.6745 * 6**0.5)


def _parting(past: npt.NDArray[np.bool_]) -> int | None:
    """The first index that parts past from not yet with the fewest on the wrong side; None where that is the end."""
    early = np.concatenate([[0], np.cumsum(past)])
    late = np.concatenate([np.cumsum(~past[::-1])[::-1], [0]])
    best = int(np.argmin(early + late))
    return best if best < len(past) else None


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

    changed = transitions(steps, {k: trace[k] for k in ("test_accuracy", "apart_accuracy") if k in trace})

    def width(name: str) -> int | None:
        low, _, high = changed[name].steps if name in changed else (None, None, None)
        return high - low if low is not None and high is not None else None

    accepted, right = trace.get("law_accepted") or [], trace.get("law_accuracy") or []
    law = None
    for step, x, y in zip(steps, accepted, right, strict=False):
        law = (step if law is None else law) if x and y == 1.0 else None
    return Jump(
        memorised=first("train_accuracy", 0.99),
        half=first("test_accuracy", 0.5),
        exact=first("test_accuracy", 0.999),
        apart_half=first("apart_accuracy", 0.5),
        width=width("test_accuracy"),
        law=law,
        apart_width=width("apart_accuracy"),
    )


def _correlation(x: Sequence[float], y: Sequence[float]) -> float | None:
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return float(np.corrcoef(x, y)[0, 1])
