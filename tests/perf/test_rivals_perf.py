"""Meet-in-the-middle beside its rivals on the same examples: ``pytest tests/perf/test_rivals_perf.py --benchmark-only
-n 0`` prints a table of CPU seconds to the first program that agrees with n = 10 examples, p = 59, and of ratios.

All are given the same language. cvc5's seconds are without its start and its imports. A rival that finds nothing within
its seconds counts as having taken longer, never as a time.
"""

from __future__ import annotations

import time
from importlib.util import find_spec
from itertools import count, product

import numpy as np
import pytest

from bench.method import Budget, Problem
from bench.registry import load_method
from synth.carrier import Residues
from synth.language import language
from synth.parse import parse

M, N = 59, 10
SEEDS = 3
TARGETS = {
    "a + b": "ring",
    "a - b": "ring",
    "a*b": "ring",
    "a*a + b*b": "ring",
    "(a + b)*(a + b)": "ring",
    "a*a*a + a*b": "ring",
    "a*a + a*b + b*b": "ring",
    "a*a*a + a*b*b + b": "ring",
    "2*a + 3*b + 7": "ring",
    "a/b": "field",
    "a/b if odd(b) else a - b": "full",
}
# Seconds that each may take, and on how many draws of examples it is run.
RIVALS = {"cvc5": (20.0, SEEDS), "cegis:rlimit=4e9": (10.0, 1), "gplearn:programs=100000": (20.0, 1)}
FASTER = 100  # times, wherever cvc5 takes more than ...
WORTH = 0.1  # ... so many seconds


def problem_of(text: str, name: str, seed: int) -> Problem:
    carrier, lang = Residues(M), language(name, 2)
    cells = np.array(list(product(range(M), repeat=2)), dtype=np.int64)
    inputs = np.random.default_rng(seed).permutation(cells)[:N]
    return Problem(carrier, 2, inputs, parse(text, lang, functions=True).evaluate(inputs, carrier), cells, lang)


def seconds_to_agree(method: str, problem: Problem, seconds: float) -> float:
    """Until its first program that agrees with the examples; infinite where there is none within so many seconds."""
    found, parameters, _ = load_method(method)
    if found.warm is not None:
        found.warm()
    budget = Budget(seconds=seconds, work=found.work)
    budget.resume()
    since = time.process_time()
    for candidate in found.run(problem, budget, np.random.default_rng(0), **parameters):
        taken = time.process_time() - since
        if budget.seconds_left <= 0:
            break
        program = candidate.program
        if program is not None and (program.evaluate(problem.inputs, problem.carrier) == problem.outputs).all():
            return float(candidate.notes.get("solver_seconds", taken))
    return float("inf")


@pytest.fixture(scope="module")
def table(request):
    """Lines that are printed when all is done."""
    lines: list[str] = []
    yield lines
    head = f"{'target':26}{'mitm':>10}" + "".join(f"{x.partition(':')[0]:>12}{'ratio':>9}" for x in RIVALS)
    with request.config.pluginmanager.get_plugin("capturemanager").global_and_fixture_disabled():
        print("", head, *lines, sep="\n")


def in_words(seconds: float, most: float) -> str:
    return f"{seconds:.3g} s" if seconds < most else f"> {most:g} s"


@pytest.mark.benchmark(timer=time.process_time)
@pytest.mark.parametrize("text", TARGETS)
def test_seconds_to_the_first_program_that_agrees(benchmark, table, text):
    problems = [problem_of(text, TARGETS[text], seed) for seed in range(SEEDS)]
    for problem in problems:
        assert seconds_to_agree("mitm", problem, 20.0) < np.inf
    turns = count()
    benchmark.pedantic(
        lambda: seconds_to_agree("mitm", problems[next(turns) % SEEDS], 20.0), rounds=30, warmup_rounds=3
    )
    own = benchmark.stats["median"]
    line = f"{text:26}{1000 * own:7.2f} ms"
    for method, (most, seeds) in RIVALS.items():
        name = method.partition(":")[0]
        if name != "cegis" and find_spec(name) is None:
            line += f"{'-':>12}{'':9}"
            continue
        taken = float(np.median([seconds_to_agree(method, x, most) for x in problems[:seeds]]))
        ratio = min(taken, most) / own
        line += f"{in_words(taken, most):>12}{'>' if taken > most else '':>2}{ratio:7.0f}"
        benchmark.extra_info[name] = [taken, ratio]
        if name == "cvc5":
            assert taken <= WORTH or ratio >= FASTER
    table.append(line)
