"""``transformer``: one layer of attention and an MLP, and the program read out of it."""

from __future__ import annotations

from typing import Literal

from bench.method import Inapplicable, Problem
from bench.networks import Settings, trained


def settings(
    problem: Problem,
    d: int = 0,
    h: int = 0,
    heads: int = 0,
    tables: Literal["auto", "shared", "separate"] = "auto",
    recipe: Literal["fast", "delayed"] = "fast",
    lr: float = 0.0,
    wd: float = -1.0,
    steps: int = 0,
) -> Settings:
    """What the transformer and its decoder may be given."""
    if problem.arity < 2:
        raise Inapplicable("a transformer of one token has nothing to attend to")
    return Settings("transformer", recipe, lr, wd, steps, {"d": d, "h": h, "heads": heads}, tables)


transformer = trained(
    "transformer",
    settings,
    'Train a one-layer transformer on "a b ="; its law as a program where the two agree.',
    architecture="transformer",
)
