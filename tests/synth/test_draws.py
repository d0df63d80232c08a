"""The draws never change, and are what their documentation says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.draws import hashes, integers, permutation, uniforms

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "draws.json").read_text())


def splitmix(state: int) -> int:
    z = state % 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


@given(st.integers(-(2**70), 2**70), st.text(max_size=5), st.integers(0, 2**40))
def test_hashes_are_splitmix64(seed: int, purpose: str, counter: int) -> None:
    state = seed % 2**64
    for byte in purpose.encode():
        state = splitmix(state + 0x9E3779B97F4A7C15 * (byte + 1))
    assert int(hashes(seed, purpose, np.array([counter]))[0]) == splitmix(state + 0x9E3779B97F4A7C15 * (counter + 1))


@pytest.mark.parametrize("entry", GOLDEN["hashes"], ids=lambda x: f"{x['seed']}-{x['purpose']}")
def test_first_values_never_change(entry: dict[str, object]) -> None:
    seed, purpose = int(str(entry["seed"])), str(entry["purpose"])
    assert [f"{x:016x}" for x in hashes(seed, purpose, np.arange(4)).tolist()] == entry["hashes"]
    assert permutation(seed, purpose, 10).tolist() == entry["permutation"]
    assert integers(seed, purpose, np.arange(10), 59).tolist() == entry["integers"]


@given(st.integers(), st.integers(0, 200))
def test_a_permutation_holds_each_index_once(seed: int, size: int) -> None:
    assert sorted(permutation(seed, "x", size).tolist()) == list(range(size))


def test_draws_are_uniform_and_purposes_independent() -> None:
    counters = np.arange(20_000)
    first, second = uniforms(3, "order", counters), uniforms(3, "noise", counters)
    for draws in (first, second):
        assert (draws >= 0).all()
        assert (draws < 1).all()
        # Ten equal cells; chi-square with 9 degrees of freedom, 99.9% below 27.9.
        counts = np.histogram(draws, bins=10, range=(0, 1))[0]
        assert ((counts - 2000) ** 2 / 2000).sum() < 27.9
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.03
    assert abs(np.corrcoef(first[:-1], first[1:])[0, 1]) < 0.03


def test_a_draw_depends_on_its_counter_alone() -> None:
    counters = np.array([[5, 0], [7, 5]])
    draws = integers(1, "x", counters, 1000)
    assert draws[0, 0] == draws[1, 1] == integers(1, "x", np.array([5]), 1000)[0]
    assert set(integers(1, "x", np.arange(2000), 3).tolist()) == {0, 1, 2}
