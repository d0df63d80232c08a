"""``quadratic``: the square of a sum of tables, and the program read out of it."""

from __future__ import annotations

from typing import Annotated, Literal

from bench.limits import DECAY, RATE, STEPS, WIDTH
from bench.method import Problem
from bench.networks import Settings, trained


def settings(
    problem: Problem,
    h: Annotated[int | None, WIDTH] = None,
    tables: Literal["auto", "shared", "separate"] = "auto",
    recipe: Literal["fast", "sparse", "delayed"] = "fast",
    lr: Annotated[float | None, RATE] = None,
    wd: Annotated[float | None, DECAY] = None,
    steps: Annotated[int | None, STEPS] = None,
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
