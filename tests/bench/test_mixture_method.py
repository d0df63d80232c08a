"""The method ``mixture``: what it answers and notes, what its code costs, and what it refuses."""

from __future__ import annotations

import re
from math import log2

import numpy as np
import pytest

from bench.codelength import online_bits, probability_of
from bench.method import Budget, Candidate, Inapplicable, Problem
from bench.methods.mixture import mixture
from bench.plan import DEFAULT_METHODS
from bench.registry import load_task
from bench.run import run
from bench.stream import Stream
from synth.language import default_language, language

WORK = {"programs": 1 << 14}


def problem_of(name: str, n: int, noise: float = 0.0, **flags: str) -> tuple[Problem, Stream]:
    task = load_task(name, flags).task
    stream = Stream(task, 3, noise=noise)
    inputs, outputs, _ = stream.examples(n)
    of = default_language(task.carrier, task.arity)
    return Problem(task.carrier, task.arity, inputs, outputs, task.domain, of, noise), stream


def answer(problem: Problem, work: dict[str, int] | None = None) -> Candidate:
    candidates = list(mixture.run(problem, Budget(work=work or WORK), np.random.default_rng(0)))
    assert len(candidates) == 1
    return candidates[0]


def predictions(candidate: Candidate) -> np.ndarray:
    assert candidate.predict is not None
    return candidate.predict()


def test_two_examples_make_a_sum():
    problem, stream = problem_of("modadd", 2, p="59")
    found = answer(problem)
    np.testing.assert_array_equal(predictions(found), stream.task.table)
    assert str(found.program) == "a + b"
    assert re.fullmatch(r"exact to label 2, then truncated at \d+ bits and joins", str(found.notes["coded"]))
    assert 0 < float(found.notes["residual"]) < 0.2
    assert found.distribution is not None
    assert probability_of(found.distribution, problem.domain, stream.task.table, 59) > 0.8


def test_a_whole_stream_of_sums_costs_less_than_the_sum():
    problem, stream = problem_of("modadd", 0, p="59")
    found = answer(problem)
    assert found.online is not None
    bits = online_bits(found.online, problem.domain[stream.order], stream.labels[stream.order], 59)
    assert bits.sum() < 8  # of a + b; the mixture's share of it is larger, as Z < 1 and other sums count too


@pytest.mark.parametrize("flags", [{"p": "59"}, {"p": "59", "task_seed": "5"}])
def test_random_labels_cost_what_they_are(flags):
    problem, stream = problem_of("random", 0, **flags)
    found = answer(problem)
    assert found.online is not None
    bits = found.online(problem.domain[stream.order], stream.labels[stream.order])
    uniform = len(bits) * log2(59)
    assert uniform - 20 < bits.sum() < 1.01 * uniform


def test_permuting_later_labels_changes_no_earlier_cost():
    problem, stream = problem_of("modadd", 5, p="59")
    found = answer(problem)
    assert found.online is not None
    inputs, labels = problem.domain[stream.order[5:200]], stream.labels[stream.order[5:200]]
    whole = found.online(inputs, labels)
    for t in (0, 1, 7, 100):
        later = labels.copy()
        later[t:] = np.random.default_rng(t).permutation(labels[t:])
        np.testing.assert_array_equal(found.online(inputs, later)[:t], whole[:t])


@pytest.mark.parametrize("n", [0, 1, 3, 20])
@pytest.mark.parametrize(
    ("name", "flags"),
    [("modadd", {"p": "12"}), ("s5", {}), ("modadd3", {"p": "7"}), ("modadd", {"p": "2"}), ("random", {"p": "11"})],
)
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_it_answers_everywhere(name, flags, n, noise):
    """Composite moduli, groups, three inputs, the least carrier; and says a program's values where it has one."""
    problem, _ = problem_of(name, min(n, 3) if flags.get("p") == "2" else n, noise, **flags)
    found = answer(problem, {"programs": 1 << 11})
    said = predictions(found)
    assert said.shape == (len(problem.domain),)
    assert said.min() >= 0
    assert said.max() < problem.carrier.size
    assert found.distribution is not None
    scores = found.distribution(problem.domain[:50])
    np.testing.assert_allclose(np.exp(scores).sum(axis=1), 1.0)


def test_noise_does_not_hide_a_sum():
    problem, stream = problem_of("modadd", 40, 0.2, p="59")
    found = answer(problem)
    np.testing.assert_array_equal(predictions(found), stream.task.table)
    assert str(found.program) == "a + b"


def test_a_language_for_another_carrier_is_refused():
    problem, _ = problem_of("s5", 3)
    wrong = Problem(
        problem.carrier, 2, problem.inputs, problem.outputs, problem.domain, language("ring", 2), device="cpu"
    )
    with pytest.raises(Inapplicable, match="ring has no programs on S5"):
        answer(wrong)


def test_memory_bounds_the_depth():
    problem, _ = problem_of("modadd", 2, p="59")
    small = next(mixture.run(problem, Budget(memory_mib=8, work={"programs": 1 << 16}), np.random.default_rng(0)))
    large = next(mixture.run(problem, Budget(work={"programs": 1 << 16}), np.random.default_rng(0)))
    assert float(small.notes["counted_bits"]) < float(large.notes["counted_bits"])


def test_a_board_has_its_row(tmp_path):
    assert "mixture" in DEFAULT_METHODS
    boards = run("modadd", p=11, methods=["mixture"], examples=[0, 2], seeds=1, out=str(tmp_path))
    row = boards.leaderboard.iloc[0]
    assert row["code_length_bits"] < 10
    assert row["program"] == "a + b"
