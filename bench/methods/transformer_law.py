"""``transformer+law``: the decoder, which answers with the law of the transformer while that may still be wrong."""

from __future__ import annotations

from collections.abc import Generator
from typing import Literal

import numpy as np

from bench.method import Budget, Candidate, Inapplicable, Problem, method
from bench.networks import IMPORTS, Settings, training, warm


@method("transformer+law", version=1, family="nets", imports=IMPORTS, warm=lambda: warm("transformer"), trains=True)
def transformer_law(
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
    """Read the law out of the transformer's held-out logits as soon as it fits all examples."""
    if problem.arity < 2:
        raise Inapplicable("a transformer of one token has nothing to attend to")
    settings = Settings("transformer", recipe, lr, wd, steps, {"d": d, "h": h, "heads": heads}, tables)
    yield from training(problem, budget, rng, settings, decoder=True)
