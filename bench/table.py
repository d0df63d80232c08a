"""The terminal's leaderboard, made to be read in 80 columns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from math import log2
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from bench.plan import Plan
from bench.record import Outcome, Record
from bench.stats import median_interval

LONGEST_FORMULA = 60
LONGEST_METHOD = 16
WAITING = 1.5  # wall seconds a CPU second, from which on a time-out says more of the machine than of the method
MARKS = {"correct": "[green]✓[/]", "wrong": "[red]✗[/]", "unknown": "[yellow]?[/]"}


def seconds(value: float | None) -> str:
    """A duration with three digits at most and its unit: "0.41 ms", "12 s"; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "—"
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if value >= scale * 0.9995:
            return f"{value / scale:.3g} {unit}"
    return f"{value * 1e6:.0f} µs"


def share(part: float, whole: float) -> str:
    """A percentage with two digits, and at most two behind the point: "0.06%", "1.7%", "50%"."""
    percent = 100 * part / whole
    return "100%" if part >= whole else f"{percent:.2f}%" if percent < 1 else f"{percent:.2g}%"


def code_length(bits: float | None) -> str:
    """Bits with three digits: "8.31", "412", "20.5k"; empty where there is no code."""
    if bits is None:
        return ""
    return f"{bits:.3g}" if bits < 999.5 else f"{bits / 1000:.3g}k" if bits < 999_500 else f"{bits / 1e6:.3g}M"


def _range(row: Mapping[str, Any]) -> str:
    if not math.isfinite(row["n_star"]):
        return ""
    high = row["n_star_hi"]
    if row["n_star_lo"] == high:
        return f"{high:g}"
    return f"{row['n_star_lo']:g}–{high:g}" if math.isfinite(high) else f"{row['n_star_lo']:g}–∞"


def headline(plan: Plan) -> Text:
    """One line: the task, its size, and what each run was allowed."""
    task = plan.task
    name = " ".join([task.name, *(f"{k}={v}" for k, v in task.params.items())])
    formula = f": {task.task.formula}" if task.task.formula and task.task.formula != task.name else ""
    formula = formula if len(formula) <= LONGEST_FORMULA else ""
    noise = f" · noise {plan.noise:g}" if plan.noise else ""
    text = Text(f"{name}{formula}", style="bold")
    text.append(
        f"\n{task.task.carrier.name} · {len(task.task.domain):,} cells · split {plan.split} · language {plan.language}"
        f"{noise} · {plan.seeds} seed{'s' * (plan.seeds > 1)} · {plan.seconds:g} s a run",
        style="dim",
    )
    return text


def board(
    plan: Plan, rows: Sequence[Mapping[str, Any]], records: Sequence[Record], *, width: int = 80
) -> RenderableType:
    """The table of this call's runs with what it takes to read it, for a terminal of ``width`` columns."""
    cells = [_cells(row, [x for x in records if x.spec.method_label == row["method"]]) for row in rows]
    named = [line[0] for line in cells if len(line[0]) > LONGEST_METHOD]
    for line in cells:
        line[0] = line[0] if line[0] not in named else line[0][: LONGEST_METHOD - 1] + "…"
    heads = ("method", "n*", "range", "cells", "time", "code", "program", "bits", "verdict")
    long = heads.index("program")
    widths = [max(len(Text.from_markup(x[i]).plain) for x in (heads, *cells)) for i in range(len(heads))]
    # The program is the one column that may be cut: rich would take a little from every column.
    room = max(len("program"), width - sum(widths) + widths[long] - 2 * (len(heads) - 1))
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for head in heads:
        right = head not in ("method", "program", "verdict")
        table.add_column(head, justify="right" if right else "left", no_wrap=True)
    for row, line in zip(rows, cells, strict=True):
        text = line[long] if len(line[long]) <= room else line[long][: room - 1] + "…"
        shown = [*(escape(x) for x in line[:long]), escape(text), *line[long + 1 :]]
        table.add_row(*shown, style="" if math.isfinite(row["n_star"]) else "dim")
    cut = [f"{line[0]}: {line[long]}" for line in cells if len(line[long]) > room]
    return Group(table, Text(""), *(Text(text) for text in [*named, *cut]), *_notes(plan, rows, records))


def _cells(row: Mapping[str, Any], records: Sequence[Record]) -> list[str]:
    solved = math.isfinite(row["n_star"])
    return [
        row["method"],
        f"{row['n_star']:g}" if solved else "—",
        _range(row),
        share(row["n_star"], row["cells"]) if solved else "",
        seconds(row["seconds_to_solve"]),
        code_length(row["code_length_bits"]),
        row["program"] or "",
        f"{row['bits']:.0f}" if row["bits"] is not None else "",
        _verdict(row, records),
    ]


def _verdict(row: Mapping[str, Any], records: Sequence[Record]) -> str:
    if row["outcome"] == Outcome.INAPPLICABLE.value:
        return "inapplicable"
    parts: list[str] = []
    if not math.isfinite(row["n_star"]):
        accuracy = row["test_accuracy"]
        outcome = f"{row['outcome']}" + (f" {accuracy:.1%}" if accuracy is not None else "")
        mark = MARKS.get(row["verdict"], "") if row["program"] is not None else ""
        return f"{outcome} ({mark})" if mark else outcome
    if row["program"] is not None:
        there = [x for x in records if x.n == row["n"] or x.spec.n == row["n_star"]]
        correct = sum(x.verdict == "correct" for x in there)
        if correct == len(there):
            parts.append(f"[green]✓[/] {row['proof']}")
        elif correct:
            parts.append(f"[yellow]✓[/] {correct}/{len(there)} seeds")
        else:
            parts.append(f"{MARKS.get(row['verdict'], '')} {row['verdict']}")
        if row["faithfulness"] is not None:
            parts[-1] += f" {row['faithfulness']:.0%}"
    else:
        parts.append("no program")
    return ", ".join(parts)


def _late(records: Sequence[Record]) -> list[str]:
    """What could be done about runs that timed out because of what ran beside them."""
    late = [x for x in records if x.outcome is Outcome.TIMEOUT]
    stacked = [x for x in late if "stacked:" in x.timing and not x.timing.endswith("stacked:1")]
    starved = [x for x in late if x not in stacked and x.seconds > WAITING * x.cpu_seconds > 0]
    lines: list[str] = []
    if stacked:
        lines.append(
            f"{len(stacked)} run{'s' * (len(stacked) > 1)} timed out in a batch, whose every step is on the clock of "
            "each run: --stack off, or more --seconds"
        )
    if starved:
        fewer = "fewer --jobs, or " if any(x.timing.startswith("shared") for x in starved) else ""
        lines.append(
            f"{len(starved)} run{'s' * (len(starved) > 1)} timed out while waiting for a processor: "
            f"{fewer}more --seconds"
        )
    return lines


def _notes(plan: Plan, rows: Sequence[Mapping[str, Any]], records: Sequence[Record]) -> list[RenderableType]:
    coverage = median_interval([0.0] * plan.seeds).coverage
    covering = f", range covering it at {coverage:.0%}" if coverage else ""
    lines: list[RenderableType] = [
        Text.from_markup(
            f"[dim]n*: smallest size solved together with every larger size tried: median of {plan.seeds} "
            f"seed{'s' * (plan.seeds > 1)}{covering}. Solved: right on all "
            f"{len(plan.task.task.domain):,} cells. Time: wall, until solved, at n*. A percentage after an "
            "outcome: unseen cells right.[/]"
        )
    ]
    if any(row["code_length_bits"] is not None for row in rows):
        cells, size = len(plan.task.task.domain), plan.task.task.carrier.size
        lines.append(
            Text.from_markup(
                f"[dim]code: bits that all labels cost, said before they are seen; uniform {cells * log2(size):,.0f}[/]"
            )
        )
    if any(row["faithfulness"] is not None for row in rows):
        lines.append(
            Text.from_markup(
                "[dim]A percentage beside a proof: the share of the network's held-out logits' variance that the law "
                "explains (programs.csv has the ablations).[/]"
            )
        )
    if any(row["program"] is not None and not math.isfinite(row["n_star"]) for row in rows):
        lines.append(Text.from_markup("[dim]In brackets after an outcome: the verdict on the program, apart.[/]"))
    lines += [Text.from_markup(f"[yellow]{text}[/]") for text in _late(records)]
    for record in records:
        cause = str(record.notes.get("cause", ""))
        if cause.startswith("diverged"):
            label = escape(f"{record.spec.method_label} at n = {record.n}")
            lines.append(Text.from_markup(f"[yellow]{label}[/] {escape(cause)}"))
    said: set[str] = set()
    for record in records:
        label = record.spec.method_label
        if record.reason and label not in said and record.outcome in (Outcome.INAPPLICABLE, Outcome.ERROR):
            said.add(label)
            colour = "red" if record.outcome is Outcome.ERROR else "yellow"
            lines.append(
                Text.from_markup(
                    f"[{colour}]{escape(label)}[/] {record.outcome.value} at n = {record.n}: {escape(record.reason)}"
                )
            )
    return lines
