"""Tasks that nobody had in mind: their laws are read where they have one, and none is where they have not."""

from __future__ import annotations

from collections.abc import Callable

import controls
import numpy as np
import pytest
from data import Data, data

from nets.law import Reading, read_logits
from synth.carrier import IntArray, Residues
from synth.closed_forms import law_program
from synth.language import language
from synth.parse import parse

LAWS: dict[str, tuple[str | None, float]] = {  # the program, and the noise of scores that it is read under
    "a*b + 1": ("1 + a*b", 0.1),
    "a*b + a + b": ("a + b + a*b", 0.1),
    "a**2*b": ("a*a*b", 0.3),
    "a*b**3": ("a*(b*(b*b))", 0.3),
    "2*a*b": ("(a + a)*b", 0.5),
    "a**3": ("a*(a*a)", 0.3),
    "3": ("3", 0.3),
    "a/(b + 1)": ("a/(b + 1)", 0.3),
    "(a + b)/2": ("(a + b)/2", 0.5),
    "a + min(b, 3)": ("a + min(b, 3)", 0.5),
    "min(a, 5)*b": ("min(a, 5)*b", 0.3),
    "a*(b if odd(b) else 1)": ("a*b if odd(b) else a", 0.3),
    "a if odd(a) else 3": ("a if odd(a) else 3", 0.3),
    "(1 if odd(a) else 0) + (1 if odd(b) else 0)": (None, 0.3),
    "(a + b)**3": (None, 0.1),
}
LAWLESS = ["(a + b)**2", "(a - b)**2", "max(a, b)", "a + b if odd(a) else a - b", "a + b if odd(b) else a*b",
           "a**2 + a*b + b**2", "a**3 + a*b", "b + (1 if a < b else 0)", "a if odd(b) else b"]  # fmt: skip


def grid(m: int) -> IntArray:
    return np.stack(np.meshgrid(np.arange(m), np.arange(m), indexing="ij"), -1).reshape(-1, 2)


def read(text: str, m: int, noise: float, seed: int = 0, wrong: float = 0.0) -> tuple[Reading, IntArray]:
    cells, rng = grid(m), np.random.default_rng(seed)
    table = parse(text, language("full", 2), functions=True).evaluate(cells, Residues(m))
    order = rng.permutation(len(cells))
    seen, rest = order[: len(cells) // 2], order[len(cells) // 2 :]
    labels = table[seen].copy()
    spoilt = rng.random(len(labels)) < wrong
    labels[spoilt] = (labels[spoilt] + rng.integers(1, m, spoilt.sum())) % m
    scores = np.eye(m)[table[rest]] + noise * rng.normal(size=(len(rest), m))
    return read_logits(cells[rest], scores.astype(np.float32), Residues(m), cells[seen], labels, wrong), table


@pytest.mark.parametrize("wrong", [0.0, 0.05])
@pytest.mark.parametrize("text", [*LAWS])
def test_a_law_is_read_and_written_as_short_as_it_can_be(text: str, wrong: float) -> None:
    program, noise = LAWS[text]
    found, table = read(text, 47, noise, wrong=wrong)
    assert found.accepted
    np.testing.assert_array_equal(found.law.predict(grid(47)), table)
    written = law_program(found.law, language("full", 2))
    assert written is not None
    np.testing.assert_array_equal(written.evaluate(grid(47), Residues(47)), table)
    if program is not None:
        assert written.bits == parse(program, language("full", 2), functions=True).bits, str(written)


@pytest.mark.parametrize("m", [15, 35, 36, 58, 60])
@pytest.mark.parametrize("text", ["a*b", "2*a*b", "a**2*b", "a*b + b", "6*a*b", "a*b + 1", "a*b + a + b"])
def test_products_modulo_what_is_no_prime(text: str, m: int) -> None:
    found, table = read(text, m, 0.1)
    assert found.accepted
    np.testing.assert_array_equal(found.law.predict(grid(m)), table)
    written = law_program(found.law, language("full", 2))
    assert written is not None
    assert written.bits <= parse(text, language("full", 2), functions=True).bits


@pytest.mark.parametrize("text", LAWLESS)
def test_what_has_no_law_is_given_none(text: str) -> None:
    for m in (47, 35):
        for wrong in (0.0, 0.05):
            assert not read(text, m, 0.1, wrong=wrong)[0].accepted


@pytest.mark.parametrize(("noise", "every"), [(0.3, 4), *(pytest.param(x, 1, marks=pytest.mark.slow) for x in (1, 3))])
def test_what_is_accepted_is_right(noise: float, every: int) -> None:
    for seed, text in enumerate([*LAWS, *LAWLESS][::every]):
        for m in (23, 24):
            found, table = read(text.replace("/", "*") if m == 24 else text, m, noise, seed)
            assert not found.accepted or (found.law.predict(grid(m)) == table).all()


@pytest.mark.parametrize("fraction", [0.3, 0.5, 0.7, 0.8])
def test_who_knows_more_than_mirrors_and_lists_is_heard(fraction: float) -> None:
    for seed in range(4):
        for target in ("a + b", "a * b"):
            given = data(target, 37, fraction, seed)
            scores = np.eye(37)[given.held_out_labels] + controls.faint(given, 0.2)
            found = read_logits(given.held_out, scores.astype(np.float32), Residues(37), given.inputs, given.labels)
            assert found.accepted
            np.testing.assert_array_equal(found.law.predict(given.cells), given.cell_labels)


@pytest.mark.parametrize("target", ["a + b", "a - b", "a * b"])
def test_nothing_is_said_of_what_no_example_has(target: str) -> None:
    given = data(target, 23, 0.6, 0)
    without = given.inputs[:, 0] != 5
    held_out = np.concatenate([given.held_out, given.inputs[~without]])
    labels = np.concatenate([given.held_out_labels, given.labels[~without]])
    scores = np.eye(23, dtype=np.float32)[np.where(held_out[:, 0] == 5, held_out[:, 1] // 2, labels)]
    found = read_logits(held_out, scores, Residues(23), given.inputs[without], given.labels[without])
    assert found.accepted
    said = found.law.predict(given.cells)
    told = given.cells[:, 0] != 5
    np.testing.assert_array_equal(said[told], given.cell_labels[told])
    assert (said[~told & (given.cell_labels != 0)] < 0).all()
    program = law_program(found.law, language("full", 2))  # the others tell what becomes of it
    assert program is not None
    np.testing.assert_array_equal(program.evaluate(given.cells, Residues(23)), given.cell_labels)


def test_labels_of_two_tasks_have_no_law_unless_one_is_declared_wrong() -> None:
    given = data("a + b", 37, 0.6, 0)
    scores = np.eye(37, dtype=np.float32)[given.held_out_labels]
    some = np.random.default_rng(0).random(len(given.labels)) < 0.2
    mixed = np.where(some, given.inputs.prod(axis=1) % 37, given.labels)
    for noise in (0.0, 0.2):
        found = read_logits(given.held_out, scores, Residues(37), given.inputs, mixed, noise)
        assert found.accepted is (noise > 0)


def test_outputs_in_another_order_for_each_row_have_no_law() -> None:
    for seed in range(4):
        given = data("a + b", 37, 0.5, seed)
        order = np.random.default_rng(seed).permuted(np.tile(np.arange(37), (37, 1)), axis=1)
        scores = np.eye(37, dtype=np.float32)[order[given.held_out[:, 0], given.held_out_labels]]
        for labels in (given.labels, order[given.inputs[:, 0], given.labels]):
            assert not read_logits(given.held_out, scores, Residues(37), given.inputs, labels).accepted


def test_predictors_of_three_inputs_are_refused(announce: Callable[[str, list[bool]], None]) -> None:
    def lists(given: Data) -> np.ndarray:
        return controls.eliminating(controls.reflected(given), jointly=True)

    def either(given: Data) -> np.ndarray:
        return controls.elsewhere(given, lists(given))

    accepted: list[bool] = []
    for seed in range(9):
        p, rng = 7, np.random.default_rng(seed)
        cells = rng.permutation(np.stack(np.meshgrid(*[np.arange(p)] * 3, indexing="ij"), -1).reshape(-1, 3))
        labels = cells.sum(axis=1) % p if seed % 2 else cells.prod(axis=1) % p
        n = (40, 100, 200)[seed % 3]
        given = Data(p, cells[:n], labels[:n], cells[n:], labels[n:])
        for scores in (controls.mirrors(given), lists(given), either(given), controls.nearest(given)):
            found = read_logits(given.held_out, scores, Residues(p), given.inputs, given.labels)
            accepted.append(found.accepted)
    announce("predictors of three inputs", accepted)
