"""The film's pictures of one seed: its spectrum over time, its tokens on their circle, its units' phases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from bench.shots import Footage
from bench.style import BLACK, BLUE, GREY, headed, steps_axis

if TYPE_CHECKING:
    from nets.portrait import Portrait
    from nets.transitions import Jump

CLOSE = 1.3  # steps whose ratio is less share a label
LABELS = 12  # tokens that are named, at most
AWAY = 0.11  # of the figure's reach: from a token, or a neighbour that lies further out, to its name
ORDERED = 0.9  # mean cosine of the tokens' angles to those of a circle, from which on they are told apart by name


def spectrum(run: Footage, twin: Footage | None, title: str) -> Figure:
    """The share of each frequency in the weights per token over time; one seed, and its twin."""
    shown = [("task", run), *([("random labels", twin)] if twin is not None and twin.power is not None else [])]
    figure = Figure(figsize=(3.4 * len(shown) + 0.6, 3.0), layout="constrained")
    grid: Any = figure.subplots(1, len(shown), sharex=True, sharey=True, squeeze=False)
    powers = [x.power for _, x in shown if x.power is not None]
    shares = [x / np.maximum(x.sum(axis=1, keepdims=True), 1e-30) for x in powers]  # a network may begin with zeros
    top = max(max(float(np.quantile(x, 0.995)) for x in shares), 1e-9)
    mesh = None
    for axes, (name, footage), share in zip(grid[0], shown, shares, strict=True):
        mesh = axes.pcolormesh(
            _edges(footage.steps), np.arange(share.shape[1] + 1) + 0.5, share.T, cmap="viridis",
            norm=PowerNorm(0.5, 0, top), rasterized=True,
        )  # fmt: skip
        axes.set_title(f"{name}, seed {footage.shot.seed}")
        axes.set_xlabel("gradient steps")
    axes: Axes = grid[0][0]
    steps_axis(axes, [x for _, x in shown])
    axes.set_ylabel("frequency")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=2))
    _inside(axes, run.jump)
    for k in run.keys:
        axes.plot([run.steps[-1]], [k], marker=4, color=BLACK, ms=5, clip_on=False)
    if mesh is not None:
        figure.colorbar(mesh, ax=list(grid[0]), label="share of energy", pad=0.02, extend="max")
    headed(figure, f"{title}; ◂\u00a0key\u00a0frequencies" if run.keys else title)
    return figure


def circle(run: Footage, title: str) -> Figure:
    """The tokens in the plane in which the last checkpoint keeps its strongest frequency: before, midway, after."""
    many = len(run.portraits)
    figure = Figure(figsize=(2.35 * many + 0.2, 3.0), layout="constrained")
    grid: Any = figure.subplots(1, many, sharex=True, sharey=True, squeeze=False)
    radius = max(float(np.abs(x.circle).max()) for x in run.portraits)
    reach = 1.25 * radius
    for axes, seen in zip(grid[0], run.portraits, strict=True):
        ring = seen.circle[_path(seen)]
        axes.plot(ring[:, 0], ring[:, 1], color=GREY, lw=0.5, zorder=1)
        axes.scatter(*seen.circle.T, s=9, color=BLUE, zorder=2, linewidths=0)
        if _in_order(seen) >= ORDERED:
            _name_tokens(axes, seen, reach)
        axes.set_xlim(-reach, reach)
        axes.set_ylim(-reach, reach)
        axes.set_aspect("equal")
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.set_title(f"step {seen.step:,}")
        axes.set_xlabel("cosine direction")
    grid[0][0].set_ylabel("sine direction")
    headed(figure, f"{title}, seed {run.shot.seed}: embedding at frequency {_joined(run.portraits[-1])}")
    return figure


def phases(run: Footage, title: str) -> Figure:
    """Each living unit's phase at its strongest frequency: what its inputs give it against what it says."""
    many = len(run.portraits)
    figure = Figure(figsize=(2.35 * many + 0.9, 3.0), layout="constrained")
    grid: Any = figure.subplots(1, many, sharex=True, sharey=True, squeeze=False)
    ticks, names = [-np.pi, 0, np.pi], ["−π", "0", "π"]
    dots = None
    for axes, seen in zip(grid[0], run.portraits, strict=True):
        axes.plot([-np.pi, np.pi], [-np.pi, np.pi], color=GREY, lw=0.6, zorder=1)
        dots = axes.scatter(
            seen.input_phases, seen.output_phases, c=seen.unit_shares, s=11, cmap="cividis_r", vmin=0, vmax=1,
            zorder=2, linewidths=0.3, edgecolors=BLACK, clip_on=False,
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
    headed(figure, f"{title}, seed {run.shot.seed}: units at their strongest frequency")
    return figure


def _edges(steps: Sequence[int]) -> Any:
    """Where one checkpoint's column ends and the next begins, on the axis of steps."""
    at = np.array(steps, dtype=float)
    between = np.sqrt(at[1:] * at[:-1])
    between[0] = at[1] / 2 if at[0] == 0 else between[0]
    return np.concatenate([[at[0]], between, [at[-1]]])


def _path(seen: Portrait) -> Any:
    """The tokens, by index, in the order of their angle at the frequency, and back to the first."""
    path = np.argsort(seen.classes * seen.frequency % seen.order, kind="stable")
    return [*path, path[0]]


def _joined(seen: Portrait) -> str:
    """The frequency, and in what order the tokens are joined."""
    k, times = seen.frequency, f"{seen.frequency}\u00a0" if seen.frequency > 1 else ""  # no line breaks in there
    if np.array_equal(seen.tokens, seen.classes):
        return f"{k}, tokens x joined in the order\u00a0of\u00a0{times}x"
    if seen.dlog:
        return f"{k} of log x, tokens x joined in the order\u00a0of\u00a0{times}log\u00a0x"
    return f"{k}, tokens x joined in the order of\u00a0{times}f(x), where the law is f(a) + g(b)"


def _in_order(seen: Portrait) -> float:
    """How well the tokens' angles agree with the frequency's, turned or mirrored as they may be: from 0 to 1."""
    angles = np.arctan2(*seen.circle.T)
    expected = 2 * np.pi / seen.order * (seen.classes * seen.frequency % seen.order)
    return max(float(np.abs(np.exp(1j * (angles + sign * expected)).mean())) for sign in (-1, 1))


def _name_tokens(axes: Axes, seen: Portrait, reach: float) -> None:
    """Some tokens by name, evenly around the circle and outside the line that joins them."""
    path = np.array(_path(seen)[:-1])
    radii = np.hypot(*seen.circle[path].T)
    radii = np.maximum(radii, np.maximum(np.roll(radii, 1), np.roll(radii, -1)))
    for i in np.linspace(0, len(path), min(LABELS, len(path)), endpoint=False).astype(int):
        x, y = seen.circle[path[i]]
        away = (radii[i] + AWAY * reach) / max(float(np.hypot(x, y)), 1e-9)
        axes.text(x * away, y * away, str(int(seen.tokens[path[i]])), fontsize=6, ha="center", va="center")


def _inside(axes: Axes, jump: Jump) -> None:
    """One run's events on a dark map; names that would run into each other share a place."""
    places: list[tuple[float, list[str]]] = []
    events = [("memorised", jump.memorised, ":"), ("law", jump.law, "--"), ("accuracy .5", jump.half, "-")]
    for name, step, dash in sorted((x for x in events if x[1] is not None), key=lambda x: x[1] or 0):
        at = float(step or 0)
        axes.axvline(
            at, color="white", lw=0.9, ls=dash, path_effects=[withStroke(linewidth=1.9, foreground="#00000088")]
        )
        if places and at < CLOSE * places[-1][0]:
            places[-1][1].append(name)
        else:
            places.append((at, [name]))
    for at, names in places:
        box = axes.get_xaxis_transform()
        text = f"{', '.join(names)} "
        axes.text(
            at, 0.99, text, color="white", fontsize=6.5, rotation=90, ha="right", va="top", transform=box,
            path_effects=[withStroke(linewidth=1.2, foreground="#000000aa")],
        )  # fmt: skip
