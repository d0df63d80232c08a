"""Coarse descriptions: they are networks, they are certified, and their bits are what they write down."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from data import data, trained

from nets.certificate import certify
from nets.coarse import rounded, smallest
from nets.models import architecture, fresh
from synth.carrier import Residues
from synth.laws import Law


def addition(p: int) -> Law:
    return Law.of(Residues(p), "additive", (np.arange(p), np.arange(p)))


@pytest.mark.parametrize("precision", [2, 3, 8])
def test_rounding_keeps_to_as_many_levels_as_the_bits_allow(precision: int) -> None:
    values = np.random.default_rng(0).normal(size=(50, 40))
    said = rounded(values, precision)
    assert len(np.unique(said)) <= 2**precision - 1
    assert np.abs(said - values).max() <= np.abs(values).max() / (2 ** (precision - 1) - 1) / 2 + 1e-12
    np.testing.assert_array_equal(rounded(np.zeros((2, 2)), precision), 0)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [("quadratic", {"weights", "characters", "neurons"}), ("transformer", {"weights", "characters"})],
)
def test_the_smallest_descriptions_are_certified_and_smaller_than_the_weights(name: str, kinds: set[str]) -> None:
    given = data("a + b", 37, 0.7, 0)
    network, _ = trained(name, given, 0)
    found = smallest(network, addition(37), given.cells, given.cell_labels)
    assert {x.kind for x in found} == kinds
    assert [x.bits for x in found] == sorted(x.bits for x in found)
    numbers = sum(x.numel() for x in network.weights.values())
    for x in found:
        assert x.certificate.holds
        assert certify(x.network, given.cells, given.cell_labels) == x.certificate
        assert x.bits < 16 * numbers
        assert x.bits >= x.precision * x.numbers
    assert found[0].bits < found[-1].bits == max(x.bits for x in found if x.kind == "weights")


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
        say(f"{name} p=59: {x.kind}, {x.numbers} numbers of {x.precision} bits, {x.bits / 1e3:.1f} kbit (a table 20.5)")
    assert found
