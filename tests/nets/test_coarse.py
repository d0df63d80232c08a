"""Coarse descriptions: they are networks, they are certified, and their bits are what they write down."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from data import data, trained
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from nets.certificate import certify
from nets.coarse import GRID, quantised, smallest
from nets.models import architecture, fresh
from nets.spelling import orthonormal, spell
from synth.carrier import Residues
from synth.laws import Law, phi


def law_of(basis: str, p: int, step: int = 1) -> Law:
    carrier = Residues(p)
    if basis == "dlog":
        return Law.of(carrier, "dlog", (phi(carrier, "dlog"),) * 2)
    return Law.of(carrier, "additive", (np.arange(p), step * np.arange(p) % p))


def addition(p: int) -> Law:
    return law_of("additive", p)


@settings(max_examples=40, deadline=None)
@for_all(st.integers(0, 10**6), st.integers(-30, 30), st.integers(1, 60))
def test_numbers_come_back_within_half_a_step_and_more_of_them_cost_more(seed: int, exponent: int, n: int) -> None:
    values = np.random.default_rng(seed).normal(size=n)
    symbols, bits = quantised(values, exponent)
    step = 2 ** (exponent / GRID)
    assert np.abs(symbols * step - values).max() <= step / 2 * (1 + 1e-9)
    assert bits >= quantised(values, exponent + 200)[1] - 20, "nothing but zeros is the least, but for its exponent"
    assert quantised(np.concatenate([values, values]), exponent)[1] >= bits


@settings(max_examples=40, deadline=None)
@for_all(st.integers(0, 10**6), st.integers(2, 12), st.integers(1, 20))
def test_columns_become_orthonormal_in_order_or_0(seed: int, rows: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    columns = rng.integers(-1, 2, (rows, count)).astype(float)
    basis = orthonormal(columns)
    gram = basis.T @ basis
    alive = np.diag(gram) > 0.5
    np.testing.assert_allclose(gram, np.diag(alive.astype(float)), atol=1e-9)
    assert alive.sum() == np.linalg.matrix_rank(columns)
    np.testing.assert_allclose(basis @ (basis.T @ columns), columns, atol=1e-9)
    assert ((basis * columns).sum(axis=0)[alive] > 0).all(), "each with its own sign"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("bilinear", {"shared": 0.5}), ("quadratic", {}), ("quadratic", {"separate": False}), ("relu", {}),
        ("relu", {"separate": True}), ("transformer", {}), ("transformer", {"separate": True, "heads": 2}),
        ("transformer", {"positions": False, "attention": 0.3}),
    ],
)  # fmt: skip
@pytest.mark.parametrize(("basis", "step"), [("additive", 1), ("dlog", 1), ("additive", 3)])
def test_spelt_in_all_frequencies_a_network_says_the_same(
    name: str, options: dict[str, float], basis: str, step: int
) -> None:
    network, law = fresh(architecture(name, 13, 2, **options), 2), law_of(basis, 13, step)
    cells = np.random.default_rng(0).integers(0, 13, (60, 2))
    spelt = spell(network, law, range(1, law.order // 2 + 1))
    shared = len(network.architecture.tables()) == 1
    if shared and step != 1:
        assert spelt is None, "one table has no characters that are those of both inputs"
        return
    assert spelt is not None
    logits, said = (x.logits(cells) for x in (network, spelt.make(spelt.coefficients)))
    apart = said - logits
    np.testing.assert_allclose(apart - apart[:, :1], 0, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("quadratic", {"weights", "characters", "neurons"}),
        pytest.param("transformer", {"weights", "characters"}, marks=pytest.mark.slow),
    ],
)
def test_the_smallest_descriptions_are_certified_and_smaller_than_the_weights(name: str, kinds: set[str]) -> None:
    p = 37 if name == "quadratic" else 29
    given = data("a + b", p, 0.8, 0)
    network, _ = trained(name, given, 0)
    found = smallest(network, addition(p), given.cells, given.cell_labels)
    assert {x.kind for x in found} >= kinds
    assert [x.bits for x in found] == sorted(x.bits for x in found)
    for x in found:
        assert x.certificate.holds
        assert certify(x.network, given.cells, given.cell_labels) == x.certificate
        assert x.nonzero <= x.numbers
        assert x.bits > x.nonzero, "each at least a sign"
    by_kind = {x.kind: x.bits for x in found}
    assert by_kind["characters"] < by_kind["weights"] / 4
    assert by_kind["characters"] < (2 if name == "transformer" else 1) * p**2 * np.log2(p), "a table of all answers"


def test_a_network_without_the_program_has_no_certified_description() -> None:
    given = data("a + b", 11, 0.5, 0)
    assert smallest(fresh(architecture("quadratic", 11, 2), 0), addition(11), given.cells, given.cell_labels) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bilinear", "quadratic", "relu", "transformer"])
def test_certified_bits_at_p_59(name: str, say: Callable[[str], None]) -> None:
    given = data("a + b", 59, 0.5, 0)
    network, _ = trained(name, given, 0)
    found = smallest(network, addition(59), given.cells, given.cell_labels)
    for x in found:
        say(f"{name} p=59: {x.kind}, {x.nonzero} of {x.numbers} numbers, {x.bits / 1e3:.1f} kbit (a table 20.5)")
    assert found
    assert found[0].bits < 20500
