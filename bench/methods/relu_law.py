"""``relu+law``: the decoder, which answers with the law of the ReLU network while that may still be wrong."""

from __future__ import annotations

from collections.abc import Generator
from typing import Literal

import numpy as np

from bench.method import Budget, Candidate, Problem, method
from bench.networks import IMPORTS, Settings, training, warm


@method("relu+law", version=1, family="nets", imports=(*IMPORTS, "nets.relu"), warm=lambda: warm("relu"), trains=True)
def relu_law(
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
    """Read the law out of the ReLU network's held-out logits as soon as it fits all examples."""
    settings = Settings("relu", recipe, lr, wd, steps, {"d": d, "h": h}, tables)
    yield from training(problem, budget, rng, settings, decoder=True)
