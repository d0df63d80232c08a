"""Measures on networks whose answer is known by construction, and what they leave out where they do not apply."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from data import data, trained
from hypothesis import given as draws
from hypothesis import strategies as st

from nets.dynamics import Measures, Scene, observe
from nets.models import Architecture, Network, architecture, fresh, normal
from nets.neurons import effective_rank, gini, participation, tuning, units
from nets.portrait import plane, portrait
from nets.recipes import recipe, widths
from nets.train import train
from nets.transitions import jump, transition
from synth.carrier import Residues
from synth.laws import Law, phi

P = 23
KEYS = {2: 1.0, 5: 0.9, 7: 0.8}
LAWFUL = {x.name for x in fields(Measures)} - {
    *("train_loss", "train_accuracy", "test_loss", "test_accuracy", "apart_accuracy", "embedding_rank", "hidden_rank"),
    *("weight_norm", "dead_units", "prunable_units", "code_bits", "code_ratio"),
}


def law(p: int, basis: str = "additive", arity: int = 2) -> Law:
    table = np.arange(p) if basis == "additive" else phi(Residues(p), "dlog")
    return Law.of(Residues(p), basis, (table,) * arity)  # pyright: ignore[reportArgumentType]


def by_hand(p: int, powers: dict[int, float]) -> Network:
    """logits = sum_k w_k cos(2 pi k (a + b - c) / p), each cosine from four products of cosines and sines."""
    left, right, out = [], [], []
    wave = 2 * np.pi * np.arange(p) / p
    for k, w in powers.items():
        c, s = np.cos(k * wave), np.sin(k * wave)
        for u, v, r in ((c, c, w * c), (s, s, -w * c), (s, c, w * s), (c, s, w * s)):
            left.append(u), right.append(v), out.append(10 * r)
    weights = {"U0": np.stack(left, 1), "U1": np.stack(right, 1), "W": np.stack(out)}
    weights |= {"u0": np.zeros((1, len(left))), "u1": np.zeros((1, len(left)))}
    tensors = {name: torch.from_numpy(x.astype(np.float32)) for name, x in weights.items()}
    return Network(architecture("bilinear", p, 2, h=len(left)), tensors)


def scene(p: int, *, target: str = "a + b", fraction: float = 0.5, lawful: bool = True) -> Scene:
    g = data(target, p, fraction, seed=0)
    return Scene(g.inputs, g.labels, g.held_out, g.held_out_labels, law(p) if lawful else None)


def test_a_network_of_three_waves_is_seen_as_such():
    network = by_hand(P, KEYS)
    stage = scene(P).with_keys(network)
    assert set(stage.keys) == set(KEYS)
    seen = observe(network, stage)
    m = seen.measures
    assert m.train_accuracy == m.test_accuracy == m.apart_accuracy == m.law_accuracy == m.law_accepted == 1
    assert m.variance_explained == pytest.approx(1)
    assert m.dominant_share == pytest.approx(1)
    assert m.tuned_units == 1
    assert m.dead_units == 0
    assert m.spectrum_participation == pytest.approx(3)
    assert m.restricted_accuracy == m.kept_accuracy == 1
    assert max(m.excluded_accuracy or 0, m.removed_accuracy or 0) < 0.25
    assert m.excluded_loss == pytest.approx(np.log(P), abs=1e-6)
    assert m.removed_random_accuracy == 1
    assert m.removed_random_energy == pytest.approx(0, abs=1e-9)
    assert m.disturbed_loss is not None
    assert (m.removed_elsewhere or 0) > 0
    assert m.code_ratio is not None
    assert m.code_ratio < 1
    assert seen.power is not None
    assert set(np.flatnonzero(seen.power > 1e-6) + 1) == set(KEYS)


def test_phases_of_made_units_add_up():
    network = by_hand(P, KEYS)
    cells = scene(P).inputs
    found = units(network, cells)
    assert found is not None
    tuned = tuning(network, law(P), cells, found)
    at = tuned.dominant, np.arange(12)
    apart = tuned.phases[at] - tuned.heard[at]
    assert np.allclose(np.cos(apart), 1, atol=1e-6)
    face = portrait(network, law(P), 5, plane(network, law(P), 5), cells, step=3)
    radius = np.hypot(*face.circle.T)
    assert np.allclose(radius, radius[0])
    assert set(face.unit_frequencies) == set(KEYS)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("bilinear", {}),
        ("bilinear", {"shared": 0.5}),
        ("quadratic", {}),
        ("quadratic", {"separate": False}),
        ("relu", {}),
        ("relu", {"separate": True}),
        ("transformer", {}),
        ("transformer", {"separate": True}),
        ("transformer", {"positions": False}),
    ],
)
@pytest.mark.parametrize("arity", [2, 3])
def test_units_are_the_networks_own(name, options, arity):
    network = fresh(architecture(name, 7, arity, **options), 0)
    started = {key: x + 0.1 for key, x in network.weights.items()}  # biases and shared rows start at 0
    network = network.with_weights(started)
    cells = np.stack(np.unravel_index(np.arange(7**arity), (7,) * arity), axis=1)
    found = units(network, cells)
    assert found is not None
    whole = network.logits(cells)
    if name == "transformer":  # less what passes by the units
        whole = whole - network.with_weights({"N": torch.zeros_like(network.weights["N"])}).logits(cells)
    assert np.allclose(found.activity @ found.readout, whole, atol=1e-5)


def test_pruning_takes_the_silent_units_and_no_others():
    network = by_hand(P, KEYS)
    silent = {
        "U0": torch.cat([network.weights["U0"], torch.randn(P, 4)], 1),
        "U1": torch.cat([network.weights["U1"], torch.randn(P, 4)], 1),
        "W": torch.cat([network.weights["W"], torch.zeros(4, P)]),
        "u0": torch.zeros(1, 16),
        "u1": torch.zeros(1, 16),
    }
    network = Network(architecture("bilinear", P, 2, h=16), silent)
    stage = scene(P)
    m = observe(network, stage, code=False).measures
    assert m.dead_units == 4 / 16
    assert 4 / 16 <= (m.prunable_units or 0) < 1


@pytest.mark.parametrize("name", ["bilinear", "quadratic", "relu", "transformer"])
@pytest.mark.parametrize("basis", ["additive", "dlog"])
def test_untrained_networks_show_nothing(name, basis):
    g = data("a * b" if basis == "dlog" else "a + b", P, 0.5, seed=1)
    network = fresh(architecture(name, P, 2), 1)
    stage = Scene(g.inputs, g.labels, g.held_out, g.held_out_labels, law(P, basis)).with_keys(network)
    m = observe(network, stage).measures
    assert all(np.isfinite(x) for x in asdict(m).values() if x is not None)
    assert (m.variance_explained or 0) < 0.1
    assert m.law_accepted == 0
    assert m.tuned_units == 0
    assert (m.code_ratio or 0) > 1


def test_what_does_not_apply_is_left_out():
    network = fresh(architecture("relu", P, 2), 0)
    lawless = asdict(observe(network, scene(P, target="max", lawful=False)).measures)
    assert {name for name, x in lawless.items() if x is None} - {"prunable_units"} == LAWFUL
    everything = observe(network, scene(P, fraction=1.0)).measures
    assert everything.test_loss is None
    assert everything.apart_accuracy is None
    assert everything.variance_explained is None
    assert everything.dominant_share is not None


@dataclass(frozen=True)
class Table(Architecture):
    """A user's own: one logit a cell."""

    name: ClassVar[str] = "table"

    def start(self, generator):
        return {"T": normal(generator, self.size, self.size, scale=1.0)}

    def forward(self, weights, inputs):
        return weights["T"][inputs[0]] + weights["T"][inputs[1]]

    def tables(self):
        return (("T", (0, 1)),)

    def flops(self):
        return 1.0


def test_a_users_own_network_has_no_units_here():
    network = fresh(Table(P, 2), 0)
    m = observe(network, replace(scene(P), keys=(2, 5))).measures
    assert m.hidden_rank is None
    assert m.dominant_share is None
    assert m.variance_explained is not None
    assert m.removed_accuracy is not None


def test_cells_apart_have_no_mirror_among_the_examples():
    stage = scene(11, fraction=0.4)
    known = set(map(tuple, stage.inputs.tolist()))
    cells, _ = stage.held_out_seen
    assert [(b, a) not in known for a, b in cells.tolist()] == stage.apart.tolist()
    assert 0 < stage.apart.sum() < len(cells)


@draws(st.lists(st.floats(0, 1e6), min_size=1, max_size=40).filter(lambda x: max(x) > 1e-3))
def test_indices_of_concentration_have_their_bounds(power):
    array, n = np.array(power), len(power)
    assert -1e-9 <= gini(array) <= 1 - 1 / n + 1e-9
    assert 1 - 1e-9 <= participation(array) <= n + 1e-9


def test_indices_of_concentration_count():
    assert participation(np.array([2.0, 2, 2, 0, 0])) == pytest.approx(3)
    assert gini(np.ones(9)) == pytest.approx(0)
    assert gini(np.array([0.0, 0, 0, 5])) == pytest.approx(3 / 4)
    assert effective_rank([np.eye(9)[:, :4]]) == pytest.approx(4)
    assert effective_rank([np.zeros((3, 3))]) == 0


def test_a_ramp_makes_its_change_where_it_does():
    steps = list(range(0, 2000, 10))
    rising = [min(1.0, max(0.0, (s - 500) / 1000)) for s in steps]
    found = transition(steps, rising, rising)
    assert found.steps == (600, 1000, 1400)
    assert found.correlation == pytest.approx(1)
    falling = transition(steps, [7 - 3 * x for x in rising], rising)
    assert (falling.start, falling.end, falling.least, falling.most) == (7, 4, 4, 7)
    assert falling.steps == (600, 1000, 1400)
    assert falling.correlation == pytest.approx(-1)


def test_no_change_has_no_steps():
    steps = list(range(50))
    assert transition(steps, [0.3] * 50, [0.1] * 50).steps == (None, None, None)
    assert transition(steps, [1.0 + 1e-3 * x / 50 for x in steps], [0.1] * 50).steps == (None, None, None)
    wobbling = [0.5 + 0.4 * (-1) ** x for x in steps]
    assert transition(steps, wobbling, wobbling).steps == (None, None, None)
    assert transition([1, 2, 3], [None, 2.0, None], [0.0, 0.5, 1.0]).steps == (None, None, None)


def test_the_jump_is_told():
    steps = [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]
    trace = {
        "train_accuracy": [0.2, 1.0, *[1.0] * 8],
        "test_accuracy": [0.0, 0.0, 0.2, 0.6, 0.95, *[1.0] * 5],
        "apart_accuracy": [0.0, 0.0, 0.0, 0.1, 0.7, *[1.0] * 5],
        "law_accuracy": [0.0, 1.0, *[1.0] * 8],
        "law_accepted": [1.0, 0.0, *[1.0] * 8],
    }
    found = jump(steps, trace)
    told = {"memorised": 20, "half": 40, "exact": 60, "apart_half": 50, "width": 20, "law": 30, "apart_width": 20}
    assert asdict(found) == told
    never = jump(steps, {"train_accuracy": [0.5] * 10})
    assert set(asdict(never).values()) == {None}


def test_a_trained_relu_network_is_tuned_and_depends_on_its_keys():
    g = data("a + b", 47, 0.5, seed=100)
    network, _ = trained("relu", g, seed=100)
    stage = Scene(g.inputs, g.labels, g.held_out, g.held_out_labels, law(47)).with_keys(network)
    m = observe(network, stage, code=False).measures
    assert (m.test_accuracy or 0) > 0.99
    assert (m.variance_explained or 0) > 0.6
    assert (m.dominant_share or 0) > 0.7
    assert (m.removed_accuracy or 0) < 0.3 < 0.9 < (m.kept_accuracy or 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["relu", "transformer"])
def test_a_delayed_network_ends_as_waves_of_its_key_frequencies_and_nothing_else(name):
    g = data("a + b", 47, 0.4, seed=100)
    kind = architecture(name, 47, 2, **widths(name, 47, 2, len(g.labels), "delayed"))
    *_, last = train(kind, g.inputs, g.labels, recipe("delayed", kind, len(g.labels)), 100, watched=g.cells)
    stage = Scene(g.inputs, g.labels, g.held_out, g.held_out_labels, law(47)).with_keys(last.network)
    m = observe(last.network, stage, code=False).measures
    assert (m.test_accuracy or 0) > 0.99
    assert (m.variance_explained or 0) > 0.85
    assert (m.tuned_units or 0) > {"relu": 0.8, "transformer": 0.5}[name]
    assert max(m.excluded_accuracy or 1, m.removed_accuracy or 1) < 0.12  # at p = 59 it is chance
    assert min(m.removed_random_accuracy or 0, m.kept_accuracy or 0) > 0.98
    assert (m.disturbed_accuracy or 0) > {"relu": 0.98, "transformer": 0.6}[name]  # 14 waves outvote noise, 3 do not
