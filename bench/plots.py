"""A film's plots, as vectors and as pictures.

Drawn on figures of their own, without pyplot's global state. Colours are Okabe and Ito's, which the colour-blind tell
apart; what differs in colour differs in dash or marker too, so that greyscale loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from bench.canister import KINDS
from bench.curves import changes, curve, measures, order
from bench.pictures import circle, phases, spectrum
from bench.registry import LoadedTask
from bench.shots import Footage
from bench.style import STYLE

DPI = 200


def draw(task: LoadedTask, footages: Sequence[Footage], folder: Path) -> list[Path]:
    """Draw all plots that the footage allows into ``folder``/plots, each as .pdf and .png; the files."""
    runs = [x for x in footages if not x.shot.control]
    twins = [x for x in footages if x.shot.control]
    first = runs[0]
    twin = next((x for x in twins if x.shot.seed == first.shot.seed), None)
    title = f"{task.name} mod {task.task.carrier.size}" if "p" in task.params else task.name
    title += f", {first.shot.network}, {first.n:,} of {len(task.task.domain):,} cells"
    figures: dict[str, Callable[[], Figure]] = {"curve": lambda: curve(runs, twins, title)}
    if any(len(x.steps) > 1 for x in runs):
        figures["measures"] = lambda: measures(runs, twins, title)
    if changes(runs):
        figures["order"] = lambda: order(runs, title)
    if first.power is not None and len(first.steps) > 1:
        figures["spectrum"] = lambda: spectrum(first, twin, title)
    if first.portraits:
        figures["circle"] = lambda: circle(first, title)
        if any(len(x.input_phases) for x in first.portraits):
            figures["phases"] = lambda: phases(first, title)
    (folder / "plots").mkdir(exist_ok=True)
    written: list[Path] = []
    for name, make in figures.items():
        paths = [folder / "plots" / f"{name}.{kind}" for kind in KINDS]
        with rc_context(STYLE):
            figure = make()
            figure.draw_without_rendering()  # lays out, which takes longer than drawing; once is enough
            figure.set_layout_engine("none")
            for path in paths:
                still: dict[str, Any] = {"CreationDate": None} if path.suffix == ".pdf" else {}
                figure.savefig(path, dpi=DPI, metadata=still)
        written += paths
    return written
