"""A law's program is the law, in its shortest form; a table without a closed form has none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.carrier import IntArray, Residues
from synth.closed_forms import law_program, repaired
from synth.language import language
from synth.laws import UNKNOWN, ZERO, Law, phi
from synth.parse import parse
from synth.spectral import read_labels


def grid(m: int, arity: int = 2) -> IntArray:
    return np.stack(np.meshgrid(*[np.arange(m)] * arity, indexing="ij"), -1).reshape(-1, arity)


def law_of(text: str, m: int, arity: int = 2) -> tuple[Law, IntArray, IntArray]:
    carrier, cells = Residues(m), grid(m, arity)
    if "/ b" in text:
        cells = cells[cells[:, 1] != 0]
    table = parse(text, language("full", arity), functions=True).evaluate(cells, carrier)
    return read_labels(carrier, cells, table)[0], cells, table


@pytest.mark.parametrize("m", [59, 113])
@pytest.mark.parametrize(
    ("target", "shortest", "bits"),
    [
        ("a + b", "a + b", 8),
        ("a - b", "a - b", 8),
        ("b - a", "b - a", 8),
        ("a**2 + b**2", "a*a + b*b", 20),
        ("a**2 - b**3", "a*a - b*(b*b)", 26),
        ("a * b", "a*b", 8),
        ("a / b", "a/b", 9),
        ("(a - 3)*(b + 2)", "(a - 3)*(b + 2)", 26),
        ("2*a + 3*b + 7", None, 41),  # the constant fits in several places
        ("0*a + 9", "3**2", 11),
        ("3*b*b", "b*(b*3)", 17),
    ],
)
def test_the_program_is_the_shortest(target: str, shortest: str | None, bits: int, m: int) -> None:
    law, cells, table = law_of(target, m)
    program = law_program(law, language("full", 2), cells)
    assert program is not None
    assert program.bits == bits
    assert shortest in (None, str(program))
    np.testing.assert_array_equal(program.evaluate(cells, law.carrier), table)


def test_three_inputs_and_one() -> None:
    law, cells, _ = law_of("a + b - c**2", 23, 3)
    assert (
        str(law_program(law, language("full", 3), cells)) == "a + b - c**2"
    )  # c*c costs more than c**2 with three inputs
    law, cells, _ = law_of("a**3", 23, 1)
    assert str(law_program(law, language("full", 1), cells)) == "a*(a*a)"


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 58), st.integers(0, 58), st.integers(0, 58))
def test_every_affine_law_has_its_program(x: int, y: int, z: int) -> None:
    carrier, a = Residues(59), np.arange(59)
    law = Law.of(carrier, "additive", ((x * a + z) % 59, y * a % 59))
    for name in ("ring", "full"):
        program = law_program(law, language(name, 2))
        assert program is not None
        np.testing.assert_array_equal(program.evaluate(grid(59), carrier), law.predict(grid(59)))


def test_the_gauge_does_not_change_the_length() -> None:
    law, cells, _ = law_of("2*a + 3*b + 7", 59)
    f, g = law.tables
    lengths = set[int]()
    for s in (0, 1, 17, 40):
        moved = Law.of(law.carrier, "additive", ((f + s) % 59, (g - s) % 59))
        program = law_program(moved, language("full", 2), cells)
        lengths.add(program.bits if program else 0)
    assert lengths == {41}


def test_a_language_without_division_divides_nothing() -> None:
    law, cells, _ = law_of("a / b", 59)
    assert law_program(law, language("ring", 2), cells) is None
    law, cells, _ = law_of("0 - a - b", 59)
    assert str(law_program(law, language("ring", 2), cells)) == "0 - a - b"


def test_unknown_entries_are_filled_in_by_the_form() -> None:
    carrier = Residues(59)
    f, g = phi(carrier, "dlog").copy(), phi(carrier, "dlog").copy()
    f[5:40], g[20:] = UNKNOWN, UNKNOWN
    assert str(law_program(Law.of(carrier, "dlog", (f, g)), language("full", 2))) == "a*b"


def test_tables_without_a_closed_form_have_no_program() -> None:
    rng, carrier = np.random.default_rng(0), Residues(59)
    law = Law.of(carrier, "additive", (rng.permutation(59), rng.permutation(59)))
    assert law_program(law, language("full", 2)) is None
    assert law_program(law, language("group", 2)) is None


@pytest.mark.parametrize("text", ["a + b", "a**2 - 3*b", "a * b", "a / b"])
def test_wrong_entries_are_repaired(text: str) -> None:
    law, cells, table = law_of(text, 59)
    rng = np.random.default_rng(0)
    spoilt = tuple(np.where(rng.random(59) < 0.3, rng.integers(0, law.order, 59), t) for t in law.tables)
    noisy = Law.of(law.carrier, law.basis, spoilt)
    assert law_program(noisy, language("full", 2), cells) is None
    mended = repaired(noisy, language("full", 2))
    assert mended is not None
    np.testing.assert_array_equal(mended.predict(cells), table)


def test_random_tables_are_beyond_repair() -> None:
    rng, carrier = np.random.default_rng(1), Residues(59)
    for _ in range(5):
        law = Law.of(carrier, "additive", (rng.integers(0, 59, 59), rng.integers(0, 59, 59)))
        assert repaired(law, language("full", 2)) is None
        few = tuple(np.where(np.arange(59) < 11, t, UNKNOWN) for t in (np.arange(59), np.arange(59)))
        assert repaired(Law.of(carrier, "additive", few), language("full", 2)) is None


def test_a_factor_that_is_always_zero() -> None:
    carrier = Residues(7)
    law = Law.of(carrier, "dlog", (np.full(7, ZERO), phi(carrier, "dlog").copy()))
    assert str(law_program(law, language("full", 2))) == "0"


@pytest.mark.parametrize("element", [0, 2, 130, 255])
def test_forms_are_held_to_every_element(element: int) -> None:
    carrier, f = Residues(257), np.arange(257)  # more elements than forms are compared on
    f[element] = (f[element] + 60) % 257
    law = Law.of(carrier, "additive", (f, np.arange(257)))
    assert law_program(law, language("ring", 2)) is None
    f = np.where(np.arange(257) == 2, 0, np.arange(257))
    program = law_program(Law.of(carrier, "additive", (f, np.arange(257))), language("full", 2))
    assert program is not None
    np.testing.assert_array_equal(program.evaluate(grid(257), carrier), (f[:, None] + np.arange(257)).ravel() % 257)


def test_a_relabelled_law_has_no_program() -> None:
    carrier = Residues(7)
    relabelled = Law(carrier, "additive", 7, (np.arange(7), np.arange(7)), np.random.default_rng(1).permutation(7))
    assert law_program(relabelled, language("full", 2)) is None
