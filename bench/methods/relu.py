"""``relu``: a hidden layer of ReLU units over embedded tokens, and the program read out of it."""

from __future__ import annotations

from typing import Annotated, Literal

from bench.limits import DECAY, RATE, STEPS, WIDTH
from bench.method import Problem
from bench.networks import Settings, trained


def settings(
    problem: Problem,
    d: Annotated[int | None, WIDTH] = None,
    h: Annotated[int | None, WIDTH] = None,
    tables: Literal["auto", "shared", "separate"] = "auto",
    recipe: Literal["fast", "sparse", "delayed"] = "fast",
    lr: Annotated[float | None, RATE] = None,
    wd: Annotated[float | None, DECAY] = None,
    steps: Annotated[int | None, STEPS] = None,
) -> Settings:
    """What the ReLU network and its decoder may be given."""
    del problem
    return Settings("relu", recipe, lr, wd, steps, {"d": d, "h": h}, tables)


relu = trained(
    "relu",
    settings,
    "Train relu((E[a] + E[b]) M) W, or one table an input; its law as a program where the two agree.",
    architecture="relu",
)
