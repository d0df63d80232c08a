"""``bilinear``: the product network, and the program read out of it."""

from __future__ import annotations

from typing import Annotated, Literal

from bench.method import Problem
from bench.networks import Settings, trained
from bench.parameters import Range


def settings(
    problem: Problem,
    h: Annotated[int | None, Range(least=1)] = None,
    recipe: Literal["fast", "sparse", "delayed"] = "fast",
    lr: Annotated[float | None, Range(above=0)] = None,
    wd: Annotated[float | None, Range(least=0)] = None,
    steps: Annotated[int | None, Range(least=1)] = None,
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
