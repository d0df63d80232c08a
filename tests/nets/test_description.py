"""Laws of the two-part codes: they are codes, and they tell structure from its absence."""

from __future__ import annotations

from itertools import product
from math import log2

import numpy as np
import pytest
import torch
from data import data, trained
from hypothesis import given
from hypothesis import strategies as st

from nets.description import (
    BASES,
    GRID,
    adaptive_bits,
    folded,
    labels_bits,
    lookup_bits,
    orthonormal,
    two_part_code,
)
from nets.models import architecture, fresh
from synth.integers import delta_bits

P = 61


@pytest.fixture(scope="module", params=["bilinear", "quadratic"])
def grokked(request):
    given = data("a + b", P, 0.5, seed=100)
    network, _ = trained(request.param, given, seed=100)
    return network, given


@given(st.lists(st.integers(-3, 3), max_size=30))
def test_adaptive_code_is_the_product_of_its_predictions(symbols):
    bits, counts = 0.0, dict.fromkeys(range(-3, 4), 0)
    for seen, x in enumerate(symbols):
        bits -= log2((counts[x] + 0.5) / (seen + 3.5))
        counts[x] += 1
    assert adaptive_bits(np.array(symbols, dtype=np.int64), 3) == pytest.approx(bits, abs=1e-9)


def test_integer_code_obeys_kraft():
    assert sum(2.0 ** -delta_bits(n) for n in range(1, 1 << 14)) < 1
    assert [delta_bits(n) for n in (1, 2, 3, 4, 7, 8, 16)] == [1, 4, 4, 5, 5, 8, 9]


def test_labels_code_obeys_kraft():
    logits = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    mass = sum(2.0 ** -labels_bits(logits, np.array(labels)) for labels in product(range(3), repeat=4))
    assert 0.5 < mass <= 1 + 1e-9


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("size", [2, 7, 12, 13])
def test_bases_are_orthonormal(basis, size):
    if basis == "dlog" and size == 12:
        with pytest.raises(ValueError, match="prime"):
            orthonormal(basis, size)
        return
    vectors = orthonormal(basis, size)
    assert vectors.shape == (size, size)
    assert np.allclose(vectors.T @ vectors, np.eye(size), atol=1e-9)


def test_unknown_basis_is_named():
    with pytest.raises(ValueError, match="'fourier'"):
        orthonormal("fourier", 7)  # pyright: ignore[reportArgumentType]


def test_structure_costs_less_than_half_of_the_table(grokked):
    network, given = grokked
    table = lookup_bits(len(given.labels), P)
    code = two_part_code(network, given.inputs, given.labels)
    assert code.bits < 0.5 * table
    quick = two_part_code(network, given.inputs, given.labels, thorough=False)
    assert code.bits <= quick.bits < 0.5 * table
    assert (quick.network.predict(given.held_out) == given.held_out_labels).mean() > 0.8
    for step in code.steps.values():
        assert GRID * log2(step) == pytest.approx(round(GRID * log2(step)))


@pytest.mark.parametrize("basis", ["standard", "random"])
def test_other_bases_never_beat_the_table(grokked, basis):
    network, given = grokked
    assert two_part_code(network, given.inputs, given.labels, basis).bits > lookup_bits(len(given.labels), P)


@pytest.mark.parametrize("basis", ["standard", "additive", "dlog"])
def test_random_labels_never_beat_the_table(basis):
    given = data("a + b", P, 0.3, seed=100)
    given = given.relabelled(np.random.default_rng(100).integers(0, P, len(given.labels)))
    network, points = trained("quadratic", given, seed=100, decay=0.5, rate=0.01, steps=300)
    assert points[-1].accuracy > 0.99
    code = two_part_code(network, given.inputs, given.labels, basis, thorough=False)
    assert code.bits > lookup_bits(len(given.labels), P)


def test_products_are_short_by_discrete_logarithms_only():
    given = data("a * b", P, 0.5, seed=101)
    network, _ = trained("bilinear", given, seed=101)
    table = lookup_bits(len(given.labels), P)
    assert two_part_code(network, given.inputs, given.labels, "dlog", thorough=False).bits < 0.5 * table
    assert two_part_code(network, given.inputs, given.labels, "additive", thorough=False).bits > 0.9 * table


def test_folding_keeps_the_function():
    given = data("a + b", 11, 0.5, seed=0)
    network = fresh(architecture("relu", 11, 2, d=5, h=7), 0)
    assert np.allclose(folded(network).logits(given.cells), network.logits(given.cells), atol=1e-5)
    other = fresh(architecture("quadratic", 11, 2), 0)
    assert folded(other) is other


def test_a_network_of_zeros_costs_its_header_alone():
    given = data("a + b", 11, 0.5, seed=0)
    network = fresh(architecture("quadratic", 11, 2, h=4), 0)
    network = network.with_weights({name: torch.zeros_like(x) for name, x in network.weights.items()})
    code = two_part_code(network, given.inputs, given.labels)
    assert code.weights_bits == 0
    assert code.nonzero == 0
    assert code.labels_bits == labels_bits(network.logits(given.inputs), given.labels)
