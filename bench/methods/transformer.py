"""``transformer``: one layer of attention and an MLP, and the program read out of it."""

from __future__ import annotations

from collections.abc import Generator
from typing import Literal

import numpy as np

from bench.method import Budget, Candidate, Inapplicable, Problem, method
from bench.networks import IMPORTS, Settings, training, warm


@method("transformer", version=1, family="nets", imports=IMPORTS, warm=lambda: warm("transformer"), trains=True)
def transformer(
    problem: Problem,
    budget: Budget,
    rng: np.random.Generator,
    d: int = 0,
    h: int = 0,
    heads: int = 0,
    tables: Literal["auto", "shared", "separate"] = "auto",
    recipe: Literal["fast", "delayed"] = "fast",
    lr: float = 0.0,
    wd: float = -1.0,
    steps: int = 0,
) -> Generator[Candidate, None, None]:
    """Train a one-layer transformer on "a b ="; its law as a program where the two agree."""
    if problem.arity < 2:
        raise Inapplicable("a transformer of one token has nothing to attend to")
    settings = Settings("transformer", recipe, lr, wd, steps, {"d": d, "h": h, "heads": heads}, tables)
    yield from training(problem, budget, rng, settings, decoder=False)
