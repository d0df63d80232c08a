"""Circles, waves and phases: known in networks made by hand, and as the literature has them in trained ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from data import data, trained

from nets.law import read_law
from nets.mechanism import mechanism
from nets.models import Architecture, Network, architecture, fresh
from nets.waves import circles, turn, waves
from synth.carrier import Residues
from synth.laws import Law, phi

P = 31


def law_of(basis: str) -> Law:
    carrier = Residues(P)
    if basis == "dlog":
        return Law.of(carrier, "dlog", (phi(carrier, "dlog"), phi(carrier, "dlog")))
    return Law.of(carrier, "additive", (np.arange(P), 2 * np.arange(P) % P))


def made(kind: Architecture, law: Law, rng: np.random.Generator) -> tuple[Network, np.ndarray, np.ndarray, np.ndarray]:
    """Units with random frequencies and phases, and readouts in phase: the algorithm of the literature."""
    h = int(getattr(kind, "h", 0))
    k = rng.integers(1, 6, h)
    one, two = rng.uniform(-np.pi, np.pi, (2, h))
    classes = np.full(P, -1)
    classes[law.decode] = np.arange(law.order)
    w = 2 * np.pi * k / law.order

    def wave(table: np.ndarray, phase: np.ndarray) -> torch.Tensor:
        return torch.from_numpy((np.cos(np.outer(table, w) + phase) * (table >= 0)[:, None]).astype(np.float32))

    weights = dict(fresh(kind, 0).weights)
    weights |= {"U0": wave(law.tables[0], one), "U1": wave(law.tables[1], two), "W": wave(classes, one + two).T}
    return Network(kind, weights), k, one, two


@pytest.mark.parametrize("basis", ["additive", "dlog"])
@pytest.mark.parametrize("name", ["bilinear", "quadratic", "relu"])
def test_the_waves_of_units_made_by_hand_are_found(name: str, basis: str) -> None:
    options = {"separate": True} if name == "relu" else {}
    law = law_of(basis)
    network, k, one, two = made(architecture(name, P, 2, h=200, **options), law, np.random.default_rng(0))
    found = waves(network, law)
    np.testing.assert_array_equal(found.frequency, k)
    assert np.abs(turn(found.phase_a - one)).max() < 1e-4
    assert np.abs(turn(found.phase_b - two)).max() < 1e-4
    assert found.off.max() < 1e-4
    assert found.agrees.all()
    assert found.share.min() > 0.999
    np.testing.assert_allclose(found.amplitude_a, 1, atol=1e-5)
    # cos x cos y is half of cos(x + y) and half of cos(x - y); a square of a sum has twice that product
    expected = {"bilinear": 0.5, "quadratic": 1.0}.get(name)
    if expected is not None:
        np.testing.assert_allclose(found.of_sum, expected, atol=1e-4)
        np.testing.assert_allclose(found.of_difference, expected, atol=1e-4)
    else:
        assert found.of_sum.min() > 0.1


def test_tokens_made_to_lie_on_circles_do() -> None:
    law = law_of("dlog")
    rng = np.random.default_rng(0)
    wave = 2 * np.pi / law.order * law.tables[0][1:]
    rows = np.zeros((P, 40))
    for k, radius in ((3, 2.0), (7, 1.0)):
        plane = np.linalg.qr(rng.normal(size=(40, 2)))[0].T
        rows[1:] += radius * np.stack([np.cos(k * wave), np.sin(k * wave)], 1) @ plane
    kind = architecture("quadratic", P, 2, h=40)
    table = torch.from_numpy(rows.astype(np.float32))
    network = Network(kind, {**fresh(kind, 0).weights, "U0": table, "U1": table})
    found = {(x.table, x.frequency): x for x in circles(network, law, [3, 7, 5])}
    assert found["U0", 3].off < 0.05
    assert found["U1", 7].off < 0.3
    assert found["U0", 3].share > 0.7 > 0.1 > found["U0", 5].share
    assert np.isnan(found["U0", 3].angles[0])
    assert found["U0", 3].radii[1:].mean() == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("name", ["bilinear", "quadratic", "relu", "transformer"])
def test_the_phases_of_grokked_units_add_up(name: str, say: Callable[[str], None]) -> None:
    given = data("a + b", 47, 0.7, 100)
    network, _ = trained(name, given, 100)
    law = Law.of(Residues(47), "additive", (np.arange(47), np.arange(47)))
    found = waves(network, law)
    say(f"{name}: |phi_out - phi_a - phi_b| median {np.median(found.off):.3f} rad over {len(found.off)} units")
    assert np.median(found.off) < 0.25
    assert len(found.off) > 0.5 * len(found.frequency)
    assert np.median(found.share) > 0.6
    assert np.median(waves(fresh(network.architecture, 0), law).share) < 0.3, "an untrained network has no such waves"


def test_random_phases_do_not_add_up() -> None:
    law = law_of("additive")
    kind = architecture("relu", P, 2, h=400, separate=True)
    found = waves(fresh(kind, 0), law)
    assert np.median(found.off) == pytest.approx(np.pi / 2, abs=0.3)


def test_clock_and_pizza_at_their_extremes() -> None:
    given = data("a + b", 47, 0.7, 100)
    law = Law.of(Residues(47), "additive", (np.arange(47), np.arange(47)))
    rng = np.random.default_rng(0)
    adding = mechanism(trained("relu", given, 100)[0], law, rng)
    assert adding.symmetricity == pytest.approx(1.0, abs=1e-4), "sums of rows of one table cannot tell them apart"
    multiplying = mechanism(trained("bilinear", given, 100)[0], law, rng)
    assert np.isnan(multiplying.symmetricity)
    assert multiplying.irrelevance > 0.9
    assert np.isnan(multiplying.unattending)
    attending = mechanism(trained("transformer", given, 100, "sparse")[0], law, rng)
    assert attending.symmetricity < 0.9
    assert 0 <= attending.unattending <= 1


def test_rows_of_two_tables_are_compared_as_rows_of_one_would_be() -> None:
    one = fresh(architecture("transformer", P, 2), 0)
    apart = Network(
        architecture("transformer", P, 2, separate=True),
        {**{x: y for x, y in one.weights.items() if x != "E"}, "E0": one.weights["E"], "E1": one.weights["E"]},
    )
    law = law_of("additive")
    said = [mechanism(x, law, np.random.default_rng(0)).symmetricity for x in (one, apart)]
    assert said[0] == pytest.approx(said[1], abs=1e-5)
    assert -1 <= said[0] < 1


def test_what_has_no_two_inputs_is_refused() -> None:
    law = Law.of(Residues(P), "additive", (np.arange(P),))
    network = fresh(architecture("bilinear", P, 1), 0)
    with pytest.raises(ValueError, match="two inputs, got 1"):
        waves(network, law)
    with pytest.raises(ValueError, match="two inputs, got 1"):
        mechanism(network, law, np.random.default_rng(0))


@pytest.mark.slow
def test_phases_of_relu_networks_at_p_59(say: Callable[[str], None]) -> None:
    """Trained to the end of the schedule: the phases go on settling long after the last answer has."""
    medians: list[float] = []
    for seed in range(5):
        given = data("a + b", 59, 0.5, seed)
        network, _ = trained("relu", given, seed, settle=0.0)
        reading = read_law(network, Residues(59), given.held_out, given.inputs, given.labels)
        assert reading is not None
        if reading.accepted and reading.agreement >= 0.99:
            medians.append(float(np.median(waves(network, reading.law).off)))
    say(f"relu, p = 59: |phi_out - phi_a - phi_b| medians {' '.join(f'{x:.3f}' for x in medians)} rad")
    assert len(medians) >= 3
    assert np.median(medians) < 0.1
