"""What every method keeps to, on every task: whatever is registered is tested here."""

from __future__ import annotations

import gc
import importlib
import importlib.util
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bench.method import Budget, Candidate, Inapplicable, Problem
from bench.registry import list_methods, list_tasks, load_method, load_task
from bench.stream import Stream
from bench.task import Task
from synth.language import default_language

METHODS = [entry.name for entry in list_methods()]
TASKS = [entry.name for entry in list_tasks()]
SMALL = {"modadd3": "11"}  # 1 331 cells
GIVEN = {"group": {"file": str(Path(__file__).with_name("quaternions.csv")), "word": "a*b*inv(a)"}}
FRACTION = 0.5
SHORT = 0.5  # seconds for each method on each task: the laws hold for whatever has been said by then
EXTRAS = {"cvc5": "cvc5", "gplearn": "gplearn"}
WARM: set[str] = set()


def problem_of(name: str, n: int | None = None) -> tuple[Problem, object]:
    flags = GIVEN.get(name, {} if name.startswith("s5") else {"p": SMALL.get(name, "11")})
    task = load_task(name, flags).task
    inputs, outputs, _ = Stream(task, 0).examples(round(FRACTION * len(task.domain)) if n is None else n)
    problem = Problem(
        task.carrier, task.arity, inputs, outputs, task.domain, default_language(task.carrier, task.arity)
    )
    return problem, task


def follow(name: str, problem: Problem, most: int = 40, seconds: float = 4.0) -> list[tuple[Candidate, np.ndarray]]:
    """The first candidates of a method with their predictions; under a short clock, as a harness would."""
    if name in EXTRAS and importlib.util.find_spec(EXTRAS[name]) is None:
        pytest.skip(f"{name} needs the extra peers")
    method, params, _ = load_method(name)
    for module in method.imports:
        importlib.import_module(module)
    if method.warm is not None and name not in WARM:
        method.warm()
        WARM.add(name)
    budget = Budget(seconds=seconds, work=method.work)
    seen: list[tuple[Candidate, np.ndarray]] = []

    def steps() -> Iterator[Candidate]:
        run = method.run(problem, budget, np.random.default_rng(0), **params)
        while True:
            budget.resume()
            try:
                candidate = next(run, None)
            finally:
                budget.pause()
            if candidate is None or budget.elapsed > seconds:
                return
            yield candidate

    for candidate in steps():
        if candidate.predict is not None:
            predictions = candidate.predict()
        else:
            assert candidate.program is not None
            predictions = candidate.program.evaluate(problem.domain, problem.carrier)
        seen.append((candidate, np.asarray(predictions)))
        if len(seen) >= most:
            break
    return seen


# A round of the kernel machine on 120 elements takes seconds, and nothing stops it in the middle.
LONG = {("rfm", task) for task in TASKS if task.startswith("s5")}
PAIRS = [
    pytest.param(method, task, marks=pytest.mark.slow if (method, task) in LONG else ())
    for method in METHODS
    for task in TASKS
]


@pytest.mark.parametrize(("method", "task"), PAIRS)
def test_every_method_on_every_task(method, task):
    problem, _ = problem_of(task)
    before = problem.inputs.copy(), problem.outputs.copy(), problem.domain.copy()
    quick = 3 if load_method(method)[0].trains else 40
    refusals: list[str] = []
    seen: list[tuple[Candidate, np.ndarray]] = []
    try:
        seen = follow(method, problem, most=quick, seconds=SHORT)
    except Inapplicable as refusal:
        refusals.append(str(refusal))
    assert all(reason and "\n" not in reason for reason in refusals)
    for old, new in zip(before, (problem.inputs, problem.outputs, problem.domain), strict=True):
        assert np.array_equal(old, new), "a method changed the problem it was given"
    work = [next(iter(candidate.work.values()), 0.0) for candidate, _ in seen]
    assert work == sorted(work), "work goes backwards"
    extraction = [candidate.extraction_seconds for candidate, _ in seen]
    assert extraction == sorted(extraction)
    for candidate, predictions in seen:
        assert predictions.shape == (len(problem.domain),)
        assert np.issubdtype(predictions.dtype, np.integer)
        if candidate.program is not None:
            assert problem.language.holds(candidate.program), f"{candidate.program} is not in the language"


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_candidates(method):
    problem, _ = problem_of("modadd")
    first, second = follow(method, problem, most=4), follow(method, problem, most=4)
    assert len(first) == len(second)
    for (one, said), (two, again) in zip(first, second, strict=True):
        assert str(one.program) == str(two.program)
        assert dict(one.work) == dict(two.work)
        assert np.array_equal(said, again)


@pytest.mark.parametrize("method", METHODS)
def test_labels_that_a_method_was_not_given_change_nothing(method):
    """Two tasks that agree on the stream's first cells, and nowhere else, look the same to a method."""
    p, n = 11, 40
    honest = load_task("modadd", {"p": str(p)}).task
    seen_cells = np.zeros(p * p, dtype=bool)
    seen_cells[Stream(honest, 0).order[:n]] = True
    twisted = Task(
        modulus=p,
        arity=2,
        target=lambda a, b: np.where(seen_cells[a * p + b], (a + b) % p, (a * b + 3) % p),
    )
    answers: list[list[list[int]]] = []
    for task in (honest, twisted):
        inputs, outputs, _ = Stream(task, 0).examples(n)
        problem = Problem(task.carrier, 2, inputs, outputs, task.domain, default_language(task.carrier, 2))
        answers.append([predictions.tolist() for _, predictions in follow(method, problem, most=3)])
    assert (honest.table == twisted.table).sum() < p * p
    assert answers[0] == answers[1]


def test_a_problem_holds_no_way_to_the_target():
    problem, task = problem_of("modadd", 20)
    table = np.asarray(task.table)  # type: ignore[attr-defined]
    reached: set[int] = set()
    todo: list[object] = [problem]
    while todo:
        thing = todo.pop()
        if id(thing) in reached or isinstance(thing, type) or callable(thing):
            continue
        reached.add(id(thing))
        assert thing is not task
        if isinstance(thing, np.ndarray) and thing.size == table.size:
            assert not np.array_equal(thing.ravel(), table)
            assert thing.base is None or thing.base.size != table.size or not np.array_equal(thing.base.ravel(), table)
        if isinstance(thing, np.ndarray) and thing.base is not None:
            todo.append(thing.base)
        if isinstance(thing, (dict, list, tuple, Problem)) or hasattr(thing, "__dict__"):
            todo.extend(gc.get_referents(thing))
    assert len(pickle.dumps((problem.inputs, problem.outputs))) < 4000
