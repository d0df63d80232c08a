"""``bilinear``: the product network, and the program read out of it."""

from __future__ import annotations

from typing import Annotated, Literal

from bench.limits import DECAY, RATE, STEPS, WIDTH
from bench.method import Problem
from bench.networks import Settings, trained


def settings(
    problem: Problem,
    h: Annotated[int | None, WIDTH] = None,
    recipe: Literal["fast", "sparse", "delayed"] = "fast",
    lr: Annotated[float | None, RATE] = None,
    wd: Annotated[float | None, DECAY] = None,
    steps: Annotated[int | None, STEPS] = None,
) -> Settings:
    """What the product network and its decoder may be given."""
    del problem
    return Settings("bilinear", recipe, lr, wd, steps, {"h": h})


bilinear = trained(
    "bilinear",
    settings,
    "Train (U0[a] * U1[b]) W by gradient descent; its law as a program where the two agree.",
    architecture="bilinear",
)
