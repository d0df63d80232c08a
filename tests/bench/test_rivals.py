"""The two cheap rivals, ``spectral`` and ``interpolate``, as methods: what they answer, refuse, and make of noise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bench.method import Budget, Candidate, Inapplicable, Method, Problem
from bench.methods.interpolate import elimination
from bench.methods.spectral import spectral
from synth.carrier import Carrier, IntArray, Residues, symmetric_group
from synth.language import default_language

Target = Callable[[IntArray, IntArray], IntArray]


def problem(target: Target, n: int, *, p: int = 59, noise: float = 0.0, seed: int = 0) -> tuple[Problem, IntArray]:
    rng, carrier = np.random.default_rng(seed), Residues(p)
    domain = np.stack(np.meshgrid(np.arange(p), np.arange(p), indexing="ij"), -1).reshape(-1, 2)
    table = target(domain[:, 0], domain[:, 1]) % p
    seen = rng.permutation(len(domain))[:n]
    labels = table[seen].copy()
    wrong = rng.random(n) < noise
    labels[wrong] = (labels[wrong] + rng.integers(1, p, wrong.sum())) % p
    return Problem(carrier, 2, domain[seen], labels, domain, default_language(carrier, 2), noise), table


def answer(method: Method, given: Problem) -> Candidate:
    return list(method.run(given, Budget(work=method.work), np.random.default_rng(0)))[-1]


def predictions(candidate: Candidate, given: Problem) -> IntArray:
    if candidate.program is not None:
        return candidate.program.evaluate(given.domain, given.carrier)
    assert candidate.predict is not None
    return candidate.predict()


@pytest.mark.parametrize(("method", "n"), [(spectral, 60), (elimination, 12)])
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_a_short_law_is_found_exactly(method: Method, n: int, noise: float) -> None:
    given, table = problem(lambda a, b: a * a + b * b, n if noise == 0 else 20 * n if n == 60 else 40, noise=noise)
    found = answer(method, given)
    assert str(found.program) in {"a*a + b*b", "a**2 + b**2"}
    np.testing.assert_array_equal(predictions(found, given), table)


@pytest.mark.parametrize("method", [spectral, elimination])
def test_groups_are_refused(method: Method) -> None:
    group = symmetric_group(3)
    domain = np.stack(np.meshgrid(np.arange(6), np.arange(6), indexing="ij"), -1).reshape(-1, 2)
    labels = group.table[domain[:, 0], domain[:, 1]]
    carrier: Carrier = group
    given = Problem(carrier, 2, domain, labels, domain, default_language(carrier, 2))
    with pytest.raises(Inapplicable, match="S3"):
        answer(method, given)


def test_elimination_needs_a_field_and_phase_correlation_does_not() -> None:
    given, table = problem(lambda a, b: a + 2 * b, 800, p=60)
    with pytest.raises(Inapplicable, match="60 is not prime"):
        answer(elimination, given)
    np.testing.assert_array_equal(predictions(answer(spectral, given), given), table)


def test_a_law_without_a_closed_form_is_tables_with_their_bits() -> None:
    rng = np.random.default_rng(1)
    f, g = rng.permutation(59), rng.permutation(59)
    given, table = problem(lambda a, b: f[a] + g[b], 1700)
    found = answer(spectral, given)
    assert (found.program, found.form) == (None, "tables")
    assert found.bits == pytest.approx(2 * 59 * np.log2(59))
    assert found.text is not None
    np.testing.assert_array_equal(predictions(found, given), table)


def test_what_has_no_law_ends_wrong_but_answers() -> None:
    rng = np.random.default_rng(2).integers(0, 59, (59, 59))
    given, table = problem(lambda a, b: rng[a, b], 1700)
    found = answer(spectral, given)
    assert found.program is None
    assert found.text is None
    answers = predictions(found, given)
    assert answers.min() >= 0
    assert (answers == table).mean() < 0.5


def test_a_long_polynomial_is_a_predictor_without_a_program() -> None:
    rng = np.random.default_rng(3).integers(0, 11, (11, 11))
    given, table = problem(lambda a, b: rng[a, b], 121, p=11)
    found = answer(elimination, given)
    assert found.program is None
    np.testing.assert_array_equal(predictions(found, given), table)
    assert found.work["columns"] >= 121
