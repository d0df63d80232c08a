"""``quadratic``: the square of a sum of tables, and the program read out of it."""

from __future__ import annotations

from typing import Literal

from bench.method import Problem
from bench.networks import Settings, trained


def settings(
    problem: Problem,
    h: int = 0,
    tables: Literal["auto", "shared", "separate"] = "auto",
    recipe: Literal["fast", "delayed"] = "fast",
    lr: float = 0.0,
    wd: float = -1.0,
    steps: int = 0,
) -> Settings:
    """What the quadratic network and its decoder may be given."""
    del problem
    return Settings("quadratic", recipe, lr, wd, steps, {"h": h}, tables)


quadratic = trained(
    "quadratic",
    settings,
    "Train (U0[a] + U1[b])² W by gradient descent; its law as a program where the two agree.",
    architecture="quadratic",
)
