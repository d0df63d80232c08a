"""Laws by prime powers: they say what the ring says, are found in labels and scores, and have their programs."""

from __future__ import annotations

import numpy as np
import pytest

from synth.carrier import IntArray, Residues
from synth.closed_forms import law_program
from synth.factored import cycles, offset_of, read_factors
from synth.language import language
from synth.laws import NO_ANSWER, UNKNOWN
from synth.parse import parse
from synth.products import Part, ProductLaw, idempotent, prime_of, prime_powers


def grid(m: int, arity: int = 2) -> IntArray:
    return np.stack(np.meshgrid(*[np.arange(m)] * arity, indexing="ij"), -1).reshape(-1, arity)


def table_of(text: str, m: int, arity: int = 2) -> IntArray:
    return parse(text, language("full", arity), functions=True).evaluate(grid(m, arity), Residues(m))


@pytest.mark.parametrize("m", [4, 15, 36, 60, 64, 97, 210])
def test_a_residue_is_its_residues(m: int) -> None:
    parts = prime_powers(m)
    assert np.prod(parts) == m
    every = np.arange(m)
    np.testing.assert_array_equal(sum(every % q * idempotent(m, q) for q in parts) % m, every)
    assert all(q % prime_of(q) == 0 for q in parts)


@pytest.mark.parametrize("q", [2, 3, 4, 8, 9, 16, 25, 27, 32, 49, 64, 121])
def test_units_are_a_product_of_cycles(q: int) -> None:
    found = cycles(q)
    units = [x for x in range(q) if np.gcd(x, q) == 1]
    assert np.prod([order for _, order, _ in found]) == len(units)
    for x in range(q):
        logs = [int(along[x]) for _, _, along in found]
        if x in units:
            value = 1
            for (generator, _, _), k in zip(found, logs, strict=True):
                value = value * pow(generator, k, q) % q
            assert value == x
        else:
            assert all(k == -1 for k in logs)


PRODUCTS = ["a*b", "2*a*b", "a*a*b", "a*b**3", "(a + 1)*(b + 1)", "(a + 3)*(2*b + 1)", "7*a*b"]
SUMS = ["a + b", "a*a + b*b"]


@pytest.mark.parametrize(
    ("m", "noise"),
    [*((m, 0.0) for m in (15, 21, 25, 32, 35, 36, 49, 58, 60)), (15, 0.3), (25, 0.3), (36, 0.3)]
    + [pytest.param(m, 0.3, marks=pytest.mark.slow) for m in (21, 32, 35, 49, 58, 60)],
)
def test_products_and_sums_are_read(m: int, noise: float) -> None:
    cells, rng = grid(m), np.random.default_rng(m)
    for text in PRODUCTS + SUMS:
        table = table_of(text, m)
        seen = rng.permutation(len(cells))[: int(0.6 * len(cells))]
        scores = np.eye(m)[table[seen]] + noise * rng.normal(size=(len(seen), m))
        law = read_factors(Residues(m), cells[seen], scores.astype(np.float32) if noise else table[seen])
        assert law is not None
        np.testing.assert_array_equal(law.predict(cells), table, err_msg=text)
        assert law.fit(cells, table) == 1.0
        assert law.complete
        moved = law.normalised()
        np.testing.assert_array_equal(moved.predict(cells), table)
        assert moved == moved.normalised()
        assert law.freedom <= 2 * m - 1


@pytest.mark.parametrize("m", [15, 35, 36, 58, 60])
def test_residues_that_count_as_such_need_fewer_cells(m: int) -> None:
    cells, rng = grid(m), np.random.default_rng(m)
    for text in ("a*b", "a + b", "(a + 1)*(b + 3)", "a*a*b"):
        table = table_of(text, m)
        seen = rng.permutation(len(cells))[: max(100, len(cells) // 10)]
        for scores in (table[seen], np.eye(m)[table[seen]] + 0.1 * rng.normal(size=(len(seen), m))):
            law = read_factors(Residues(m), cells[seen], scores, reduced=True)
            assert law is not None
            np.testing.assert_array_equal(law.predict(cells), table, err_msg=text)


@pytest.mark.parametrize("m", [15, 36, 58])
@pytest.mark.parametrize(
    ("text", "bits"), [("a*b", 8), ("2*a*b", 14), ("a*a*b", 14), ("a*b**3", 20), ("(a+1)*(b+1)", 26)]
)
def test_the_program_of_a_product_is_the_shortest(m: int, text: str, bits: int) -> None:
    table = table_of(text, m)
    law = read_factors(Residues(m), grid(m), table)
    assert law is not None
    program = law_program(law, language("full", 2), grid(m))
    assert program is not None
    assert program.bits == bits
    np.testing.assert_array_equal(program.evaluate(grid(m), Residues(m)), table)


def test_three_inputs() -> None:
    m, text = 15, "a*b*c"
    table = table_of(text, m, 3)
    law = read_factors(Residues(m), grid(m, 3), table)
    assert law is not None
    program = law_program(law, language("full", 3), grid(m, 3))
    assert str(program) in ("a*b*c", "a*(b*c)")


def test_a_law_may_add_modulo_one_factor_and_multiply_modulo_another() -> None:
    m, cells = 35, grid(35)
    sums, products = (cells.sum(axis=1) % 5, cells.prod(axis=1) % 7)
    table = (sums * idempotent(m, 5) + products * idempotent(m, 7)) % m
    seen = np.random.default_rng(0).permutation(len(cells))[:500]
    law = read_factors(Residues(m), cells[seen], table[seen])
    assert law is not None
    assert law.basis == "+ mod 5, * mod 7"
    np.testing.assert_array_equal(law.predict(cells), table)
    assert "mod 5" in law.text
    assert law.bits == pytest.approx(2 + np.log2(m) + 2 * m * np.log2(5) + 2 * m * np.log2(7))
    assert law_program(law, language("full", 2), cells) is None


@pytest.mark.parametrize("m", [15, 36, 58])
def test_what_has_no_law_fits_none(m: int) -> None:
    cells, rng = grid(m), np.random.default_rng(0)
    for labels in (rng.integers(0, m, len(cells)), np.maximum(cells[:, 0], cells[:, 1]), (cells.prod(axis=1) + 1) % m):
        law = read_factors(Residues(m), cells, labels)
        assert law is not None
        assert law.fit(cells, labels) < 0.7


@pytest.mark.parametrize("m", [15, 36, 58])
def test_what_is_added_to_a_product_is_found(m: int) -> None:
    cells, carrier = grid(m), Residues(m)
    for text, offset in (("a*b + 5", 5), ("a*b + a + b", m - 1)):
        table = table_of(text, m)
        seen = np.random.default_rng(0).permutation(len(cells))[: int(0.7 * len(cells))]
        assert offset_of(carrier, table[seen]) == offset
        law = read_factors(carrier, cells[seen], table[seen], offset)
        assert law is not None
        np.testing.assert_array_equal(law.predict(cells), table)
        assert law.normalised().offset == offset
        assert f"result - {offset} = " in law.text
        assert law.leads(cells, table)
        assert not law.leads(cells, (table + 1) % m)
        program = law_program(law, language("full", 2), cells)
        assert program is not None
        np.testing.assert_array_equal(program.evaluate(cells, carrier), table)


def test_a_prime_modulus_has_no_factors() -> None:
    assert read_factors(Residues(7), grid(7), table_of("a*b", 7)) is None


def test_unknown_entries_decide_unless_a_factor_is_zero() -> None:
    f, g = np.array([0, 1, UNKNOWN, 1]), np.array([0, 1, 1, UNKNOWN])
    part = Part(2, "*", (f, g))
    assert part.combined(np.array([[0, 3], [1, 3], [2, 0], [2, 1], [3, 1]])).tolist() == [0, NO_ANSWER, 0, NO_ANSWER, 1]
    summed = Part(2, "+", (f, g))
    assert summed.combined(np.array([[0, 3], [1, 1]])).tolist() == [NO_ANSWER, 0]


def test_what_a_product_law_is_made_of() -> None:
    tables = (np.zeros(6, dtype=np.int64), np.zeros(6, dtype=np.int64))
    with pytest.raises(ValueError, match=r"the parts of 6 are \(2, 3\)"):
        ProductLaw(Residues(6), (Part(2, "+", tables),))
    with pytest.raises(ValueError, match=r"shape \(6,\)"):
        ProductLaw(Residues(6), (Part(2, "+", tables), Part(3, "+", (np.zeros(3, dtype=np.int64), tables[0]))))
