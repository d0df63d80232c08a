"""``quadratic``: the square of a sum of tables, and the program read out of it."""

from __future__ import annotations

from collections.abc import Generator
from typing import Literal

import numpy as np

from bench.method import Budget, Candidate, Problem, method
from bench.networks import IMPORTS, Settings, training, warm


@method(
    "quadratic",
    version=1,
    family="nets",
    imports=(*IMPORTS, "nets.quadratic"),
    warm=lambda: warm("quadratic"),
    trains=True,
)
def quadratic(
    problem: Problem,
    budget: Budget,
    rng: np.random.Generator,
    h: int = 0,
    tables: Literal["auto", "shared", "separate"] = "auto",
    recipe: Literal["fast", "delayed"] = "fast",
    lr: float = 0.0,
    wd: float = -1.0,
    steps: int = 0,
) -> Generator[Candidate, None, None]:
    """Train (U0[a] + U1[b])² W by gradient descent; its law as a program where the two agree."""
    settings = Settings("quadratic", recipe, lr, wd, steps, {"h": h}, tables)
    yield from training(problem, budget, rng, settings, decoder=False)
