"""Laws: the bases are homomorphisms, and a law predicts what its formula says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.carrier import Residues
from synth.laws import NO_ANSWER, UNKNOWN, ZERO, Law, decode, order_of, phi, primitive_root


@pytest.mark.parametrize("p", [2, 3, 5, 7, 11, 59, 97, 113])
def test_the_discrete_log_turns_products_into_sums(p: int) -> None:
    carrier = Residues(p)
    log, order = phi(carrier, "dlog"), order_of(carrier, "dlog")
    x, y = np.meshgrid(np.arange(1, p), np.arange(1, p), indexing="ij")
    np.testing.assert_array_equal(log[x * y % p], (log[x] + log[y]) % order)
    assert log[0] == ZERO
    np.testing.assert_array_equal(decode(carrier, "dlog")[log[1:]], np.arange(1, p))


@pytest.mark.parametrize(("p", "root"), [(3, 2), (7, 3), (23, 5), (41, 6), (59, 2), (71, 7), (191, 19)])
def test_the_primitive_root_is_the_smallest(p: int, root: int) -> None:
    assert primitive_root(p) == root  # OEIS A001918


def test_a_composite_modulus_has_no_discrete_log() -> None:
    with pytest.raises(ValueError, match="prime modulus, got 60"):
        phi(Residues(60), "dlog")


@given(st.integers(2, 40), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_predictions_are_sums_and_the_gauge_does_not_matter(m: int, arity: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    tables = tuple(rng.integers(0, m, m) for _ in range(arity))
    inputs = rng.integers(0, m, (50, arity))
    law = Law.of(Residues(m), "additive", tables)
    expected = sum(table[inputs[:, j]] for j, table in enumerate(tables)) % m
    np.testing.assert_array_equal(law.predict(inputs), expected)
    np.testing.assert_array_equal(law.normalised().predict(inputs), expected)
    shifts = rng.integers(0, m, arity)
    shifts[-1] = -shifts[:-1].sum()
    moved = Law.of(Residues(m), "additive", tuple((t + s) % m for t, s in zip(tables, shifts, strict=True)))
    assert moved.normalised() == law.normalised()
    assert law.fit(inputs, expected) == 1.0


def test_a_zero_factor_decides_and_an_unknown_one_does_not() -> None:
    carrier = Residues(5)
    f, g = phi(carrier, "dlog").copy(), phi(carrier, "dlog").copy()
    g[3] = UNKNOWN
    law = Law.of(carrier, "dlog", (f, g))
    inputs = np.array([[2, 4], [2, 3], [0, 3], [0, 4], [4, 0]])
    np.testing.assert_array_equal(law.predict(inputs), [3, NO_ANSWER, 0, 0, 0])
    assert not law.complete
    assert law.freedom == 4 + 3 - 1
    assert "?" in law.text
    assert "zero" in law.text


def test_tables_of_the_wrong_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"table of shape \(5,\)"):
        Law.of(Residues(5), "additive", (np.zeros(4, dtype=np.int64),))
