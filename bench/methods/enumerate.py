"""``enumerate``: all programs in order of length until one agrees with the examples."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from bench.method import Budget, Candidate, Problem, method
from bench.searching import answers
from synth.search import enumerate_programs


@method("enumerate", version=1, family="synth", work={"programs": 20_000_000})
def enumerate_(problem: Problem, budget: Budget, rng: np.random.Generator) -> Generator[Candidate, None, None]:
    """Every program in order of length, one for each behaviour: the first that agrees is minimal."""
    yield from answers(enumerate_programs, problem, budget)
