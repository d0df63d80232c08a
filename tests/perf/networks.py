"""What the networks need, measured: ``python tests/perf/networks.py --arch bilinear --fraction .5``.

One line a seed and one of medians: gradient steps and process CPU seconds from random weights to tr100 (the training
accuracy's first 100%), te999 (the first checkpoint whose answers are right on 99.9% of the held-out cells), to the
beginning of the unbroken exact suffix, and to the end.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from multiprocessing import get_context
from statistics import median
from typing import Any

import cyclopts
import numpy as np

NEVER = float("inf")


@dataclass(frozen=True)
class Cell:
    """One network on one task, and everything that a recipe may be changed in."""

    arch: str
    task: str
    p: int
    fraction: float
    split: str
    recipe: str
    spacing: float
    seconds: float
    options: dict[str, float] = field(default_factory=dict[str, float])
    changes: dict[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True)
class Run:
    """Steps and CPU seconds of each event (infinite: never), and how it ended."""

    tr100: float
    te999: float
    exact: float
    end: float
    tr100_cpu: float
    te999_cpu: float
    exact_cpu: float
    end_cpu: float
    accuracy: float
    cause: str

    @property
    def in_time(self) -> bool:
        """Exact at the end, held for good within three times the seconds to te999."""
        return self.exact_cpu <= 3 * self.te999_cpu < NEVER


def one(cell: Cell, seed: int) -> Run:
    """Train once, with the data and the first weights of ``seed``."""
    import torch

    from bench.registry import load_task
    from bench.stream import Stream
    from nets.models import architecture
    from nets.recipes import recipe, symmetric, widths, worth
    from nets.train import Diverged, train

    torch.set_num_threads(1)
    task = load_task(cell.task, {}, spare={"p": cell.p}).task
    domain, table = task.domain, task.target().table
    inputs, labels, n = Stream(task, seed, cell.split).examples(round(cell.fraction * len(domain)))
    weights = task.carrier.size ** np.arange(task.arity)
    held_out = ~np.isin(domain @ weights, inputs @ weights)
    since = time.process_time()
    size, arity = task.carrier.size, task.arity
    alike = symmetric(inputs, labels)
    n = worth(inputs, size) if alike and cell.recipe != "delayed" else n
    options = widths(cell.arch, size, arity, n, cell.recipe, alike)
    kind = architecture(cell.arch, size, arity, **(options | cell.options))
    changes: dict[str, Any] = {k: type(getattr(recipe(cell.recipe, kind, n), k))(v) for k, v in cell.changes.items()}
    plan = recipe(cell.recipe, kind, n, **changes)
    watched = domain[:: -(-len(domain) // (1 << 15))]
    run = train(kind, inputs, labels, plan, seed, watched=watched, spacing=cell.spacing)
    seen: dict[str, tuple[float, float]] = {}
    spent, accuracy, cause, point = 0.0, 0.0, "", None
    try:
        for point in run:
            spent += time.process_time() - since
            right = point.network.predict(domain) == table
            accuracy = float(right[held_out].mean()) if held_out.any() else float(right.mean())
            now = (float(point.step), spent)
            if point.accuracy == 1:
                seen.setdefault("tr100", now)
            if accuracy >= 0.999:
                seen.setdefault("te999", now)
            if right.all():
                seen.setdefault("exact", now)
            else:
                seen.pop("exact", None)
            seen["end"], cause = now, point.cause
            if spent > cell.seconds:
                cause = "timeout"
                break
            since = time.process_time()
    except Diverged:
        cause = "diverged"
    steps, cpu = zip(*(seen.get(k, (NEVER, NEVER)) for k in ("tr100", "te999", "exact", "end")), strict=True)
    return Run(*steps, *cpu, accuracy=accuracy, cause=cause)


def measured(cell: Cell, seeds: range, jobs: int) -> Iterator[Run]:
    """One run a seed, each alone in its process's one thread."""
    if jobs == 1:
        yield from map(partial(one, cell), seeds)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(partial(one, cell), seeds)


def pairs(text: str) -> dict[str, float]:
    """ "h=128,shared=.5" by name."""
    return {k: float(v) for k, _, v in (x.partition("=") for x in text.split(",") if x)}


def main(
    arch: str = "bilinear,quadratic,relu,transformer",
    task: str = "modadd",
    p: str = "59",
    fraction: str = "0.5",
    split: str = "cells",
    recipe: str = "fast",
    seeds: str = "0:5",
    jobs: int = 1,
    seconds: float = 60.0,
    spacing: float = 0.0625,
    options: str = "",
    changes: str = "",
    verbose: bool = False,
) -> None:
    """Measure every combination of the comma-separated lists; options are the architecture's, changes the recipe's."""
    first, _, last = seeds.partition(":")
    over = range(int(first), int(last))
    print("arch task p f | te999 exact in-time of | tr100 te999 exact end (steps) | te999 exact end (cpu s) | causes")
    for a, t, size, f in product(arch.split(","), task.split(","), p.split(","), fraction.split(",")):
        cell = Cell(a, t, int(size), float(f), split, recipe, spacing, seconds, pairs(options), pairs(changes))
        runs: list[Run] = []
        for seed, run in zip(over, measured(cell, over, jobs), strict=True):
            runs.append(run)
            if verbose:
                print(f"  {seed}: {run}")
        counts = [sum(x.te999 < NEVER for x in runs), sum(x.exact < NEVER for x in runs), sum(x.in_time for x in runs)]
        steps = [f"{median(getattr(x, k) for x in runs):.0f}" for k in ("tr100", "te999", "exact", "end")]
        cpu = [f"{median(getattr(x, k) for x in runs):.2f}" for k in ("te999_cpu", "exact_cpu", "end_cpu")]
        short = " ".join(f"{x.accuracy:.3f}" for x in runs if x.exact == NEVER)
        print(a, t, size, f, "|", *counts, len(runs), "|", *steps, "|", *cpu, "|", short, flush=True)


if __name__ == "__main__":
    cyclopts.run(main)
