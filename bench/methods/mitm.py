"""``mitm``: meet-in-the-middle between the language's leaves and the examples."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial

import numpy as np

from bench.method import Budget, Candidate, Problem, method
from bench.searching import answers
from synth.noisy import meet_noisy
from synth.search import meet_in_the_middle


@method("mitm", version=1, family="synth", work={"programs": 20_000_000})
def mitm(problem: Problem, budget: Budget, rng: np.random.Generator) -> Generator[Candidate, None, None]:
    """Behaviours from the leaves up, residuals from the examples down; goes on until its answer is proved minimal.

    Under noise it searches small random subsets of the examples, and scores what agrees with one by the bits of the
    program and of the labels that it misses; ``minimal`` is then a (weak) lower bound for that score in bits.
    """
    if problem.noise == 0:
        search = meet_in_the_middle
    else:
        search = partial(meet_noisy, noise=problem.noise, seed=int(rng.integers(1 << 62)))
    yield from answers(search, problem, budget)
