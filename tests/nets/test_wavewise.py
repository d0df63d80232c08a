"""Margins bounded wave by wave: never above the true ones, and enough for a proof where units have become waves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from data import data
from hypothesis import given, settings
from hypothesis import strategies as st

from nets.certificate import certify
from nets.models import Network, architecture, fresh
from nets.recipes import recipe, widths
from nets.train import train
from nets.wavewise import certify_by_waves
from synth.carrier import Residues
from synth.laws import Law, phi


def grid(p: int) -> np.ndarray:
    return np.stack(np.meshgrid(np.arange(p), np.arange(p), indexing="ij"), axis=-1).reshape(-1, 2)


def nearly(name: str, law: Law, h: int, noise: float, rng: np.random.Generator, separate: bool = True) -> Network:
    """Units that are waves in phase with the law, and noise on top."""
    p = law.order
    k, one, two = rng.integers(1, p // 2 + 1, h), rng.uniform(-np.pi, np.pi, h), rng.uniform(-np.pi, np.pi, h)
    w = 2 * np.pi * k / p
    classes = np.argsort(law.decode)
    options: dict[str, float] = {"h": h} | ({"separate": separate} if name == "quadratic" else {})
    kind = architecture(name, p, 2, **options)

    def table(x: np.ndarray, phase: np.ndarray) -> torch.Tensor:
        return torch.from_numpy((np.cos(np.outer(x, w) + phase) + noise * rng.normal(size=(p, h))).astype(np.float32))

    weights = dict(fresh(kind, 0).weights)
    weights["U0"] = table(law.tables[0], one)
    if separate:
        weights["U1"] = table(law.tables[1], two)
    weights["W"] = table(classes, one + (two if separate else one)).T
    return Network(kind, weights)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6), st.sampled_from([5, 7, 8, 11]), st.integers(1, 60), st.sampled_from([0.0, 0.02, 0.3, 3.0]),
    st.sampled_from(["bilinear", "quadratic"]), st.booleans(),
)  # fmt: skip
def test_the_bound_is_never_above_the_narrowest_margin(
    seed: int, p: int, h: int, noise: float, name: str, separate: bool
) -> None:
    rng = np.random.default_rng(seed)
    separate = separate or name == "bilinear"
    f = rng.permutation(p)
    law = Law(Residues(p), "additive", p, (f, rng.permutation(p) if separate else f), rng.permutation(p))
    network = nearly(name, law, h, noise, rng, separate)
    found = certify_by_waves(network, law)
    cells = grid(p)
    true = certify(network, cells, law.predict(cells))
    assert found.margin <= true.margin + 1e-9
    assert found.holds == (found.margin > 0)
    if found.holds:
        assert true.holds


@pytest.mark.parametrize("name", ["bilinear", "quadratic"])
def test_waves_in_phase_are_proved_without_evaluating_them(name: str) -> None:
    p = 37
    law = Law.of(Residues(p), "additive", (np.arange(p), 5 * np.arange(p) % p))
    found = certify_by_waves(nearly(name, law, 1500, 0.01, np.random.default_rng(0)), law)
    assert found.holds
    assert found.operations < found.evaluating / 2
    parts = found.waves + found.first + found.higher + found.alone + found.rounding
    assert found.share == pytest.approx(parts, rel=1e-6)


def test_what_has_no_bound_says_so() -> None:
    p = 11
    law = Law.of(Residues(p), "additive", (np.arange(p), np.arange(p)))
    found = certify_by_waves(fresh(architecture("relu", p, 2), 0), law)
    assert (found.holds, found.cause) == (False, "no bound by waves for relu of 2 inputs")
    logs = Law.of(Residues(p), "dlog", (phi(Residues(p), "dlog"),) * 2)
    assert "without a class" in certify_by_waves(fresh(architecture("bilinear", p, 2), 0), logs).cause
    assert not certify_by_waves(fresh(architecture("bilinear", p, 2), 0), law).holds


@pytest.mark.parametrize(("name", "p"), [("bilinear", 31), pytest.param("bilinear", 59, marks=pytest.mark.slow)])
def test_a_network_trained_on_past_grokking_is_proved_by_its_waves(
    name: str, p: int, say: Callable[[str], None]
) -> None:
    taught = data("a + b", p, 0.6, 0)
    kind = architecture(name, p, 2, **widths(name, p, 2, len(taught.labels)))
    plan = recipe("fast", kind, len(taught.labels), settle=0.0, steps=1000)
    *_, point = train(kind, taught.inputs, taught.labels, plan, 0, watched=taught.cells)
    law = Law.of(Residues(p), "additive", (np.arange(p), np.arange(p)))
    found = certify_by_waves(point.network, law)
    say(
        f"{name} p={p}: bounds take {found.share:.2f} of the margin (waves {found.waves:.2f}, first order "
        f"{found.first:.2f}, higher {found.higher:.2f}); operations: 1 / {found.evaluating / found.operations:.1f}"
    )
    assert found.holds
    assert found.margin <= certify(point.network, taught.cells, taught.cell_labels).margin
