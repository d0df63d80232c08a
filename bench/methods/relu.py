"""``relu``: a hidden layer of ReLU units over embedded tokens, and the program read out of it."""

from __future__ import annotations

from collections.abc import Generator
from typing import Literal

import numpy as np

from bench.method import Budget, Candidate, Problem, method
from bench.networks import IMPORTS, Settings, training, warm


@method("relu", version=1, family="nets", imports=(*IMPORTS, "nets.relu"), warm=lambda: warm("relu"), trains=True)
def relu(
    problem: Problem,
    budget: Budget,
    rng: np.random.Generator,
    d: int = 0,
    h: int = 0,
    tables: Literal["auto", "shared", "separate"] = "auto",
    recipe: Literal["fast", "delayed"] = "fast",
    lr: float = 0.0,
    wd: float = -1.0,
    steps: int = 0,
) -> Generator[Candidate, None, None]:
    """Train relu((E[a] + E[b]) M) W, or one table an input; its law as a program where the two agree."""
    settings = Settings("relu", recipe, lr, wd, steps, {"d": d, "h": h}, tables)
    yield from training(problem, budget, rng, settings, decoder=False)
