"""Phase correlation finds the law of a partly known table, and none in a table without one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from synth.carrier import IntArray, Residues
from synth.evidence import Scores, from_spectra, spectra_of
from synth.laws import Law, phi
from synth.spectral import additive_tables, read_labels, zero_elements

Target = Callable[[IntArray, IntArray], IntArray]
ADDITIVE: dict[str, Target] = {
    "a + b": lambda a, b: a + b,
    "a - b": lambda a, b: a - b,
    "2a + 3b + 7": lambda a, b: 2 * a + 3 * b + 7,
    "a² + b²": lambda a, b: a * a + b * b,
}
PRODUCTS: dict[str, Target] = {"ab": lambda a, b: a * b, "(a-3)(b+2)": lambda a, b: (a - 3) * (b + 2)}


def grid(m: int, arity: int = 2) -> IntArray:
    return np.stack(np.meshgrid(*[np.arange(m)] * arity, indexing="ij"), -1).reshape(-1, arity)


@pytest.mark.parametrize("m", [11, 59, 60, 97])
@pytest.mark.parametrize("name", [*ADDITIVE, *PRODUCTS, "a/b"])
def test_the_law_is_exact_where_the_examples_tie_every_row(m: int, name: str) -> None:
    carrier = Residues(m)
    if name not in ADDITIVE and not carrier.is_prime:
        pytest.skip("products are read in the discrete-log basis, which needs a prime")
    cells = grid(m)
    if name == "a/b":
        cells = cells[cells[:, 1] != 0]
        table = cells[:, 0] * carrier.inverses[cells[:, 1]] % m
    else:
        table = (ADDITIVE | PRODUCTS)[name](cells[:, 0], cells[:, 1]) % m
    for seed in range(3):
        seen = np.random.default_rng(seed).permutation(len(cells))[: int(len(cells) * (0.7 if m == 11 else 0.2))]
        law = read_labels(carrier, cells[seen], table[seen])[0]
        assert law.basis == ("additive" if name in ADDITIVE else "dlog")
        np.testing.assert_array_equal(law.predict(cells), table)


def test_three_and_one_inputs() -> None:
    cells = grid(23, 3)
    table = (cells[:, 0] + cells[:, 1] ** 2 + 5 * cells[:, 2]) % 23
    seen = np.random.default_rng(0).permutation(len(cells))[:600]
    law = read_labels(Residues(23), cells[seen], table[seen])[0]
    np.testing.assert_array_equal(law.predict(cells), table)
    one = np.arange(23)[:, None]
    law = read_labels(Residues(23), one, one[:, 0] ** 3 % 23)[0]
    np.testing.assert_array_equal(law.predict(one), one[:, 0] ** 3 % 23)


def test_wrong_labels_are_outvoted() -> None:
    carrier, cells, rng = Residues(59), grid(59), np.random.default_rng(1)
    for basis, table in (("additive", cells.sum(axis=1) % 59), ("dlog", cells[:, 0] * cells[:, 1] % 59)):
        seen = rng.permutation(len(cells))[:1400]
        labels = table[seen].copy()
        wrong = rng.random(len(seen)) < 0.1
        labels[wrong] = (labels[wrong] + rng.integers(1, 59, wrong.sum())) % 59
        law = read_labels(carrier, cells[seen], labels)[0]
        assert law.basis == basis
        np.testing.assert_array_equal(law.predict(cells), table)


def test_scores_and_labels_are_read_alike() -> None:
    cells, rng = grid(31), np.random.default_rng(2)
    seen = cells[rng.permutation(len(cells))[:400]]
    labels = (seen[:, 0] ** 2 - seen[:, 1]) % 31
    by_labels = Law.of(Residues(31), "additive", additive_tables(seen, labels, 31, 31))
    by_scores = Law.of(Residues(31), "additive", additive_tables(seen, np.eye(31)[labels], 31))
    assert by_labels.normalised() == by_scores.normalised()


@pytest.mark.parametrize("order", [2, 3, 10, 58, 59])
def test_spectra_are_numpys(order: int) -> None:
    rows = np.random.default_rng(0).normal(size=(7, order))
    spectra = spectra_of(rows)
    np.testing.assert_allclose(spectra, np.fft.rfft(rows, axis=1), atol=1e-4)
    np.testing.assert_allclose(from_spectra(spectra, order), rows, atol=1e-5)
    shifted = Scores.of(rows).shifted(np.arange(7), np.arange(7))
    for i, row in enumerate(from_spectra(shifted.spectra, order)):
        np.testing.assert_allclose(row, np.roll(rows[i] - rows[i].mean(), -i), atol=1e-4)


@pytest.mark.parametrize("frequencies", [(5, 9), (29, 3), (3, 11, 17, 22)])
def test_faint_scores_of_few_frequencies_suffice(frequencies: tuple[int, ...]) -> None:
    # What a grokking network's logits look like: cosines under noise that hides the argmax of most cells.
    m, rng = 59, np.random.default_rng(3)
    cells = grid(m)
    held_out = cells[rng.permutation(len(cells))[:1700]]
    angle = 2 * np.pi * ((held_out.sum(axis=1))[:, None] - np.arange(m)) / m
    scores = sum(np.cos(k * angle) for k in frequencies) + rng.normal(0, 1, angle.shape)
    assert (scores.argmax(axis=1) == held_out.sum(axis=1) % m).mean() < 0.6
    law = Law.of(Residues(m), "additive", additive_tables(held_out, scores, m))
    np.testing.assert_array_equal(law.predict(cells), cells.sum(axis=1) % m)


@pytest.mark.parametrize("loud", [0.0, 1.0, 3.0])
def test_what_one_input_says_alone_does_not_drown_the_law(loud: float) -> None:
    m, rng = 59, np.random.default_rng(8)
    cells = grid(m)
    held_out = cells[rng.permutation(len(cells))[:1700]]
    angle = 2 * np.pi * ((held_out.sum(axis=1))[:, None] - np.arange(m)) / m
    scores = sum(np.cos(k * angle) for k in (3, 11, 17)) + rng.normal(0, 1, angle.shape)
    scores += loud * (rng.normal(size=(m, m))[held_out[:, 0]] + rng.normal(size=(m, m))[held_out[:, 1]])
    law = Law.of(Residues(m), "additive", additive_tables(held_out, scores, m))
    np.testing.assert_array_equal(law.predict(cells), cells.sum(axis=1) % m)


def test_a_law_that_ignores_an_input_is_read_from_scores_too() -> None:
    m, rng = 31, np.random.default_rng(9)
    cells = grid(m)
    scores = np.eye(m)[3 * cells[:, 1] % m] + rng.normal(0, 0.1, (m * m, m))
    law = Law.of(Residues(m), "additive", additive_tables(cells, scores, m))
    np.testing.assert_array_equal(law.predict(cells), 3 * cells[:, 1] % m)


def test_a_random_table_has_no_law() -> None:
    cells, rng = grid(59), np.random.default_rng(4)
    seen = cells[rng.permutation(len(cells))[:1700]]
    laws = read_labels(Residues(59), seen, rng.integers(0, 59, len(seen)))
    assert [law.fit(seen, rng.integers(0, 59, len(seen))) < 0.3 for law in laws] == [True, True]


def test_the_zeros_of_a_product_are_found() -> None:
    cells = grid(13)
    table = (cells[:, 0] - 3) * (cells[:, 1] + 2) % 13
    seen = np.random.default_rng(5).permutation(len(cells))[:90]
    zero = zero_elements(cells[seen], table[seen], 13)
    assert np.argwhere(zero).tolist() == [[0, 3], [1, 11]]


def test_a_zero_that_two_elements_explain_is_blamed_on_neither() -> None:
    assert not zero_elements(np.array([[0, 4], [1, 2]]), np.array([0, 2]), 5).any()
    found = zero_elements(np.array([[0, 4], [1, 4]]), np.array([0, 4]), 5)
    assert np.argwhere(found).tolist() == [[0, 0]]


@pytest.mark.parametrize("as_scores", [False, True])
def test_rows_that_nothing_ties_stay_unknown(as_scores: bool) -> None:
    cells = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [2, 5]])
    labels = cells.sum(axis=1) % 7
    f, g = additive_tables(cells, np.eye(7)[labels] if as_scores else labels, 7, 7)
    assert (f[[0, 1]] >= 0).all()
    assert (g[[0, 1]] >= 0).all()
    assert (f[3:] < 0).all()
    assert (np.delete(g, [0, 1, 5]) < 0).all()


@pytest.mark.parametrize("size", [7, 300])
def test_no_cells_tie_nothing(size: int) -> None:
    none = np.zeros((0, 2), dtype=np.int64)
    for table in additive_tables(none, np.zeros(0, dtype=np.int64), size, 5):
        assert (table < 0).all()


def test_laws_of_products_agree_with_discrete_logs() -> None:
    carrier, cells = Residues(29), grid(29)
    law = read_labels(carrier, cells, cells[:, 0] * cells[:, 1] % 29)[0].normalised()
    assert np.array_equal(law.tables[1] < 0, phi(carrier, "dlog") < 0)
