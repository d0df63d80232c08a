"""A film's tables, a row a checkpoint, a measure, a frequency or a part of the network; and their summary."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bench.anatomy import Anatomy, anatomy_rows, tokens_rows, units_rows
from bench.leaderboard import tell
from bench.registry import LoadedTask
from bench.shots import Footage, Shot, Take
from bench.store import write_atomically
from nets.transitions import Transition

Row = dict[str, Any]
TASK, CONTROL = "task", "random"
SUMMARY = (
    *("train_loss", "train_accuracy", "test_loss", "test_accuracy", "apart_accuracy"),
    *("variance_explained", "law_accuracy", "spectrum_gini", "spectrum_participation", "dominant_share", "tuned_units"),
    *("restricted_loss", "excluded_loss", "excluded_accuracy", "excluded_elsewhere"),
    *("kept_accuracy", "removed_accuracy", "removed_elsewhere", "removed_random_accuracy", "disturbed_accuracy"),
    *("code_ratio", "embedding_rank", "hidden_rank", "weight_norm", "dead_units", "prunable_units"),
)


def _common(task: LoadedTask, footage: Footage) -> Row:
    shot = footage.shot
    params = {name: value for name, value in task.params.items() if name != "p"}
    return {
        "task": task.name,
        "params": " ".join(f"{name}={tell(value)}" for name, value in sorted(params.items())),
        "p": task.params.get("p"),
        "carrier": task.task.carrier.name,
        "carrier_size": task.task.carrier.size,
        "split": shot.split,
        "arch": shot.network,
        "recipe": ":".join([shot.recipe, *(f"{k}={v:g}" for k, v in sorted(shot.changes.items()))]),
        "n": footage.n,
        "cells": len(task.task.domain),
        "labels": CONTROL if shot.control else TASK,
        "seed": shot.seed,
    }


def checkpoint_rows(task: LoadedTask, footage: Footage) -> Iterator[Row]:
    """One row a checkpoint: the measures of nets.dynamics.Measures by name; and at the last why the run ended."""
    for i, step in enumerate(footage.steps):
        measures = {name: values[i] for name, values in footage.trace.items()}
        cause = footage.cause if i == len(footage.steps) - 1 else ""
        yield {**_common(task, footage), "step": step, **measures, "cause": cause}


def transition_rows(task: LoadedTask, footage: Footage) -> Iterator[Row]:
    """One row a measure: where it starts and ends, the steps of its change, and the accuracy's jump beside them."""
    for name, found in footage.transitions.items():
        change = {
            "measure": name, "start": found.start, "end": found.end, "least": found.least, "most": found.most,
            "step_10": found.steps[0], "step_50": found.steps[1], "step_90": found.steps[2],
            "step_turn": found.turn, "correlation": found.correlation,
        }  # fmt: skip
        yield {**_common(task, footage), **change, **{f"jump_{k}": v for k, v in asdict(footage.jump).items()}}


def spectrum_rows(task: LoadedTask, footage: Footage) -> Iterator[Row]:
    """One row a checkpoint and frequency: the energy of the frequency in the weights per token, and in key."""
    if footage.power is None:
        return
    common = _common(task, footage)
    for step, power in zip(footage.steps, footage.power.tolist(), strict=True):
        for k, energy in enumerate(power, start=1):
            yield {**common, "step": step, "frequency": k, "power": energy, "key": k in footage.keys}


def _anatomical(make: Callable[[Anatomy], Iterator[Row]]) -> Callable[[LoadedTask, Footage], Iterator[Row]]:
    def rows(task: LoadedTask, footage: Footage) -> Iterator[Row]:
        if footage.anatomy is not None:
            common = {**_common(task, footage), "step": footage.steps[-1]}
            yield from ({**common, **row} for row in make(footage.anatomy))

    return rows


ROWS: Mapping[str, Callable[[LoadedTask, Footage], Iterator[Row]]] = {
    "checkpoints": checkpoint_rows,
    "transitions": transition_rows,
    "spectrum": spectrum_rows,
    "anatomy": _anatomical(anatomy_rows),
    "units": _anatomical(units_rows),
    "tokens": _anatomical(tokens_rows),
}


def troubles(shots: Sequence[Shot], takes: Sequence[Take]) -> list[str]:
    """A line for each way in which a training diverged or a run failed, with its seeds."""
    seeds: dict[str, list[int]] = {}
    for shot, take in zip(shots, takes, strict=True):
        for footage in take.footages:
            if footage.cause.startswith("diverged"):
                which = "on random labels, " if footage.shot.control else ""
                seeds.setdefault(f"{which}{footage.cause}; its film ends there", []).append(shot.seed)
        if take.failure:
            seeds.setdefault(take.failure, []).append(shot.seed)
    return [
        f"{shots[0].network}, seed{'s' * (len(some) > 1)} {', '.join(map(str, some))}: {why}"
        for why, some in seeds.items()
    ]


def write_tables(loaded: LoadedTask, footages: Sequence[Footage], folder: Path) -> None:
    """A CSV file for each of ``ROWS`` that there is anything for: without a law, the first two."""
    for name, make in ROWS.items():
        rows = [row for x in footages for row in make(loaded, x)]
        if not rows:
            continue
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(rows[0])
        writer.writerows([tell(x) for x in row.values()] for row in rows)
        write_atomically(folder / f"{name}.csv", text.getvalue().encode())


def middle(values: Sequence[float | None]) -> float | None:
    """The median of runs, where a run that has no such value counts as one that never gets there."""
    known = sorted(x for x in values if x is not None)
    if 2 * len(known) <= len(values):
        return None
    return median(known + [float("inf")] * (len(values) - len(known)))


def turned(changes: Sequence[Transition]) -> bool:
    """Whether most runs' steps are those of the way back from an extreme."""
    return 2 * sum(x.turn is not None for x in changes) > len(changes)


def summary(task: LoadedTask, footages: Sequence[Footage]) -> RenderableType:
    """The film's table: medians over seeds, the random-label twins beside them."""
    runs = [x for x in footages if not x.shot.control]
    twins = [x for x in footages if x.shot.control]
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    heads = ["measure", "start", "end", "10%", "50%", "90%", "r"] + (["twin"] if twins else [])
    for head in heads:
        table.add_column(head, justify="left" if head == "measure" else "right", no_wrap=True)
    back = False
    for name in SUMMARY:
        if not any(name in x.transitions for x in runs):
            continue

        def over(value: Callable[[Any], float | None], some: Sequence[Footage], name: str = name) -> float | None:
            return middle([value(x.transitions[name]) for x in some if name in x.transitions])

        cells = [over(lambda x: x.start, runs), over(lambda x: x.end, runs)]
        steps = [over(lambda x, i=i: x.steps[i], runs) for i in range(3)]
        legs = turned([x.transitions[name] for x in runs if name in x.transitions])
        shown = [name.replace("_", " ") + "*" * legs, *map(_figure, cells), *(_step(x) for x in steps)]
        correlation = over(lambda x: x.correlation, runs)
        shown.append("" if correlation is None else f"{correlation:.2f}")
        if twins:
            shown.append(_figure(over(lambda x: x.end, twins)))
        table.add_row(*shown)
        back = back or legs
    lines: list[RenderableType] = [Text(_jump_line(runs)), Text("")]
    many = f", medians of {len(runs)} seeds" if len(runs) > 1 else ""
    note = f"start and end of each measure, the steps at which it has made 10, 50 and 90% of its change{many}; "
    note += "r: correlation with the held-out accuracy over checkpoints"
    note += "; twin: where a network on random labels ends." if twins else "."
    note += " *: it went far beyond its end; the steps are those of its way back." if back else ""
    if not runs or not runs[0].law:
        note += f" {task.name} has no law phi(c) = f(a) + g(b): measures that need one are left out."
    return Group(*lines, table, Text(""), Text(note, style="dim"))


def _jump_line(runs: Sequence[Footage]) -> str:
    jumps = [x.jump for x in runs]
    parts = [
        f"memorised (training .99) at step {_step(middle([x.memorised for x in jumps]))}",
        f"held-out .5 at {_step(middle([x.half for x in jumps]))}",
        f".999 at {_step(middle([x.exact for x in jumps]))}",
    ]
    if any(x.law for x in jumps):
        parts.append(f"its law reads off correctly from {_step(middle([x.law for x in jumps]))} on")
    return "; ".join(parts)


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def _step(value: float | None) -> str:
    return "—" if value is None or value == float("inf") else f"{value:.0f}"
