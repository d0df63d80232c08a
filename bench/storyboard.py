"""From what the user asked of a film to its shots: every check that can fail fails here, before anything runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.casting import network_of, recipe_of
from bench.errors import UserError, nearest
from bench.limits import DECAY, RATE, SETTLE, STEPS
from bench.parameters import Parameter
from bench.plan import DEVICES, SPLITS, check_jobs, check_seeds
from bench.registry import LoadedTask, load_task, split_reference
from bench.shots import Shot
from bench.slug import slug
from bench.userfile import file_parts, load_file

CONTROLS = ("random", "none")
RANGES = {"lr": RATE, "wd": DECAY, "steps": STEPS, "settle": SETTLE}


def changes_of(lr: float | None, wd: float | None, steps: int | None, settle: float | None) -> dict[str, int | float]:
    """The recipe's settings that a user replaces.

    Raises:
        UserError: one that no training could have.
    """
    given = {"lr": lr, "wd": wd, "steps": steps, "settle": settle}
    for name, value in given.items():
        if value is not None:
            Parameter(name, int if name == "steps" else float, range=RANGES[name]).convert(value, f"--{name}")
            if not math.isfinite(value):
                raise UserError(f"--{name}: expected a number, got {value}")
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
    check_seeds(seeds)
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
    return loaded, shots, Path(out) / loaded.slug / folder_name(shots)


def folder_name(shots: Sequence[Shot]) -> str:
    """A name for what these shots show, and for nothing else: "film-relu-delayed-n1392-5seeds".

    Where the network has options or is a user's own, or settings of the recipe are replaced, 8 hex digits follow.
    """
    shot, many = shots[0], f"{len(shots)}seed{'s' * (len(shots) > 1)}"
    name = shot.network.strip()
    told = ["film", name, shot.recipe, f"n{shot.n}"]
    rest = [*([] if shot.split == "cells" else [shot.split]), many, *([] if shot.twin else ["alone"])]
    rest += [] if shot.device == "cpu" else [shot.device]
    if not shot.changes and ":" not in name:
        return "-".join([*told, *rest])
    file = file_parts(split_reference(name)[0])
    content = [name, shot.recipe, shot.n, dict(shot.changes), rest, load_file(file[0]).source_hash if file else ""]
    return slug([*told, *(f"{k}-{v:g}" for k, v in sorted(shot.changes.items())), *rest], content)


def _device(asked: str) -> str:
    if asked == "cpu":
        return "cpu"
    import torch

    there = torch.cuda.is_available()
    if asked == "cuda" and not there:
        raise UserError("--device: cuda was asked for, but torch sees no CUDA device here")
    return "cuda" if there else "cpu"
