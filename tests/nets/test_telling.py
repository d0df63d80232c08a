"""An algorithm tells the answers apart that the examples leave open; to rule out what was seen does not."""

from __future__ import annotations

import numpy as np
from controls import eliminating
from data import data, trained

from nets.law import read_law
from nets.telling import TELLS, tells
from synth.carrier import Residues
from synth.laws import Law

ADDING = Law.of(Residues(37), "additive", (np.arange(37), np.arange(37)))


def test_a_list_of_what_is_left_tells_nothing() -> None:
    for seed in range(5):
        given = data("a + b", 37, 0.85, seed)
        scores = eliminating(given, jointly=True)
        assert tells(ADDING, given.held_out, scores, given.inputs, given.labels) < 1e-6
        noise = 0.02 * np.random.default_rng(seed).normal(size=scores.shape).astype(np.float32)
        assert abs(tells(ADDING, given.held_out, scores + noise, given.inputs, given.labels)) < TELLS


def test_a_network_tells_long_before_it_is_right() -> None:
    given = data("a + b", 37, 0.5, 0)
    _, points = trained("bilinear", given, 0)
    network = points[-1].network
    assert tells(ADDING, given.held_out, network.logits(given.held_out), given.inputs, given.labels) > 5 * TELLS
    found = read_law(network, Residues(37), given.held_out, given.inputs, given.labels)
    assert found is not None
    assert found.accepted


def test_nothing_else_open_is_nothing_told() -> None:
    given = data("a + b", 37, 0.5, 0)
    scores = np.zeros((1, 37), dtype=np.float32)
    assert tells(ADDING, given.held_out[:1], scores, given.inputs, given.labels) == 0
