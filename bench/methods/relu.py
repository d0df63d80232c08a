"""``relu``: a hidden layer of ReLU units over embedded tokens, and the program read out of it."""

from __future__ import annotations

from typing import Annotated, Literal

from bench.method import Problem
from bench.networks import Settings, trained
from bench.parameters import Range


def settings(
    problem: Problem,
    d: Annotated[int | None, Range(least=1)] = None,
    h: Annotated[int | None, Range(least=1)] = None,
    tables: Literal["auto", "shared", "separate"] = "auto",
    recipe: Literal["fast", "sparse", "delayed"] = "fast",
    lr: Annotated[float | None, Range(above=0)] = None,
    wd: Annotated[float | None, Range(least=0)] = None,
    steps: Annotated[int | None, Range(least=1)] = None,
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
