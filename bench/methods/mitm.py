"""``mitm``: meet-in-the-middle between the language's leaves and the examples."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from bench.method import Budget, Candidate, Problem, method
from bench.searching import answers
from synth.search import meet_in_the_middle


@method("mitm", version=1, family="synth", work={"programs": 20_000_000})
def mitm(problem: Problem, budget: Budget, rng: np.random.Generator) -> Generator[Candidate, None, None]:
    """Behaviours from the leaves up, residuals from the examples down; goes on until its answer is proved minimal."""
    yield from answers(meet_in_the_middle, problem, budget)
