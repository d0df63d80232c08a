"""The rival methods: honest rows with and without their packages, and no answer that the examples contradict."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from importlib.util import find_spec
from itertools import product

import numpy as np
import pytest

from bench import peers
from bench.method import Budget, Inapplicable, Problem
from bench.methods.cvc5 import _ask, _program
from bench.methods.gplearn import Breeder
from bench.plan import DEFAULT_METHODS, plan
from bench.record import Outcome
from bench.registry import list_methods, load_method
from bench.schedule import run_chains
from bench.store import Store
from synth.carrier import Residues, symmetric_group
from synth.language import language
from synth.parse import parse

RIVALS = ["cegis", "cvc5", "gplearn"]
INSTALLED = [
    "cegis",
    *(
        pytest.param(name, marks=pytest.mark.skipif(find_spec(name) is None, reason=f"{name} is not installed"))
        for name in ("cvc5", "gplearn")
    ),
]

EXACT = INSTALLED[:2]  # what agrees with every example or says nothing


def problem_of(text: str, *, m: int = 59, n: int = 12, name: str = "full") -> Problem:
    cells = np.array(list(product(range(m), repeat=2)), dtype=np.int64)
    inputs = np.random.default_rng(0).permutation(cells)[:n]
    carrier = Residues(m)
    outputs = parse(text, language("full", 2), functions=True).evaluate(inputs, carrier)
    return Problem(carrier, 2, inputs, outputs, cells, language(name, 2))


def group_problem() -> Problem:
    s3 = symmetric_group(3)
    cells = np.array(list(product(range(6), repeat=2)), dtype=np.int64)
    return Problem(s3, 2, cells, s3.table[cells[:, 0], cells[:, 1]], cells, language("group", 2))


def follow(name: str, problem: Problem, seconds: float = 20.0):
    """All candidates of a method, and its budget, under a clock as a harness has it."""
    method, params, _ = load_method(name)
    if method.warm is not None:
        method.warm()
    budget = Budget(seconds=seconds, work=method.work)
    candidates = []
    run = method.run(problem, budget, np.random.default_rng(0), **params)
    while True:
        budget.resume()
        try:
            candidate = next(run, None)
        finally:
            budget.pause()
        if candidate is None or budget.elapsed > seconds:
            run.close()
            return candidates, budget
        candidates.append(candidate)


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("text", ["a + b", "a/b", "max(a, b)", "(a + b)**2"])
def test_short_programs_are_found(name, text):
    problem = problem_of(text)
    candidates, _ = follow(name, problem)
    found = candidates[-1].program
    truth = parse(text, language("full", 2), functions=True)
    carrier = problem.carrier
    assert (found.evaluate(problem.domain, carrier) == truth.evaluate(problem.domain, carrier)).all()
    assert problem.language.holds(found)


@pytest.mark.parametrize("name", EXACT[1:])
@pytest.mark.parametrize("text", ["-a", "inv(a)", "a**2", "min(a, b)", "a if odd(b) else b", "a if a < b else 3"])
def test_every_operator_means_what_the_language_says(name, text):
    """On a composite modulus and on every cell, so that nothing else agrees with the examples."""
    problem = problem_of(text, m=6, n=36)
    candidates, _ = follow(name, problem)
    assert (candidates[-1].program.evaluate(problem.inputs, problem.carrier) == problem.outputs).all()


@pytest.mark.skipif(find_spec("gplearn") is None, reason="gplearn is not installed")
@pytest.mark.parametrize("name", ["ring", "full", "group"])
def test_a_population_says_what_its_programs_say(name):
    """Whatever evolution breeds computes in gplearn what its Program computes here."""
    problem = problem_of("a + b", m=6, n=36) if name != "group" else group_problem()
    problem = replace(problem, language=language(name, 2))
    breeder = Breeder(problem, 300, 1)
    breeder.next_generation()
    population = breeder.regressor._programs[-1]
    assert len({str(x) for x in population}) > 100
    for individual in population:
        program = breeder.read(individual.program)
        assert problem.language.holds(program)
        said = individual.execute(breeder.examples)
        assert (program.evaluate(problem.inputs, problem.carrier) == said).all()


@pytest.mark.skipif(find_spec("gplearn") is None, reason="gplearn is not installed")
@pytest.mark.parametrize("name", ["full", "group"])
def test_evolution_finds_a_short_program(name):
    problem = problem_of("a + b") if name == "full" else group_problem()
    candidates, _ = follow("gplearn:population=500", problem)
    found = candidates[-1].program.evaluate(problem.inputs, problem.carrier)
    assert (found == problem.outputs).all()


@pytest.mark.parametrize("name", EXACT)
def test_a_hopeless_run_ends_in_time_and_as_a_time_out(name):
    rng = np.random.default_rng(5)
    easy = problem_of("a + b", n=40)
    problem = Problem(easy.carrier, 2, easy.inputs, rng.integers(0, 59, 40), easy.domain, easy.language)
    started = time.perf_counter()
    candidates, budget = follow(name, problem, seconds=0.8)
    assert candidates == []
    assert budget.elapsed > 0.8, "an answer within the time is not a time-out"
    assert time.perf_counter() - started < 1.8


@pytest.mark.skipif(find_spec("gplearn") is None, reason="gplearn is not installed")
def test_evolution_improves_and_ends_with_its_work():
    rng = np.random.default_rng(5)
    easy = problem_of("a + b", n=40)
    problem = Problem(easy.carrier, 2, easy.inputs, rng.integers(0, 59, 40), easy.domain, easy.language)
    candidates, _ = follow("gplearn:population=300:programs=900", problem)
    shares = [x.notes["wrong_share"] for x in candidates]
    assert shares == sorted(shares, reverse=True)
    assert 300 <= candidates[0].work["programs"] <= candidates[-1].work["programs"] <= 900


@pytest.mark.parametrize("name", INSTALLED)
def test_no_examples_and_contradictory_ones_end_quietly(name):
    problem = problem_of("a + b", n=0)
    candidates, _ = follow(name, problem)
    assert all(x.program is not None for x in candidates)
    twice = Problem(problem.carrier, 2, np.array([[1, 2], [1, 2]]), np.array([3, 4]), problem.domain, problem.language)
    ref = "gplearn:population=100:programs=100" if name == "gplearn" else name
    assert all(x.notes.get("wrong_share", 0) > 0 for x in follow(ref, twice)[0])


@pytest.mark.parametrize("name", ["cegis", "cvc5"])
def test_groups_are_refused_with_a_reason(name, monkeypatch):
    monkeypatch.setattr(peers, "find_spec", lambda _: object())
    with pytest.raises(Inapplicable, match="S3 is a group"):
        follow(name, group_problem())


@pytest.mark.parametrize("name", RIVALS)
def test_plain_integers_are_refused_with_a_reason(name, monkeypatch):
    monkeypatch.setattr(peers, "find_spec", lambda _: object())
    with pytest.raises(Inapplicable, match="int computes on plain integers"):
        follow(name, problem_of("a + b", name="int"))


@pytest.mark.parametrize("name", ["cvc5", "gplearn"])
def test_without_the_package_the_row_says_what_to_install(name, monkeypatch):
    monkeypatch.setattr(peers, "find_spec", lambda _: None)
    with pytest.raises(Inapplicable, match=r"pip install 'tworoads\[peers\]'"):
        follow(name, problem_of("a + b"))


def test_listing_the_rivals_loads_none_of_them():
    code = (
        "import sys; from bench.registry import list_methods; list_methods();"
        "print(sorted({'cvc5', 'gplearn', 'sklearn', 'z3'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_a_term_becomes_the_same_program():
    full = language("full", 2)
    tree = ["if", ["odd", ["b"]], ["/", ["a"], ["+", ["b"], ["1"]]], ["min", ["a"], ["neg", ["b"]]]]
    assert str(_program(tree, full)) == "a/(b + 1) if odd(b) else min(a, -b)"


def test_a_name_that_is_no_production_is_refused():
    with pytest.raises(KeyError, match="__import__"):
        _program(["__import__", ["a"]], language("full", 2))


def test_a_child_that_breaks_says_so_in_one_line():
    answer = _ask({"modulus": 59}, Budget(20.0))
    assert answer == {"status": "error", "reason": "KeyError: 'cpu_seconds'"}


def test_all_means_every_method_there_is():
    made = plan("modadd", {"p": "11"}, methods=["all"], examples=["9"], seeds=1)
    names = [x.name for x in list_methods()]
    assert [chain.label for chain in made.chains] == names
    assert {*RIVALS, *DEFAULT_METHODS} <= {*names}


def test_all_stands_beside_other_methods_once():
    made = plan("modadd", {"p": "11"}, methods=["gplearn:population=600", "all", "lookup"], examples=["9"], seeds=1)
    assert [chain.label for chain in made.chains] == ["gplearn:population=600", *(x.name for x in list_methods())]


def test_runs_are_recorded_with_the_time_of_their_children(tmp_path):
    names = [name for name in RIVALS if name == "cegis" or find_spec(name) is not None]
    made = plan(
        "modadd", {"p": "59"}, methods=names, examples=["12"], seeds=1, seconds=20, language="ring", out=tmp_path
    )
    store = Store(made.folder)
    store.create()
    records = [record for _, record, _ in run_chains(made.chains, store, jobs=1, threads=1)]
    assert {x.spec.method: (x.outcome, x.verdict) for x in records} == dict.fromkeys(names, (Outcome.SOLVED, "correct"))
    assert all(x.cpu_seconds > 0.01 for x in records)
