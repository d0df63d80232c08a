"""Seconds of the rivals beside meet-in-the-middle on the same examples: ``pytest tests/perf/test_rivals_perf.py
--benchmark-only -n 0``. A rival that finds nothing within its seconds is skipped with that reason, never given a time.
"""

from __future__ import annotations

from importlib.util import find_spec
from itertools import product

import numpy as np
import pytest

from bench.method import Budget, Problem
from bench.registry import load_method
from synth.carrier import Residues
from synth.language import language
from synth.parse import parse

M, N, SECONDS = 59, 10, 20.0
TARGETS = {
    "a + b": "ring",
    "a*b": "ring",
    "a*a + b*b": "ring",
    "(a + b)*(a + b)": "ring",
    "a*a*a + a*b": "ring",
    "a*a + a*b + b*b": "ring",
    "a*a*a + a*b*b + b": "ring",
    "2*a + 3*b + 7": "ring",
    "a/b": "field",
}
METHODS = ["mitm", "cegis:rlimit=4e9", "cvc5", "gplearn:programs=100000"]


def problem_of(text: str, name: str, seed: int) -> Problem:
    carrier, lang = Residues(M), language(name, 2)
    cells = np.array(list(product(range(M), repeat=2)), dtype=np.int64)
    inputs = np.random.default_rng(seed).permutation(cells)[:N]
    return Problem(carrier, 2, inputs, parse(text, lang).evaluate(inputs, carrier), cells, lang)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("text", TARGETS)
def test_first_consistent_program(benchmark, text, method):
    if (package := method.partition(":")[0]) in {"cvc5", "gplearn"} and find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    found, parameters, _ = load_method(method)
    if found.warm is not None:
        found.warm()
    problem = problem_of(text, TARGETS[text], seed=1)

    def first_consistent() -> bool:
        budget = Budget(seconds=SECONDS, work=found.work)
        budget.resume()
        for candidate in found.run(problem, budget, np.random.default_rng(0), **parameters):
            if budget.seconds_left <= 0:
                return False
            program = candidate.program
            if program is not None and (program.evaluate(problem.inputs, problem.carrier) == problem.outputs).all():
                return True
        return False

    if not first_consistent():  # also warms what a process does once
        pytest.skip(f"nothing within {SECONDS:g} s")
    assert benchmark.pedantic(first_consistent, rounds=3)
