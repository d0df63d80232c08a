"""From what the user asked of a film to its shots: every check that can fail fails here, before anything runs."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.casting import network_of, recipe_of
from bench.errors import UserError, nearest
from bench.plan import DEVICES, SPLITS, check_jobs
from bench.registry import LoadedTask, load_task
from bench.shots import Shot

CONTROLS = ("random", "none")


def changes_of(lr: float | None, wd: float | None, steps: int | None, settle: float | None) -> dict[str, int | float]:
    """The recipe's settings that a user replaces.

    Raises:
        UserError: one that no training could have.
    """
    given = {"lr": lr, "wd": wd, "steps": steps, "settle": settle}
    for name, value in given.items():
        least = 1 if name == "steps" else 0
        if value is not None and not (math.isfinite(value) and value >= least and (value or name in ("wd", "settle"))):
            wanted = "at least 1" if name == "steps" else "a positive number"
            raise UserError(f"--{name}: expected {wanted}, got {value:g}")
    names = {"lr": "rate", "wd": "decay", "steps": "steps", "settle": "settle"}
    return {names[name]: value for name, value in given.items() if value is not None}


def storyboard(
    task: str, flags: Mapping[str, str], *, arch: str, recipe: str, fraction: float, seeds: int, control: str,
    split: str, changes: Mapping[str, int | float], jobs: int | None, device: str, out: str | Path,
) -> tuple[LoadedTask, list[Shot], Path]:  # fmt: skip
    """Check every argument and lay out the shots.

    Raises:
        UserError: anything that the user should mend; the message is one line.
    """

    def one_of(flag: str, value: str, known: Sequence[str]) -> None:
        if value not in known:
            raise UserError(f"{flag}: expected one of {', '.join(known)}, got {value!r}{nearest(value, known)}")

    one_of("--control", control, CONTROLS)
    one_of("--split", split, SPLITS)
    one_of("--device", device, DEVICES)
    check_jobs(jobs)
    if seeds < 1:
        raise UserError(f"--seeds: expected at least 1, got {seeds}")
    loaded = load_task(task, flags)
    cells = len(loaded.task.domain)
    if not 0 < fraction <= 1:
        raise UserError(f"--fraction: expected a number above 0 and up to 1, got {fraction:g}")
    n = max(1, round(fraction * cells))
    where = _device(device)
    shots = [
        Shot(loaded.ref, loaded.params, arch, recipe, n, seed, split, where, twin=control == "random", changes=changes)
        for seed in range(seeds)
    ]
    try:
        recipe_of(recipe, network_of(arch, recipe, loaded.task.carrier.size, loaded.task.arity, n), n, changes)
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"--arch: {error}") from None
    told = ["film", arch, recipe, f"n{n}", *(f"{k}-{v:g}" for k, v in sorted(changes.items()))]
    told += [] if split == "cells" else [split]
    name = "-".join(re.sub(r"[^A-Za-z0-9.]+", "_", x).strip("_") for x in told)
    return loaded, shots, Path(out) / loaded.slug / name


def _device(asked: str) -> str:
    if asked == "cpu":
        return "cpu"
    import torch

    there = torch.cuda.is_available()
    if asked == "cuda" and not there:
        raise UserError("--device: cuda was asked for, but torch sees no CUDA device here")
    return "cuda" if there else "cpu"
