"""How the film's figures look: fonts, colours, the axis of steps, and titles that fit."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter

from bench.shots import Footage

BLACK, ORANGE, SKY, GREEN, BLUE, RED, PURPLE = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
GREY, FAINT = "#8c8c8c", "#b8b8b8"
STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "pdf.fonttype": 42,
    "svg.hashsalt": "film",
}
LETTERS = 15.5  # of the title's size, that an inch holds
LINE = 0.16  # inches, that each line of the title after the first takes
ZERO = 0.35  # of a decade: the room from step 0 to the first after it


def headed(figure: Figure, title: str) -> None:
    """A title above all panels, in as many lines as it takes; the figure grows with them."""
    lines = textwrap.wrap(title, width=int(LETTERS * figure.get_figwidth()))
    figure.set_figheight(figure.get_figheight() + LINE * (len(lines) - 1))
    figure.suptitle("\n".join(lines), fontsize=9, x=0.01, ha="left")


def steps_axis(axes: Axes, runs: Sequence[Footage], clocks: Sequence[float] = ()) -> None:
    """A logarithmic axis of steps that has a 0, for the untrained network.

    Args:
        clocks: what each run's steps are divided by; as they are when empty.
    """
    clocks = clocks or [1.0] * len(runs)
    firsts = [x.steps[1] / clock for x, clock in zip(runs, clocks, strict=True) if len(x.steps) > 1]
    lasts = [x.steps[-1] / clock for x, clock in zip(runs, clocks, strict=True)]
    first, last = min(firsts, default=1.0), max(*lasts, min(firsts, default=1.0))
    axes.set_xscale("symlog", linthresh=first, linscale=ZERO)
    axes.set_xlim(0, last)
    decades = [10.0**k for k in range(-6, 10)]
    fits = [x for x in decades if 1.25 * first <= x <= last]
    few = [m * x for x in decades for m in (1, 2, 5) if 1.25 * first <= m * x <= last]
    shown = fits if len(fits) > 2 else few
    axes.xaxis.set_major_locator(FixedLocator([0.0, *shown]))
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}" if x < 1e4 else f"{x / 1000:g}k")
    axes.xaxis.set_minor_locator(FixedLocator([m * x for x in decades for m in range(2, 10) if first <= m * x <= last]))
    axes.xaxis.set_minor_formatter(NullFormatter())
