"""Enumerate and mitm under declared noise, as the harness calls them."""

from __future__ import annotations

import numpy as np
import pytest

from bench.method import Budget, Candidate, Problem
from bench.registry import load_method, load_task
from bench.stream import Stream
from synth.language import default_language

METHODS = ["enumerate", "mitm"]


def candidates(name: str, task_name: str, flags: dict[str, str], n: int, noise: float, declared: float, programs: int):
    task = load_task(task_name, flags).task
    inputs, outputs, _ = Stream(task, 0, noise=noise).examples(n)
    lang = default_language(task.carrier, task.arity)
    problem = Problem(task.carrier, task.arity, inputs, outputs, task.domain, lang, noise=declared)
    budget = Budget(seconds=60, work={"programs": programs})
    return list(load_method(name)[0].run(problem, budget, np.random.default_rng(0))), task


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("name", "flags"), [("squares", {"p": "59"}), ("modmax", {"p": "11"}), ("s5", {})])
def test_finds_the_task_among_wrong_labels(method, name, flags):
    found, task = candidates(method, name, flags, 40, 0.1, 0.1, 200_000)
    answer: Candidate = found[-1]
    assert answer.program is not None
    assert (answer.program.evaluate(task.domain, task.carrier) == task.table).all()
    inputs, outputs, _ = Stream(task, 0, noise=0.1).examples(40)
    exceptions = (answer.program.evaluate(inputs, task.carrier) != outputs).sum()
    assert exceptions > 0
    assert answer.notes["exceptions"] == exceptions
    assert answer.minimal is True or answer.minimal < answer.notes["score_bits"]


@pytest.mark.parametrize("method", METHODS)
def test_a_table_without_a_program_has_no_answer(method):
    assert candidates(method, "random", {"p": "59"}, 40, 0.1, 0.1, 300_000)[0] == []


@pytest.mark.parametrize("method", METHODS)
def test_without_noise_nothing_is_scored(method):
    found, _ = candidates(method, "squares", {"p": "59"}, 12, 0.0, 0.0, 10_000_000)
    assert found[-1].minimal is True
    assert not found[-1].notes
