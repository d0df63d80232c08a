"""The rows that train a network: what they show, when, and on what evidence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.errors import UserError
from bench.method import Budget, Candidate, Inapplicable, Problem
from bench.registry import load_method, load_task
from bench.stream import Stream
from nets.models import architecture, from_state
from nets.recipes import widths
from synth.carrier import IntArray
from synth.language import default_language


def problem_of(task: str, fraction: float, p: int | None = 53, seed: int = 0) -> tuple[Problem, IntArray]:
    loaded = load_task(task, {} if p is None else {"p": p}).task
    inputs, outputs, _ = Stream(loaded, seed).examples(round(fraction * len(loaded.domain)))
    default = default_language(loaded.carrier, loaded.arity)
    problem = Problem(loaded.carrier, loaded.arity, inputs, outputs, loaded.domain, default)
    return problem, loaded.target().table


def candidates(ref: str, problem: Problem, seed: int = 0) -> Iterator[tuple[Candidate, IntArray]]:
    method, params, _ = load_method(ref)
    for candidate in method.run(problem, Budget(60.0), np.random.default_rng(seed), **params):
        assert candidate.predict is not None
        yield candidate, candidate.predict()


@pytest.fixture(scope="module")
def addition() -> tuple[Problem, IntArray]:
    return problem_of("modadd", 0.5)


def test_a_decoder_answers_by_its_program_where_the_law_knows_no_entry() -> None:
    """An element that no example has at some place has no entry, and the half-trained network guesses there."""
    for seed in range(20):
        problem, truth = problem_of("modadd", 0.2, p=24, seed=seed)
        if all(len(np.unique(x)) == 24 for x in problem.inputs.T):
            continue
        *_, (last, answers) = candidates("bilinear+law", problem, seed)
        if last.program is not None:
            np.testing.assert_array_equal(answers, last.program.evaluate(problem.domain, problem.carrier))
            np.testing.assert_array_equal(answers, truth)
            return
    pytest.fail("no law was read where an element is missing")


@pytest.mark.parametrize("name", ["bilinear", "transformer"])
def test_a_plain_row_ends_exact_with_its_own_program(name: str) -> None:
    problem, truth = problem_of("modadd", 0.8)
    trace = list(candidates(name, problem))
    last, answers = trace[-1]
    np.testing.assert_array_equal(answers, truth)
    assert str(last.program) == "a + b"
    assert last.form == "law"
    assert last.notes["cause"] == "settled"
    assert last.faithfulness is not None
    assert last.faithfulness.agreement >= 0.99
    np.testing.assert_array_equal(last.faithfulness.network, answers)
    assert last.faithfulness.variance_explained > 0.3
    assert last.examine is not None
    examined = last.examine()
    assert examined["certificate"] == "holds"
    assert float(examined["margin_over_bound"]) > 100
    assert examined["frugal"] == "holds"
    assert float(examined["frugal_saves"]) > 1
    assert (float(examined["circuit_claimed_from"]) > 0) is (name == "transformer")
    assert str(examined["circuit_claimed"]).startswith("no: variance") is (name == "bilinear")
    assert "cos(" in str(examined["circuit"])
    for candidate, said in trace:
        if candidate.program is not None:
            meant = candidate.program.evaluate(problem.domain, problem.carrier)
            assert (meant == said)[problem.held_out].mean() >= 0.99


def test_the_stored_weights_are_those_of_the_answer(addition: tuple[Problem, IntArray]) -> None:
    problem, _ = addition
    trace = list(candidates("bilinear:h=64", problem))
    assert all(candidate.weights is None for candidate, _ in trace[:-1])
    last, answers = trace[-1]
    assert last.weights is not None
    options = widths("bilinear", 53, 2, problem.n) | {"h": 64}
    again = from_state(architecture("bilinear", 53, 2, **options), last.weights)
    np.testing.assert_array_equal(again.predict(problem.domain), answers)


def test_the_decoder_answers_with_the_law_while_the_network_is_wrong(addition: tuple[Problem, IntArray]) -> None:
    problem, truth = addition
    trace = list(candidates("bilinear+law", problem))
    shown = [i for i, (candidate, _) in enumerate(trace) if candidate.program is not None]
    assert shown == list(range(shown[0], len(trace))), "an accepted law is not withdrawn"
    first, answers = trace[shown[0]]
    np.testing.assert_array_equal(answers, truth)
    assert first.faithfulness is not None
    assert first.faithfulness.agreement < 0.99
    assert (first.faithfulness.network != truth).any()
    last, _ = trace[-1]
    assert last.faithfulness is not None
    assert last.notes["law_accepted_at"] == first.work["steps"]
    assert last.work["steps"] >= 1.2 * first.work["steps"]
    plain = list(candidates("bilinear", problem))
    assert last.work["steps"] < plain[-1][0].work["steps"]


def test_no_program_is_shown_that_is_not_the_networks() -> None:
    problem, _ = problem_of("modmax", 0.4, p=23)
    for name in ("bilinear:steps=80", "bilinear+law:steps=80"):
        trace = list(candidates(name, problem))
        assert all(candidate.program is None and candidate.text is None for candidate, _ in trace)
        assert trace[-1][0].notes["cause"] == "budget"


def test_a_law_without_a_short_form_is_shown_as_tables() -> None:
    problem, truth = problem_of("modadd", 0.6)
    rng = np.random.default_rng(0)
    shuffled = [rng.permutation(53) for _ in range(2)]
    moved = np.stack([shuffled[j][problem.inputs[:, j]] for j in range(2)], axis=1)
    trace = list(candidates("bilinear", replace(problem, inputs=moved)))
    last, answers = trace[-1]
    inverse = [np.argsort(x) for x in shuffled]
    np.testing.assert_array_equal(answers, sum(inverse[j][problem.domain[:, j]] for j in range(2)) % 53)
    assert last.program is None
    assert last.form == "tables"
    assert last.text is not None
    assert last.text.startswith("result = f(a) + g(b) mod 53")
    assert last.bits == pytest.approx(2 * 53 * np.log2(53))
    assert len(truth) == len(answers)


@pytest.mark.slow
def test_a_network_of_a_group_shows_its_word() -> None:
    problem, truth = problem_of("s5", 0.7, p=None)
    last, answers = list(candidates("bilinear:h=384:steps=90", problem))[-1]
    np.testing.assert_array_equal(answers, truth)
    assert str(last.program) == "a*b"
    assert last.faithfulness is not None
    assert last.faithfulness.variance_explained > 0.2
    assert last.examine is not None
    assert last.examine()["certificate"] == "holds"
    assert float(last.notes["central"]) > 0.9
    too_few, _ = problem_of("s5", 0.05, p=None)
    last, _ = list(candidates("bilinear:steps=20", too_few))[-1]
    assert last.program is None
    assert float(last.notes["law_fit"]) < 0.1


def test_groups_of_other_than_two_inputs_have_no_law_here() -> None:
    problem, _ = problem_of("s5", 0.05, p=None)
    one = replace(problem, arity=1, inputs=problem.inputs[:, :1], domain=np.arange(120)[:, None])
    last, _ = list(candidates("bilinear:steps=20", one))[-1]
    assert last.notes["law"] == "not looked for: a law of a group has two inputs"


def test_all_cells_and_no_cells() -> None:
    problem, truth = problem_of("modadd", 1.0, p=23)
    last, answers = list(candidates("bilinear", problem))[-1]
    np.testing.assert_array_equal(answers, truth)
    assert last.notes["law"] == "not looked for: no held-out cells"
    empty = replace(problem, inputs=problem.inputs[:0], outputs=problem.outputs[:0])
    assert list(candidates("bilinear", empty)) == []


def test_divergence_is_a_row_with_a_cause(addition: tuple[Problem, IntArray]) -> None:
    problem, _ = addition
    last, _ = list(candidates("transformer:lr=1e30:steps=40", problem))[-1]
    assert str(last.notes["cause"]).startswith("diverged: transformer: the training loss is")
    assert set(last.work) == {"steps", "flops"}


def test_a_transformer_needs_two_tokens() -> None:
    problem, _ = problem_of("modadd", 0.5, p=11)
    one = replace(problem, arity=1, inputs=problem.inputs[:, :1], domain=np.arange(11)[:, None])
    with pytest.raises(Inapplicable, match="nothing to attend to"):
        list(candidates("transformer", one))


def test_three_inputs() -> None:
    problem, truth = problem_of("modadd3", 0.5, p=13)
    last, answers = list(candidates("bilinear", problem))[-1]
    np.testing.assert_array_equal(answers, truth)
    assert str(last.program) == "a + (b + c)" or str(last.program) == "a + b + c"
    assert last.work["flops"] > last.work["steps"] > 0


OWN = """
from dataclasses import dataclass
from nets.models import Architecture, normal

@dataclass(frozen=True)
class Square(Architecture):
    \"\"\"The square of a sum of token rows.\"\"\"
    h: int = 96
    name = "square"

    def start(self, generator):
        rows, read = ((self.size, self.h), (self.h, self.size))
        return {"U": normal(generator, *rows, scale=0.15), "W": normal(generator, *read, scale=0.1)}

    def forward(self, weights, inputs):
        return sum(weights["U"][x] for x in inputs) ** 2 @ weights["W"]

    def tables(self):
        return (("U", tuple(range(self.arity))),)

    def flops(self):
        return 2.0 * self.h * self.size

class Other:
    pass
"""


def test_a_users_own_architecture_trains_and_is_read_like_the_built_in_ones(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(OWN)
    problem, truth = problem_of("modadd", 0.6, p=31)
    *_, (last, answers) = candidates(f"{file}:Square:h=64", problem)
    np.testing.assert_array_equal(answers, truth)
    assert str(last.program) == "a + b"
    assert last.weights is not None
    assert last.weights["U"].shape == (31, 64)


def test_what_is_no_architecture_is_refused_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(OWN)
    with pytest.raises(UserError, match=r"Other: expected a dataclass that extends nets\.models\.Architecture"):
        load_method(f"{file}:Other")
    with pytest.raises(UserError, match=r"unknown parameter Square:width; it takes .*Square:recipe.*Square:h"):
        load_method(f"{file}:Square:width=3")


@pytest.mark.parametrize("name", ["quadratic", "relu", "transformer"])
def test_tables_are_shared_where_the_examples_are_symmetric_unless_told_otherwise(name: str) -> None:
    for task, ref, shared in (
        ("modadd", name, True),
        ("modsub", name, False),
        ("modadd", f"{name}:tables=separate", False),
        ("modsub", f"{name}:tables=shared", True),
    ):
        problem, _ = problem_of(task, 0.5, p=11)
        *_, (last, _) = candidates(f"{ref}:steps=20", problem)
        assert last.notes["separate"] == (not shared)


def test_the_delayed_recipe_is_named_with_the_method() -> None:
    problem, _ = problem_of("modadd", 0.5, p=11)
    *_, (last, _) = candidates("bilinear:recipe=delayed:steps=60", problem)
    assert last.work["steps"] == 60


def test_the_kernel_machine_learns_addition_and_says_when_it_does_not_fit() -> None:
    problem, truth = problem_of("modadd", 0.7, p=31)
    trace = list(candidates("rfm", problem))
    assert (trace[0][1] == truth)[problem.held_out].mean() < 0.1
    assert (trace[-1][1] == truth)[problem.held_out].mean() > 0.99
    assert trace[-1][0].notes["cause"] == "settled"
    method, params, _ = load_method("rfm")
    with pytest.raises(Inapplicable, match=r"the kernel of .* examples takes .* MiB, and the budget is 1 MiB"):
        next(method.run(problem, Budget(5.0, memory_mib=1), np.random.default_rng(0), **params))
