"""The film's plots over steps: the grokking curve, all measures, and the order in which they change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from bench.reel import middle, turned
from bench.shots import Footage
from bench.style import BLACK, BLUE, FAINT, GREEN, GREY, ORANGE, PURPLE, RED, headed, steps_axis


@dataclass(frozen=True)
class Line:
    """One measure in one panel: its name, its look, and what the legend says."""

    measure: str
    label: str
    colour: str
    dash: Any = "-"


@dataclass(frozen=True)
class Panel:
    """Measures that share their axes.

    Attributes:
        share: whether they lie from 0 to 1.
        level: a value to compare with, as a thin line.
    """

    title: str
    lines: tuple[Line, ...]
    share: bool = False
    level: float | None = None


ACCURACIES = (
    Line("train_accuracy", "examples", BLACK, (0, (1, 1))),
    Line("test_accuracy", "held out", BLUE),
    Line("apart_accuracy", "held out, no mirror seen", RED, (0, (4, 1.5))),
)
LOSSES = (
    Line("train_loss", "examples", BLACK, (0, (1, 1))),
    Line("test_loss", "held out", BLUE),
    Line("restricted_loss", "held out, key waves alone", GREEN, (0, (3, 1, 1, 1))),
    Line("excluded_loss", "held out, without them", ORANGE, (0, (6, 2))),
)
DASHED, DOTTED = (0, (4, 1.5)), (0, (3, 1, 1, 1))
PANELS = (
    Panel("accuracy", (
        Line("test_accuracy", "held out", BLUE), Line("apart_accuracy", "no mirror seen", RED, DASHED),
    ), share=True),
    Panel("variance explained by the law", (Line("variance_explained", "", BLUE),), share=True),
    Panel("accuracy of the law read off", (Line("law_accuracy", "", BLUE),), share=True),
    Panel("Gini index of the embedding's spectrum", (Line("spectrum_gini", "", BLUE),), share=True),
    Panel("units' energy on one frequency", (Line("dominant_share", "", BLUE),), share=True),
    Panel("accuracy with weights changed", (
        Line("removed_accuracy", "keys removed", BLUE), Line("removed_random_accuracy", "others removed", RED, DASHED),
        Line("disturbed_accuracy", "noise of equal energy", GREEN, DOTTED),
    ), share=True),
    Panel("code length / table of labels", (Line("code_ratio", "", BLUE),), level=1.0),
    Panel("effective rank", (
        Line("embedding_rank", "embedding", BLUE), Line("hidden_rank", "hidden", RED, DASHED),
    )),
    Panel("weight norm", (Line("weight_norm", "", BLUE),)),
)  # fmt: skip
ORDER = {
    "train_accuracy": "training accuracy",
    "test_accuracy": "held-out accuracy",
    "apart_accuracy": "held-out accuracy, no mirrors",
    "variance_explained": "variance explained by the law",
    "law_accuracy": "accuracy of the law read off",
    "restricted_loss": "restricted loss",
    "restricted_accuracy": "restricted accuracy",
    "spectrum_gini": "Gini index of the spectrum",
    "spectrum_participation": "participating frequencies",
    "dominant_share": "units' energy on one frequency",
    "tuned_units": "units tuned to one frequency",
    "kept_accuracy": "accuracy, key frequencies alone",
    "code_ratio": "two-part code length",
    "embedding_rank": "rank of the embedding",
    "hidden_rank": "rank of the hidden layer",
    "prunable_units": "prunable units",
}
COLUMNS = 3


def curve(runs: Sequence[Footage], twins: Sequence[Footage], title: str) -> Figure:
    """Accuracy and loss against steps: seeds thin, their median thick; the random-label twins in a column beside."""
    columns = [("task", runs), *([("random labels", twins)] if twins else [])]
    figure = Figure(figsize=(2.8 * len(columns) + 2.0, 4.6), layout="constrained")
    grid: Any = figure.subplots(2, len(columns), sharex=True, sharey="row", squeeze=False)
    for i, (lines, label) in enumerate(((ACCURACIES, "accuracy"), (LOSSES, "loss (nats a cell)"))):
        for j, (name, some) in enumerate(columns):
            axes: Axes = grid[i][j]
            for line in lines:
                _seeds(axes, some, line)
            steps_axis(axes, [*runs, *twins])
            if i:
                axes.set_xlabel("gradient steps")
            else:
                axes.set_title(name, pad=14)
            if j == 0:
                axes.set_ylabel(label)
                _events(axes, runs, named=i == 0)
        _legend(grid[i][-1], [x for x in lines if _known([*runs, *twins], x.measure)], outside=True)
    grid[0][0].set_ylim(-0.02, 1.02)
    losses: Axes = grid[1][0]
    losses.set_yscale("symlog", linthresh=1e-3, linscale=0.4)
    losses.set_ylim(0, None)
    losses.yaxis.set_major_locator(FixedLocator([0, 1e-3, 1e-2, 1e-1, 1, 10, 100]))
    losses.yaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    losses.yaxis.set_minor_locator(NullLocator())
    headed(figure, _titled(title, runs) + ("; thick: their median" if len(runs) > 1 else ""))
    return figure


def measures(runs: Sequence[Footage], twins: Sequence[Footage], title: str) -> Figure:
    """Each measure against steps in units of each seed's accuracy jump; the twins in grey, on their seed's clock."""
    panels = [x for x in PANELS if any(_known(runs, line.measure) for line in x.lines)]
    rows = -(-len(panels) // COLUMNS)
    figure = Figure(figsize=(7.2, 1.75 * rows + 0.5), layout="constrained")
    grid: Any = figure.subplots(rows, COLUMNS, squeeze=False)
    jumped = all(x.jump.half for x in runs)  # else there is no common clock but the steps themselves
    clocks = {x.shot.seed: float(x.jump.half or 1) if jumped else 1.0 for x in runs}
    everyone = [*runs, *twins]
    for axes, panel in zip(grid.flat, panels, strict=False):
        lines = [x for x in panel.lines if _known(runs, x.measure)]
        for line in lines:
            for footage in twins:
                twin = Line(line.measure, "", FAINT, line.dash)
                _plot(axes, footage, twin, clocks.get(footage.shot.seed, 1.0), lw=0.6, zorder=1)
            for footage in runs:
                _plot(axes, footage, line, clocks[footage.shot.seed], lw=0.9)
        if jumped:
            axes.axvline(1.0, color=BLACK, lw=0.6, zorder=0)
        if panel.level is not None:
            axes.axhline(panel.level, color=GREY, lw=0.6, ls=(0, (1, 2)), zorder=0)
        steps_axis(axes, everyone, [clocks.get(x.shot.seed, 1.0) for x in everyone])
        axes.set_title(panel.title, fontsize=7.5)
        if panel.share:
            axes.set_ylim(-0.04, 1.04)
        else:
            axes.set_ylim(0, 1.06 * max(axes.get_ylim()[1] / 1.05, panel.level or 0.0))
        if any(x.label for x in lines):
            _legend(axes, lines)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_visible(False)
    figure.supxlabel("steps / steps to a held-out accuracy of .5" if jumped else "gradient steps", fontsize=8)
    headed(figure, _titled(title, runs) + ("; grey: random labels" if twins else ""))
    return figure


def changes(runs: Sequence[Footage]) -> list[tuple[str, tuple[float, float, float]]]:
    """The measures of ``ORDER`` that change in most runs: what they are called, and the median steps of 10, 50, 90%."""
    found: list[tuple[str, tuple[float, float, float]]] = []
    for name, label in ORDER.items():
        some = [x.transitions[name] for x in runs if name in x.transitions]
        low, half, high = (middle([x.steps[i] for x in some]) if some else None for i in range(3))
        if low is not None and half is not None and high is not None and inf not in (low, half, high):
            found.append((f"{label}, way back" if turned(some) else label, (low, half, high)))
    return sorted(found, key=lambda x: (-x[1][1], -x[1][0]))


def order(runs: Sequence[Footage], title: str) -> Figure:
    """Which measure changes when: from 10 to 90% of its change with a mark at 50%, medians over seeds."""
    found = changes(runs)
    figure = Figure(figsize=(7.2, 0.21 * len(found) + 1.3), layout="constrained")
    axes = figure.subplots()
    for y, (label, (low, half, high)) in enumerate(found):
        mine = "accuracy" in label and ("training" in label or "held-out" in label)
        colour = RED if mine else BLUE
        axes.plot([low, high], [y, y], color=colour, lw=2.2, solid_capstyle="butt")
        axes.plot([half], [y], "D" if mine else "o", color="white", mec=colour, mew=1.2, ms=5, clip_on=False)
    axes.set_yticks(range(len(found)), [label for label, _ in found])
    axes.set_ylim(-0.7, len(found) - 0.3)
    steps_axis(axes, runs)
    axes.set_xlabel("gradient steps: 10 to 90% of each measure's change, mark at 50%")
    _events(axes, runs, named=True)
    axes.grid(axis="y", lw=0.3, color="#dddddd")
    axes.set_axisbelow(True)
    headed(figure, _titled(title, runs) + (", medians" if len(runs) > 1 else ""))
    return figure


def _titled(title: str, runs: Sequence[Footage]) -> str:
    return f"{title}, {len(runs)} seed{'s' * (len(runs) > 1)}"


def _known(runs: Sequence[Footage], measure: str) -> bool:
    return any(measure in x.transitions for x in runs)


def _points(footage: Footage, measure: str) -> tuple[list[int], list[float]]:
    values = footage.trace.get(measure) or [None] * len(footage.steps)
    both = [(s, x) for s, x in zip(footage.steps, values, strict=True) if x is not None]
    return [s for s, _ in both], [x for _, x in both]


def _plot(axes: Axes, footage: Footage, line: Line, clock: float, **look: Any) -> None:
    steps, values = _points(footage, line.measure)
    axes.plot(np.array(steps) / clock, values, color=line.colour, ls=line.dash, **look)


def _seeds(axes: Axes, runs: Sequence[Footage], line: Line) -> None:
    """Every seed's curve, and their median, for which a run that has ended stands still."""
    curves = [_points(x, line.measure) for x in runs]
    curves = [(steps, values) for steps, values in curves if steps]
    if not curves:
        return
    for steps, values in curves if len(curves) > 1 else []:
        axes.plot(steps, values, color=line.colour, lw=0.5, alpha=0.45)
    grid = max((steps for steps, _ in curves), key=len)
    median = np.median([np.interp(grid, steps, values) for steps, values in curves], axis=0)
    axes.plot(grid, median, color=line.colour, ls=line.dash, lw=1.5)


def _legend(axes: Axes, lines: Sequence[Line], *, outside: bool = False) -> None:
    """What the lines are; inside where they leave most room, and legible where that is too little."""
    handles = [Line2D([], [], color=x.colour, ls=x.dash, lw=1.2, label=x.label) for x in lines]
    if outside:
        axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0), handlelength=2.6)
    else:
        axes.legend(
            handles=handles, loc="best", handlelength=1.8, handletextpad=0.5, fontsize=6, borderaxespad=0.2,
            frameon=True, framealpha=0.8, edgecolor="none", borderpad=0.1,
        )  # fmt: skip


def _events(axes: Axes, runs: Sequence[Footage], *, named: bool) -> None:
    """Median steps of what happened in the runs, as verticals with their names above."""
    law, half = middle([x.jump.law for x in runs]), middle([x.jump.half for x in runs])
    events = [
        (x, dash, name)
        for x, dash, name in ((law, (0, (4, 2)), "law read off"), (half, "-", "accuracy .5"))
        if x is not None and x != inf
    ]
    box = axes.get_xaxis_transform()
    for i, (step, dash, name) in enumerate(sorted(events, key=lambda x: x[0])):
        axes.axvline(step, color=PURPLE, lw=0.9, ls=dash, zorder=0)
        if named:
            first = i == 0 and len(events) > 1
            text, side = (f"{name} ", "right") if first else (f" {name}", "left")
            axes.text(step, 1.0, text, color=PURPLE, fontsize=6.5, ha=side, va="bottom", transform=box)
