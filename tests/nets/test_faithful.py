"""What ties a law to a network: exact on networks made by hand, strong on trained ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from data import data, trained

from nets.bilinear import Bilinear
from nets.faithful import DRAWS, disturbed, filtered, random_others, ties
from nets.keys import key_frequencies
from nets.models import FloatArray, Network, fresh
from nets.profile import profile
from synth.carrier import IntArray, Residues
from synth.laws import Law, phi


def addition(p: int) -> Law:
    table = np.arange(p)
    return Law.of(Residues(p), "additive", (table, table))


def multiplication(p: int) -> Law:
    table = phi(Residues(p), "dlog")
    return Law.of(Residues(p), "dlog", (table, table))


def grid(p: int) -> IntArray:
    return np.stack(np.meshgrid(np.arange(p), np.arange(p), indexing="ij"), axis=-1).reshape(-1, 2)


def by_hand(p: int, powers: dict[int, float]) -> Network:
    """logits = sum_k w_k cos(2 pi k (a + b - c) / p), each cosine from four products of cosines and sines."""
    U, V, W = [], [], []
    wave = 2 * np.pi * np.arange(p) / p
    for k, w in powers.items():
        c, s = np.cos(k * wave), np.sin(k * wave)
        for left, right, out in ((c, c, w * c), (s, s, -w * c), (s, c, w * s), (c, s, w * s)):
            U.append(left), V.append(right), W.append(out)
    kind = Bilinear(p, 2, h=len(U))
    weights = {"U0": np.stack(U, 1), "U1": np.stack(V, 1), "W": np.stack(W)}
    tensors = {name: torch.from_numpy(x.astype(np.float32)) for name, x in weights.items()}
    return Network(kind, {**fresh(kind, 0).weights, **tensors})


def test_a_function_of_the_law_alone_is_explained_in_full() -> None:
    p, cells = 23, grid(23)
    network = by_hand(p, {3: 1.0, 5: 0.5})
    assert profile(addition(p), cells, network.logits(cells)).explained == pytest.approx(1.0, abs=1e-6)


def test_zero_factors_are_explained_apart() -> None:
    p, cells, law = 23, grid(23), multiplication(23)
    logits = np.eye(p, dtype=np.float32)[cells[:, 0] * cells[:, 1] % p]
    assert profile(law, cells, logits).explained == pytest.approx(1.0, abs=1e-6)
    assert profile(addition(p), cells, logits).explained < 0.2


def test_noise_is_not_explained() -> None:
    p, cells = 23, grid(23)
    noise: FloatArray = np.random.default_rng(0).normal(size=(len(cells), p)).astype(np.float32)
    assert profile(addition(p), cells, noise).explained < 0.01


def test_filters_keep_and_remove_what_they_name() -> None:
    p, cells, law = 23, grid(23), addition(23)
    both, three, five = by_hand(p, {3: 1.0, 5: 0.5}), by_hand(p, {3: 1.0}), by_hand(p, {5: 0.5})
    np.testing.assert_allclose(filtered(both, law, [3], keep=True).logits(cells), three.logits(cells), atol=1e-4)
    np.testing.assert_allclose(filtered(both, law, [3], keep=False).logits(cells), five.logits(cells), atol=1e-4)
    np.testing.assert_allclose(filtered(both, law, [7], keep=False).logits(cells), both.logits(cells), atol=1e-4)


def test_a_grokked_transformer_stands_on_few_frequencies_and_falls_without_them() -> None:
    given = data("a + b", 53, 0.6, 0)
    network, _ = trained("transformer", given, 0)
    found = ties(network, addition(53), given.held_out, np.random.default_rng(0))
    accuracy = {
        name: (x.predict(given.held_out) == given.held_out_labels).mean()
        for name, x in (("keep", found.keep_only), ("remove", found.remove_only), ("random", found.remove_random))
    }
    assert found.variance_explained > 0.8
    assert len(found.keys) <= 15, "of 26"
    assert accuracy["keep"] > 0.95
    assert accuracy["remove"] < 0.3
    assert accuracy["random"] > 0.9
    assert 0 < found.key_energy <= 1
    assert len(found.disturbed) == DRAWS
    assert all((x.predict(given.held_out) == given.held_out_labels).mean() > 0.5 for x in found.disturbed)


def test_equal_energy_elsewhere_changes_less_than_the_keys() -> None:
    given = data("a + b", 53, 0.6, 0)
    network, _ = trained("quadratic", given, 0)
    law, keys = addition(53), key_frequencies(addition(53), given.held_out, network.logits(given.held_out))[:20]
    noisy, gone = disturbed(network, law, keys, np.random.default_rng(0)), filtered(network, law, keys, keep=False)
    assert noisy is not None

    def changed(other: Network) -> float:
        return sum(float((other.weights[name] - network.weights[name]).square().sum()) for name in ("U0", "U1"))

    def right(other: Network) -> float:
        return float((other.predict(given.held_out) == given.held_out_labels).mean())

    assert changed(noisy) == pytest.approx(changed(gone), rel=1e-4)
    alone, still = (filtered(x, law, keys, keep=True).logits(given.held_out) for x in (noisy, network))
    np.testing.assert_allclose(alone, still, atol=1e-3, err_msg="the keys are as they were")
    assert right(noisy) > right(gone) + 0.2


def test_without_others_there_is_no_control() -> None:
    law, every, rng = addition(7), [1, 2, 3], np.random.default_rng(0)
    network = fresh(Bilinear(7, 2), 0)
    assert disturbed(network, law, every, rng) is None
    assert random_others(dict.fromkeys(every, 1.0), every, rng) == []
    assert random_others(dict.fromkeys(every, 1.0), [1, 2], rng) == [], "one alone is all that the keys leave"
    assert len(random_others(dict.fromkeys(range(1, 9), 1.0), [1, 2], rng)) == 2
    assert len(random_others({1: 1.0, 2: 1.0, **dict.fromkeys(range(3, 9), 3.0)}, [1, 2], rng)) == 1


def test_an_untrained_network_is_not_explained() -> None:
    cells = grid(37)
    network = fresh(Bilinear(37, 2), 0)
    assert profile(addition(37), cells, network.logits(cells)).explained < 0.01
