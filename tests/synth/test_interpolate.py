"""Elimination finds the polynomial that sympy would, the quotient where there is one, and says what it is sure of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.carrier import IntArray, Residues
from synth.interpolate import interpolate
from synth.language import language
from synth.parse import parse
from synth.polynomial import Rational, monomials


def grid(m: int, arity: int = 2) -> IntArray:
    return np.stack(np.meshgrid(*[np.arange(m)] * arity, indexing="ij"), -1).reshape(-1, arity)


def last(p: int, inputs: IntArray, outputs: IntArray, **options: int) -> Rational | None:
    found = list(interpolate(Residues(p), inputs, outputs, **options))
    return found[-1] if found else None


@pytest.mark.parametrize("p", [11, 59, 509])
@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("a + b", 3),
        ("2*a + 3*b + 7", 3),
        ("a*b", 5),
        ("a**2 + b**2", 5),
        ("a**2 + a*b + b**2", 8),
        ("a**3 + a*b", 8),
        ("a**3 + a*b**2 + b", 12),
        ("(a + 2*b + 1)**3", 12),
        ("a**4*b + 3*a**2*b**2 + 5", 28),
        ("7", 2),
        ("0*a", 2),
    ],
)
def test_a_polynomial_is_exact_from_few_examples(text: str, n: int, p: int) -> None:
    cells, carrier = grid(p), Residues(p)
    table = parse(text, language("full", 2)).evaluate(cells, carrier)
    for seed in range(3):
        seen = np.random.default_rng(seed).permutation(len(cells))[: n + (8 if p == 11 else 0)]
        if n == 3 and p > 11 and _collinear(cells[seen], p):
            continue
        found = last(p, cells[seen], table[seen])
        assert found is not None
        assert found.is_polynomial
        np.testing.assert_array_equal(found.predict(cells), table)
        program = found.program(language("full", 2))
        assert program is not None
        np.testing.assert_array_equal(program.evaluate(cells, carrier), table)


def _collinear(cells: IntArray, p: int) -> bool:
    (a, b), (c, d), (e, f) = cells.tolist()
    return ((c - a) * (f - b) - (e - a) * (d - b)) % p == 0


@pytest.mark.parametrize(
    ("text", "n"), [("a/b", 8), ("(a + 3)/(b**2 + a + 1)", 16), ("1/(a + b)", 8), ("a*inv(b*b)", 16)]
)
def test_a_quotient_is_exact(text: str, n: int) -> None:
    cells, carrier = grid(59), Residues(59)
    table = parse(text, language("full", 2), functions=True).evaluate(cells, carrier)
    for seed in range(3):
        seen = np.random.default_rng(seed).permutation(len(cells))[:n]
        found = last(59, cells[seen], table[seen])
        assert found is not None
        assert found.spare > 0
        np.testing.assert_array_equal(found.predict(cells), table)
        assert found.program(language("ring", 2)) is None
        program = found.program(language("field", 2))
        assert program is not None
        np.testing.assert_array_equal(program.evaluate(cells, carrier), table)


def test_the_programs_of_simple_targets_are_short() -> None:
    cells = grid(59)
    for text, bits in (
        ("a + b", 8),
        ("a*b", 8),
        ("a - b", 8),
        ("a**2 + b**2", 20),
        ("a/b", 9),
        ("a**3 + a*b**2 + b", 38),
    ):
        table = parse(text, language("full", 2)).evaluate(cells, Residues(59))
        seen = np.random.default_rng(0).permutation(len(cells))[
            cells[np.random.default_rng(0).permutation(len(cells)), 1] != 0
        ]
        found = last(59, cells[seen[:40]], table[seen[:40]])
        program = found.program(language("full", 2)) if found else None
        assert program is not None
        assert program.bits == bits


@settings(max_examples=50, deadline=None)
@given(
    terms=st.dictionaries(
        st.tuples(st.integers(0, 2), st.integers(0, 2)).filter(lambda e: sum(e) <= 3), st.integers(1, 12), max_size=8
    ),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_cubic_is_found(terms: dict[tuple[int, int], int], seed: int) -> None:
    cells = grid(13)
    table = Rational(Residues(13), dict(terms), {(0, 0): 1}, 0, 0).predict(cells)
    np.testing.assert_array_equal(
        table,
        sum((c * cells[:, 0] ** i * cells[:, 1] ** j for (i, j), c in terms.items()), np.zeros(169, dtype=int)) % 13,
    )
    seen = np.random.default_rng(seed).permutation(169)[:40]
    found = last(13, cells[seen], table[seen])
    assert found is not None
    assert found.numerator == terms
    assert found.spare == 40 - 10 or len(terms) < 10


def test_the_whole_table_of_a_small_field_is_interpolated() -> None:
    # Every function on GF(p)² is a polynomial with exponents below p.
    table = np.random.default_rng(0).integers(0, 7, 49)
    found = last(7, grid(7), table)
    assert found is not None
    np.testing.assert_array_equal(found.predict(grid(7)), table)
    assert max(max(e) for e in found.numerator) <= 6


def test_one_and_three_inputs() -> None:
    one = np.arange(59)[:, None]
    found = last(59, one[:6], one[:6, 0] ** 4 % 59)
    assert found is not None
    assert found.numerator == {(4,): 1}
    cells = grid(11, 3)
    table = (cells[:, 0] * cells[:, 1] + cells[:, 2] ** 2) % 11
    seen = np.random.default_rng(1).permutation(len(cells))[:14]
    found = last(11, cells[seen], table[seen])
    assert found is not None
    np.testing.assert_array_equal(found.predict(cells), table)


def test_a_guess_is_marked_by_no_spare_example() -> None:
    cells = grid(59)
    seen = np.random.default_rng(2).permutation(len(cells))[:10]
    labels = np.random.default_rng(3).integers(0, 59, 10)
    found = last(59, cells[seen], labels)
    assert found is not None
    assert found.spare == 0
    np.testing.assert_array_equal(found.predict(cells[seen]), labels)


def test_random_labels_exhaust_the_columns() -> None:
    cells, rng = grid(59), np.random.default_rng(4)
    seen = rng.permutation(len(cells))[:300]
    assert last(59, cells[seen], rng.integers(0, 59, 300), max_columns=100) is None
    assert last(59, cells[:0], np.zeros(0, dtype=np.int64)) is None


def test_contradicting_examples_have_no_polynomial() -> None:
    twice = np.array([[1, 2], [1, 2], [0, 1]])
    assert last(3, twice, np.array([0, 1, 2])) is None


def test_the_clock_is_asked() -> None:
    cells, rng = grid(59), np.random.default_rng(5)
    asked = iter([False] * 5)
    found = list(interpolate(Residues(59), cells, rng.integers(0, 59, len(cells)), stop=lambda: next(asked, True)))
    assert found == []


def test_on_plain_integers_there_is_no_program() -> None:
    cells = grid(59)[100:200]
    found = last(59, cells, cells.sum(axis=1) % 59)
    assert found is not None
    assert found.program(language("int", 2)) is None  # a + b is not (a + b) % 59


def test_a_ring_is_refused() -> None:
    with pytest.raises(ValueError, match="60 is not prime"):
        last(60, grid(60), grid(60)[:, 0])


def test_large_primes_do_not_overflow() -> None:
    p = 65521
    rng = np.random.default_rng(6)
    inputs = rng.integers(0, p, (30, 2))
    table = (p - 2) * (inputs[:, 0] * inputs[:, 1] % p) % p
    found = last(p, inputs, table)
    assert found is not None
    assert found.numerator == {(1, 1): p - 2}


@pytest.mark.parametrize(("arity", "degree"), [(1, 5), (2, 4), (3, 3), (4, 2)])
def test_monomials_are_complete_and_sparse_first(arity: int, degree: int) -> None:
    found = monomials(degree, arity, 100)
    cells = [tuple(int(x) for x in e) for e in grid(degree + 1, arity) if e.sum() == degree]
    assert sorted(found) == sorted(cells)
    widths = [sum(x > 0 for x in e) for e in found]
    assert widths == sorted(widths)
