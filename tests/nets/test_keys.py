"""Key frequencies: those of a made network and no others, none of noise; and chance among structured leftovers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given as draws
from hypothesis import strategies as st

from nets.cycles import Cycles
from nets.keys import NOISIEST, OTHERS, elsewhere, key_frequencies, key_waves, other_combinations
from nets.profile import profile
from synth.carrier import IntArray, Residues
from synth.laws import Law, phi


def law(p: int, basis: str = "additive", arity: int = 2) -> Law:
    table = np.arange(p) if basis == "additive" else phi(Residues(p), "dlog")
    return Law.of(Residues(p), basis, (table,) * arity)  # pyright: ignore[reportArgumentType]


def grid(p: int, arity: int = 2) -> IntArray:
    return np.stack(np.unravel_index(np.arange(p**arity), (p,) * arity), axis=1)


def cosines(p: int, cells: IntArray, powers: dict[int, float], coefficients: tuple[int, ...] = (1, 1)):
    """sum of w cos(2 pi k (u a + v b - c) / p), shape (n, p)."""
    off = (cells @ np.array(coefficients))[:, None] - np.arange(p)
    return sum(w * np.cos(2 * np.pi * k * off / p) for k, w in powers.items())


@pytest.mark.parametrize(("p", "arity"), [(23, 2), (24, 2), (11, 3)])
def test_the_keys_of_waves_in_noise_are_those_that_stand_above_it(p, arity):
    cells = grid(p, arity)
    rng = np.random.default_rng(0)
    powers = {2: 1.0, 5: 0.2, 3: 0.5, 4: 0.0005}  # the last is far below the noise
    scores = cosines(p, cells, powers, (1,) * arity) + rng.normal(size=(len(cells), p))
    assert key_frequencies(law(p, arity=arity), cells, scores.astype(np.float32)) == [2, 3, 5]


def test_what_a_network_knows_of_another_combination_is_no_noise():
    cells, rng = grid(23), np.random.default_rng(0)
    scores = cosines(23, cells, {2: 1.0, 5: 0.2}) + cosines(23, cells, {7: 3.0}, (1, -1))
    scores = (scores + rng.normal(size=scores.shape)).astype(np.float32)
    assert key_frequencies(law(23), cells, scores) == [2, 5]


def test_products_have_keys_in_their_own_basis():
    cells, rng = grid(23), np.random.default_rng(0)
    scores = 4.0 * np.eye(23)[cells.prod(axis=1) % 23] + rng.normal(size=(len(cells), 23))
    scores = scores.astype(np.float32)
    assert set(key_frequencies(law(23, "dlog"), cells, scores)) == set(range(1, 12))
    assert len(key_frequencies(law(23), cells, scores)) <= 2


@draws(st.integers(0, 30))
def test_noise_has_hardly_any_keys(seed):
    cells, rng = grid(13), np.random.default_rng(seed)
    scores = rng.normal(size=(len(cells), 13)).astype(np.float32)
    assert len(key_frequencies(law(13), cells, scores)) <= 2
    assert key_frequencies(law(13), cells, 0 * scores) == []


def test_one_input_has_no_other_combinations():
    cells, rng = grid(13, 1), np.random.default_rng(0)
    assert other_combinations(Cycles.of(law(13, arity=1)), rng, 3) == []
    scores = cosines(13, cells, {2: 1.0, 5: 0.2}, (1,)).astype(np.float32)
    assert key_frequencies(law(13, arity=1), cells, scores) == [2, 5]


@draws(st.integers(2, 12), st.integers(0, 100))
def test_waves_of_all_frequencies_are_the_class_means(order, seed):
    rng = np.random.default_rng(seed)
    total = np.concatenate([np.arange(order), rng.integers(0, order, 20)])
    scores = rng.normal(size=(len(total), 3))
    waves = key_waves(scores, total, order, range(1, order // 2 + 1))
    means = np.stack([scores[total == t].mean(axis=0) for t in range(order)])
    assert np.allclose(waves, means - means.mean(axis=0))
    again = key_waves(waves[total], total, order, range(1, order // 2 + 1))
    assert np.allclose(again, waves)


@pytest.mark.parametrize("p", [11, 12])
def test_displaced_waves_have_the_same_energy(p):
    cells = grid(p)
    waves = np.random.default_rng(0).normal(size=p)
    for (other,) in (x.T for x in other_combinations(Cycles.of(law(p)), np.random.default_rng(0), 5)):
        moved = waves[cells @ other % p]
        assert np.sort(moved) == pytest.approx(np.sort(waves[cells.sum(axis=1) % p]))
        assert not np.allclose(np.diff(other), 0)


def test_leftovers_hit_other_answers_as_often_as_they_are_off_by_one_amount():
    p, cells, rng = 13, grid(13), np.random.default_rng(0)
    total = cells.sum(axis=1)
    assert elsewhere(law(p), cells, total % p) == 0
    off = np.where(rng.random(len(cells)) < 0.3, 4, 0)
    assert elsewhere(law(p), cells, (total + off) % p) == pytest.approx((off == 4).mean())
    products = cells.prod(axis=1) % p
    assert elsewhere(law(p, "dlog"), cells, products) == 0
    usual = (cells > 0).all(axis=1)
    assert elsewhere(law(p, "dlog"), cells, products * 2 % p) == pytest.approx(usual.mean())


def test_the_profile_of_the_key_waves_is_what_they_explain():
    p, cells = 23, grid(23)
    scores = cosines(p, cells, {2: 1.0, 5: 0.5})
    waves = key_waves(scores, cells.sum(axis=1) % p, p, [2])[cells.sum(axis=1) % p]
    assert key_frequencies(law(p), cells, (scores - waves).astype(np.float32)) == [5]


@draws(st.integers(0, 100), st.sampled_from([(13, "additive"), (12, "additive"), (13, "dlog")]))
def test_keys_are_the_frequencies_of_the_profile_above_that_of_other_combinations(seed, kind):
    p, basis = kind
    rng, one = np.random.default_rng(seed), law(p, basis)
    cells = grid(p)[rng.random(p * p) < 0.7]
    scores = (cosines(p, cells, {2: 0.3, 5: 0.1}) + rng.normal(size=(len(cells), p))).astype(np.float32)

    def energies(combination):
        tables = [np.where(x >= 0, x * u % one.order, x) for x, u in zip(one.tables, combination, strict=True)]
        found = np.abs(np.fft.rfft(profile(replace(one, tables=tuple(tables)), cells, scores).classes)[1:]) ** 2
        k = np.arange(1, len(found) + 1)
        other = combination[0] == combination[1] or (k * (combination[0] - combination[1]) % one.order != 0)
        return np.where(2 * k == one.order, 1, 2) * found * other

    others = [x[:, 0] for x in other_combinations(Cycles.of(one), np.random.default_rng(0), OTHERS)]
    own, floor = energies((1, 1)), np.quantile([energies(x).max() for x in others], NOISIEST)
    assert key_frequencies(one, cells, scores) == [k + 1 for k in np.argsort(-own) if own[k] > floor]
