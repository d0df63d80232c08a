"""The memoriser: what a method that learns nothing scores."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from bench.method import Budget, Candidate, Problem, method


@method("lookup", version=1, family="floor")
def lookup(problem: Problem, budget: Budget, rng: np.random.Generator) -> Generator[Candidate, None, None]:
    """The examples as given, and the most common label everywhere else."""
    size = problem.carrier.size
    weights = size ** np.arange(problem.arity, dtype=np.int64)
    # Where an input was shown more than once with different labels, its most common one.
    shown, counts = np.unique((problem.inputs @ weights) * size + problem.outputs, return_counts=True)
    shown = shown[np.lexsort((-counts, shown // size))]
    keys, first = np.unique(shown // size, return_index=True)
    answers = np.full(len(problem.domain), np.bincount(problem.outputs, minlength=size).argmax(), dtype=np.int64)
    seen = ~problem.held_out
    answers[seen] = shown[first][np.searchsorted(keys, problem.domain[seen] @ weights)] % size
    yield Candidate(predict=lambda: answers, work={"examples": problem.n})
