"""Tasks that nobody had in mind: their laws are read where they have one, and none is where they have not."""

from __future__ import annotations

import numpy as np
import pytest

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
