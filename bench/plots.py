"""A film's plots: curves, spectra, circles and phases, as vectors and as pictures.

Drawn on figures of their own, without pyplot's global state. Colours are Okabe and Ito's, which the colour-blind tell
apart; what differs in colour differs in dash or marker too, so that greyscale loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogLocator, NullFormatter, NullLocator

from bench.reel import middle
from bench.registry import LoadedTask
from bench.shots import Footage

if TYPE_CHECKING:
    from nets.transitions import Jump

BLACK, ORANGE, SKY, GREEN, BLUE, RED, PURPLE = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
GREY, FAINT = "#8c8c8c", "#b8b8b8"
DPI = 200
CLOSE = 1.3  # steps whose ratio is less share a label
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


@dataclass(frozen=True)
class Line:
    """One measure in one panel: its name, its look, and what the legend says."""

    measure: str
    label: str
    colour: str
    dash: Any = "-"


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
PANELS: tuple[tuple[str, tuple[Line, ...]], ...] = (
    ("accuracy", (
        Line("test_accuracy", "held out", BLUE), Line("apart_accuracy", "no mirror seen", RED, (0, (4, 1.5))),
    )),
    ("variance explained by the law", (Line("variance_explained", "", BLUE),)),
    ("accuracy of the law read off", (Line("law_accuracy", "", BLUE),)),
    ("Gini index of the embedding's spectrum", (Line("spectrum_gini", "", BLUE),)),
    ("units' energy on one frequency", (Line("dominant_share", "", BLUE),)),
    ("accuracy without some frequencies", (
        Line("removed_accuracy", "keys removed", BLUE),
        Line("removed_random_accuracy", "others removed", RED, (0, (4, 1.5))),
    )),
    ("code length / table of labels", (Line("code_ratio", "", BLUE),)),
    ("effective rank", (
        Line("embedding_rank", "embedding", BLUE), Line("hidden_rank", "hidden", RED, (0, (4, 1.5))),
    )),
    ("weight norm", (Line("weight_norm", "", BLUE),)),
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


def draw(task: LoadedTask, footages: Sequence[Footage], folder: Path) -> list[Path]:
    """Draw all plots that the footage allows into ``folder``/plots, each as .pdf and .png; the files."""
    runs = [x for x in footages if not x.shot.control]
    twins = [x for x in footages if x.shot.control]
    first = runs[0]
    title = f"{task.name} mod {task.task.carrier.size}" if "p" in task.params else task.name
    title += f", {first.shot.network}, {first.n:,} of {len(task.task.domain):,} cells"
    figures: dict[str, Callable[[], Figure]] = {
        "curve": lambda: curve(runs, twins, title),
        "measures": lambda: measures(runs, twins, title),
        "order": lambda: order(runs, title),
    }
    if first.power is not None:
        figures["spectrum"] = lambda: spectrum(first, twins[0] if twins else None, title)
    if first.portraits:
        figures["circle"] = lambda: circle(first, title)
        if len(first.portraits[-1].input_phases):
            figures["phases"] = lambda: phases(first, title)
    (folder / "plots").mkdir(exist_ok=True)
    written: list[Path] = []
    for name in ("curve", "measures", "order", "spectrum", "circle", "phases"):
        paths = [folder / "plots" / f"{name}.{kind}" for kind in ("pdf", "png")]
        if name not in figures:
            for path in paths:
                path.unlink(missing_ok=True)  # of an earlier film in this folder
            continue
        with rc_context(STYLE):
            figure = figures[name]()
            figure.draw_without_rendering()  # lays out, which takes longer than drawing; once is enough
            figure.set_layout_engine("none")
            for path in paths:
                still: dict[str, Any] = {"CreationDate": None} if path.suffix == ".pdf" else {}
                figure.savefig(path, dpi=DPI, metadata=still)
        written += paths
    return written


def curve(runs: Sequence[Footage], twins: Sequence[Footage], title: str) -> Figure:
    """Accuracy and loss against steps: seeds thin, their median thick; the random-label twins in a column beside."""
    columns = [("task", runs), *([("random labels", twins)] if twins else [])]
    figure = Figure(figsize=(2.8 * len(columns) + 1.9, 4.6), layout="constrained")
    grid: Any = figure.subplots(2, len(columns), sharex=True, sharey="row", squeeze=False)
    for j, (name, some) in enumerate(columns):
        for i, (lines, label) in enumerate(((ACCURACIES, "accuracy"), (LOSSES, "loss (nats a cell)"))):
            axes: Axes = grid[i][j]
            for line in lines:
                _seeds(axes, some, line)
            axes.set_xscale("log")
            if i:
                axes.set_yscale("symlog", linthresh=1e-3, linscale=0.4)
                axes.set_ylim(0, None)
                axes.yaxis.set_major_locator(FixedLocator([0, 1e-3, 1e-2, 1e-1, 1, 10]))
                axes.yaxis.set_minor_locator(NullLocator())
                axes.set_xlabel("gradient steps")
            else:
                axes.set_title(name)
                axes.set_ylim(-0.02, 1.02)
            if j == 0:
                axes.set_ylabel(label)
                _events(axes, runs, named=i == 0)
            if j == len(columns) - 1:
                axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), handlelength=2.6)
    figure.suptitle(_titled(title, runs), fontsize=9, x=0.01, ha="left")
    return figure


def measures(runs: Sequence[Footage], twins: Sequence[Footage], title: str) -> Figure:
    """Each measure against steps in units of each seed's accuracy jump; the twins in grey, on their seed's clock."""
    panels = [(name, lines) for name, lines in PANELS if any(_known(runs, line.measure) for line in lines)]
    columns = 3
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(7.2, 1.75 * rows + 0.4), layout="constrained")
    grid: Any = figure.subplots(rows, columns, sharex=True, squeeze=False)
    jumped = all(x.jump.half for x in runs)  # else there is no common clock but the steps themselves
    clocks = {x.shot.seed: float(x.jump.half or 1) if jumped else 1.0 for x in runs}
    for axes, (name, lines) in zip(grid.flat, panels, strict=False):
        for line in lines:
            for footage in runs:
                _plot(axes, footage, line, clocks[footage.shot.seed], lw=0.9)
            for footage in twins:
                twin = Line(line.measure, "", FAINT, line.dash)
                _plot(axes, footage, twin, clocks.get(footage.shot.seed, 1.0), lw=0.6)
        if jumped:
            axes.axvline(1.0, color=BLACK, lw=0.6)
        axes.set_xscale("log")
        axes.set_title(name, fontsize=7.5)
        if name.startswith(("accuracy", "variance", "units'", "code")):
            axes.set_ylim(-0.04, 1.1)
        handles = [axes.plot([], [], color=x.colour, ls=x.dash, lw=0.9, label=x.label)[0] for x in lines if x.label]
        if handles:
            axes.legend(
                handles=handles,
                loc="lower left" if name == "effective rank" else "center left",
                handlelength=2.0,
                fontsize=6.5,
                borderaxespad=0.2,
            )
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_visible(False)
    figure.supxlabel("steps / steps to a held-out accuracy of .5" if jumped else "gradient steps", fontsize=8)
    grey = "; grey: random labels" if twins else ""
    figure.suptitle(f"{_titled(title, runs)}{grey}", fontsize=9, x=0.01, ha="left")
    return figure


def order(runs: Sequence[Footage], title: str) -> Figure:
    """Which measure changes when: from 10 to 90% of its change with a mark at 50%, medians over seeds."""
    found: list[tuple[str, list[float]]] = []
    for name, label in ORDER.items():
        some = [x.transitions[name].steps for x in runs if name in x.transitions]
        steps = [middle([x[i] for x in some]) for i in range(3)] if some else []
        if len(steps) == 3 and all(x is not None and x != inf for x in steps):
            found.append((label, [float(x or 0) for x in steps]))
    found.sort(key=lambda x: (-x[1][1], -x[1][0]))
    figure = Figure(figsize=(7.2, 0.21 * len(found) + 1.3), layout="constrained")
    axes = figure.subplots()
    for y, (label, (low, half, high)) in enumerate(found):
        mine = "accuracy" in label and ("training" in label or "held-out" in label)
        colour = RED if mine else BLUE
        axes.plot([low, high], [y, y], color=colour, lw=2.2, solid_capstyle="butt")
        axes.plot([half], [y], "D" if mine else "o", color="white", mec=colour, mew=1.2, ms=5)
    axes.set_yticks(range(len(found)), [label for label, _ in found])
    axes.set_ylim(-0.7, len(found) - 0.3)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("gradient steps: 10 to 90% of each measure's change, mark at 50%")
    _events(axes, runs, named=True)
    axes.grid(axis="y", lw=0.3, color="#dddddd")
    axes.set_axisbelow(True)
    figure.suptitle(_titled(title, runs), fontsize=9, x=0.01, ha="left")
    return figure


def spectrum(run: Footage, twin: Footage | None, title: str) -> Figure:
    """The share of each frequency in the weights per token over time; one seed, and its twin."""
    shown = [("task", run), *([("random labels", twin)] if twin is not None else [])]
    figure = Figure(figsize=(3.4 * len(shown) + 0.6, 3.0), layout="constrained")
    grid: Any = figure.subplots(1, len(shown), sharex=True, sharey=True, squeeze=False)
    assert run.power is not None
    shares = [x.power / x.power.sum(axis=1, keepdims=True) for _, x in shown if x.power is not None]
    top = max(float(np.quantile(x, 0.995)) for x in shares)
    mesh = None
    for axes, (name, footage), share in zip(grid[0], shown, shares, strict=True):
        steps = np.array(footage.steps, dtype=float)
        between = np.sqrt(steps[1:] * steps[:-1])
        edges = np.concatenate([[steps[0] ** 1.5 / between[0] ** 0.5 if len(between) else 1.0], between, [steps[-1]]])
        mesh = axes.pcolormesh(
            edges,
            np.arange(share.shape[1] + 1) + 0.5,
            share.T,
            cmap="viridis",
            norm=PowerNorm(0.5, 0, top),
            rasterized=True,
        )
        axes.set_xscale("log")
        axes.set_title(f"{name}, seed {footage.shot.seed}")
        axes.set_xlabel("gradient steps")
    axes = grid[0][0]
    axes.set_ylabel("frequency")
    _inside(axes, run.jump)
    for k in run.keys[:12]:
        axes.plot([run.steps[-1]], [k], marker=4, color=BLACK, ms=5, clip_on=False)
    if mesh is not None:
        figure.colorbar(mesh, ax=list(grid[0]), label="share of energy", pad=0.02, extend="max")
    figure.suptitle(title, fontsize=9, x=0.01, ha="left")
    return figure


def circle(run: Footage, title: str) -> Figure:
    """The tokens in the plane in which the last checkpoint keeps its strongest frequency: before, midway, after."""
    many = len(run.portraits)
    figure = Figure(figsize=(2.35 * many + 0.2, 2.9), layout="constrained")
    grid: Any = figure.subplots(1, many, sharex=True, sharey=True, squeeze=False)
    reach = 1.25 * max(float(np.abs(x.circle).max()) for x in run.portraits)
    for axes, seen in zip(grid[0], run.portraits, strict=True):
        turned = seen.classes * seen.frequency
        modulus = 2 * (run.power.shape[1] if run.power is not None else 0) + 1
        path = np.argsort(turned % _order(run, modulus), kind="stable")
        ring = seen.circle[[*path, path[0]]]
        axes.plot(ring[:, 0], ring[:, 1], color=GREY, lw=0.5, zorder=1)
        axes.scatter(*seen.circle.T, s=9, color=BLUE, zorder=2, linewidths=0)
        for i in range(0, len(seen.circle), max(1, len(seen.circle) // 12)):
            x, y = seen.circle[i]
            away = 1 + 0.11 * reach / max(float(np.hypot(x, y)), 1e-9)
            axes.text(x * away, y * away, str(int(seen.classes[i])), fontsize=6, ha="center", va="center")
        axes.set_xlim(-reach, reach)
        axes.set_ylim(-reach, reach)
        axes.set_aspect("equal")
        axes.set_title(f"step {seen.step:,}")
        axes.set_xlabel("cosine direction")
    grid[0][0].set_ylabel("sine direction")
    k = run.portraits[-1].frequency
    told = f"{title}: embedding at frequency {k}, tokens joined in the order of {k}x"
    figure.suptitle(told, fontsize=9, x=0.01, ha="left")
    return figure


def phases(run: Footage, title: str) -> Figure:
    """Each living unit's phase at its strongest frequency: what its inputs give it against what it says."""
    many = len(run.portraits)
    figure = Figure(figsize=(2.35 * many + 0.9, 2.9), layout="constrained")
    grid: Any = figure.subplots(1, many, sharex=True, sharey=True, squeeze=False)
    ticks, names = [-np.pi, 0, np.pi], ["−π", "0", "π"]
    dots = None
    for axes, seen in zip(grid[0], run.portraits, strict=True):
        axes.plot([-np.pi, np.pi], [-np.pi, np.pi], color=GREY, lw=0.6, zorder=1)
        dots = axes.scatter(
            seen.input_phases, seen.output_phases, c=seen.unit_shares, s=11, cmap="cividis_r", vmin=0, vmax=1,
            zorder=2, linewidths=0.3, edgecolors=BLACK,
        )  # fmt: skip
        axes.set_xticks(ticks, names)
        axes.set_yticks(ticks, names)
        axes.set_xlim(-np.pi, np.pi)
        axes.set_ylim(-np.pi, np.pi)
        axes.set_aspect("equal")
        axes.set_title(f"step {seen.step:,}")
        axes.set_xlabel("sum of the inputs' phases (rad)")
    grid[0][0].set_ylabel("phase of the output (rad)")
    if dots is not None:
        figure.colorbar(dots, ax=list(grid[0]), label="energy on that frequency", pad=0.02)
    figure.suptitle(f"{title}: units at their strongest frequency", fontsize=9, x=0.01, ha="left")
    return figure


def _order(run: Footage, modulus: int) -> int:
    """The order of the law's characters: the spectrum has half as many frequencies, for odd and even orders alike."""
    largest = int(run.portraits[-1].classes.max(initial=0)) + 1
    return largest if largest in (modulus, modulus - 1) else modulus


def _titled(title: str, runs: Sequence[Footage]) -> str:
    return f"{title}, {len(runs)} seed{'s' * (len(runs) > 1)}"


def _known(runs: Sequence[Footage], measure: str) -> bool:
    return any(measure in x.transitions for x in runs)


def _points(footage: Footage, measure: str) -> tuple[list[int], list[float]]:
    both = [(s, x) for s, x in zip(footage.steps, footage.trace[measure], strict=True) if x is not None]
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
    axes.plot(grid, median, color=line.colour, ls=line.dash, lw=1.5, label=line.label)


def _events(axes: Axes, runs: Sequence[Footage], *, named: bool) -> None:
    """Median steps of what happened in the runs, as verticals with their names above."""
    law, half = middle([x.jump.law for x in runs]), middle([x.jump.half for x in runs])
    events = [
        (x, dash, name)
        for x, dash, name in ((law, (0, (4, 2)), "law read off"), (half, "-", "accuracy .5"))
        if x is not None and x != inf
    ]
    for i, (step, dash, name) in enumerate(sorted(events, key=lambda x: x[0])):
        axes.axvline(step, color=PURPLE, lw=0.9, ls=dash, zorder=0)
        if named:
            box = axes.get_xaxis_transform()
            first = i == 0 and len(events) > 1
            text = f"{name} " if first else f" {name}"
            axes.text(
                step, 1.0, text, color=PURPLE, fontsize=6.5, ha="right" if first else "left", va="bottom", transform=box
            )


def _inside(axes: Axes, jump: Jump) -> None:
    """One run's events on a dark map; names that would run into each other share a place."""
    places: list[tuple[float, list[str]]] = []
    events = [("memorised", jump.memorised, ":"), ("law", jump.law, "--"), ("accuracy .5", jump.half, "-")]
    for name, step, dash in sorted((x for x in events if x[1] is not None), key=lambda x: x[1] or 0):
        at = float(step or 0)
        axes.axvline(at, color="white", lw=0.9, ls=dash)
        if places and at < CLOSE * places[-1][0]:
            places[-1][1].append(name)
        else:
            places.append((at, [name]))
    for at, names in places:
        box = axes.get_xaxis_transform()
        text = f"{', '.join(names)} "
        axes.text(at, 0.99, text, color="white", fontsize=6.5, rotation=90, ha="right", va="top", transform=box)
