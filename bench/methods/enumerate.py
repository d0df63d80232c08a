"""``enumerate``: all programs in order of length until one agrees with the examples."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial

import numpy as np

from bench.method import Budget, Candidate, Problem, method
from bench.searching import answers
from synth.noisy import enumerate_noisy
from synth.search import enumerate_programs


@method("enumerate", version=1, family="synth", work={"programs": 20_000_000})
def enumerate_(problem: Problem, budget: Budget, rng: np.random.Generator) -> Generator[Candidate, None, None]:
    """Every program in order of length, one for each behaviour: the first that agrees is minimal.

    Under noise every behaviour is scored by the bits of its cheapest program and of the labels that it misses, and the
    search goes on to its limits. ``minimal`` is then a lower bound for that score in bits over all programs, or True
    where none has a smaller one.
    """
    search = enumerate_programs if problem.noise == 0 else partial(enumerate_noisy, noise=problem.noise)
    yield from answers(search, problem, budget)
