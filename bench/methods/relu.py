"""``relu``: a hidden layer of ReLU units over embedded tokens, and the program read out of it."""

from __future__ import annotations

from typing import Literal

from bench.method import Problem
from bench.networks import Settings, trained


def settings(
    problem: Problem,
    d: int = 0,
    h: int = 0,
    tables: Literal["auto", "shared", "separate"] = "auto",
    recipe: Literal["fast", "delayed"] = "fast",
    lr: float = 0.0,
    wd: float = -1.0,
    steps: int = 0,
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
