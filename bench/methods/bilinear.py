"""``bilinear``: the product network, and the program read out of it."""

from __future__ import annotations

from typing import Literal

from bench.method import Problem
from bench.networks import Settings, trained


def settings(
    problem: Problem,
    h: int = 0,
    recipe: Literal["fast", "delayed"] = "fast",
    lr: float = 0.0,
    wd: float = -1.0,
    steps: int = 0,
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
