"""Certificates for fewer operations: never more than is true, and enough for networks as they are trained."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from data import data, trained
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from nets.certificate import certify
from nets.frugal import certify_frugally
from nets.law import read_law
from nets.models import Network, architecture, fresh
from synth.carrier import IntArray, Residues
from synth.laws import Law, phi

KINDS = ["bilinear", "quadratic", "relu", "transformer"]


def grid(p: int, arity: int = 2) -> IntArray:
    return np.stack(np.meshgrid(*[np.arange(p)] * arity, indexing="ij"), axis=-1).reshape(-1, arity)


def said(network: Network, cells: IntArray) -> Law:
    """A law whose tables are whatever; the answers to be proved are the law's, right or wrong."""
    p = network.architecture.size
    return Law.of(Residues(p), "additive", (np.arange(p),) * cells.shape[1])


@settings(max_examples=60, deadline=None)
@for_all(
    st.integers(0, 10**6), st.sampled_from([2, 3, 5, 7]), st.sampled_from(KINDS), st.sampled_from(["additive", "dlog"]),
    st.booleans(), st.floats(0.0, 3.0),
)  # fmt: skip
def test_the_bound_is_never_above_the_narrowest_margin(
    seed: int, p: int, name: str, basis: str, separate: bool, strength: float
) -> None:
    """Random networks, their readout pulled towards some law's answers: some are proved, some are not."""
    rng = np.random.default_rng(seed)
    carrier = Residues(p)
    dlog = basis == "dlog" and p > 2
    tables = (phi(carrier, "dlog"),) * 2 if dlog else tuple(rng.permutation(p) for _ in range(2))
    law = Law.of(carrier, "dlog" if dlog else "additive", tables)
    options = {"separate": separate} if name in ("quadratic", "relu", "transformer") else {"shared": 0.5 * separate}
    network = fresh(architecture(name, p, 2, h=16, **options), seed)
    cells = grid(p)
    if name != "transformer":
        # least squares from the hidden units to the law, to whatever degree
        from nets.neurons import units

        found = units(network, cells)
        assert found is not None
        target = np.eye(p)[law.predict(cells)]
        fitted = np.linalg.lstsq(found.activity.astype(float), target, rcond=None)[0]
        read = network.weights["W"].numpy() + strength * 10 * fitted
        network = network.with_weights({"W": torch.from_numpy(read.astype(np.float32))})
    proved = certify_frugally(network, law, cells)
    true = certify(network, cells, law.predict(cells))
    assert proved.cause == ""
    assert proved.margin <= true.margin + 1e-9
    assert proved.holds == (proved.margin > 0)
    assert not proved.holds or true.holds
    # The narrowest cell is evaluated, unless it was proved by a bound that lies below.
    assert proved.holds or not true.holds or true.margin < 1e-3


@pytest.mark.parametrize(("name", "target", "least"), [
    ("bilinear", "a + b", 2.0), ("quadratic", "a * b", 1.8), ("relu", "a + b", 1.8), ("transformer", "a * b", 1.0),
])  # fmt: skip
def test_networks_as_they_are_trained_are_proved_for_less_than_evaluating_them(
    name: str, target: str, least: float, say: Callable[[str], None]
) -> None:
    given = data(target, 47, 0.7, 100)
    network, _ = trained(name, given, 100)
    reading = read_law(network, Residues(47), given.held_out, given.inputs, given.labels)
    assert reading is not None
    assert isinstance(reading.law, Law)
    found = certify_frugally(network, reading.law, given.cells)
    say(
        f"{name}, {target}, p=47: proved for 1 / {found.saves:.1f} of the operations, {found.evaluated} cells evaluated"
    )
    assert found.holds
    assert found.margin <= certify(network, given.cells, given.cell_labels).margin
    assert found.saves > least
    assert found.evaluated < 0.5 * found.cells


def test_one_wrong_answer_is_refused() -> None:
    p = 31
    given = data("a + b", p, 0.8, 0)
    network, _ = trained("quadratic", given, 0)
    law = Law.of(Residues(p), "additive", (np.arange(p),) * 2)
    assert certify_frugally(network, law, given.cells).holds
    moved = np.arange(p)
    moved[[3, 4]] = [4, 3]
    assert not certify_frugally(network, Law.of(Residues(p), "additive", (moved, np.arange(p))), given.cells).holds


def test_three_inputs_and_a_relabelled_law_have_a_bound() -> None:
    cells = grid(5, 3)
    assert (
        certify_frugally(
            fresh(architecture("relu", 5, 3), 0), said(fresh(architecture("relu", 5, 3), 0), cells), cells
        ).cause
        == ""
    )
    rng = np.random.default_rng(0)
    law = Law(Residues(7), "additive", 7, (rng.permutation(7), rng.permutation(7)), rng.permutation(7))
    assert certify_frugally(fresh(architecture("bilinear", 7, 2), 0), law, grid(7)).cause == ""


def test_what_has_no_bound_says_so() -> None:
    from test_pieces import Mine

    law = Law.of(Residues(13), "additive", (np.arange(13),) * 2)
    assert "the hidden units of Mine are not known" in certify_frugally(fresh(Mine(13, 2), 0), law, grid(13)).cause
    open_law = Law.of(Residues(13), "additive", (np.full(13, -2), np.arange(13)))
    network = fresh(architecture("relu", 13, 2), 0)
    assert certify_frugally(network, open_law, grid(13)).cause == "the law leaves cells open"
    with pytest.raises(ValueError, match="needs some cells"):
        certify_frugally(network, law, grid(13)[:0])


@pytest.mark.slow
@pytest.mark.parametrize("p", [59, 113])
def test_what_proofs_for_less_save(p: int, say: Callable[[str], None]) -> None:
    given = data("a + b", p, 0.5, 0)
    law = Law.of(Residues(p), "additive", (np.arange(p),) * 2)
    for name in KINDS if p == 59 else ("bilinear", "relu"):
        found = certify_frugally(trained(name, given, 0)[0], law, given.cells)
        say(
            f"{name} p={p}: proved for 1 / {found.saves:.1f} of the operations, "
            f"{found.evaluated} of {found.cells} cells evaluated"
        )
        assert found.holds


def test_laws_and_cells_of_another_network_are_told_and_so_are_weights_that_are_no_numbers() -> None:
    network, law = fresh(architecture("relu", 13, 2), 0), Law.of(Residues(13), "additive", (np.arange(13),) * 2)
    other = Law.of(Residues(7), "additive", (np.arange(7),) * 2)
    with pytest.raises(ValueError, match="wants a law of 2 inputs of 13 elements, as the network, got one of 2 of 7"):
        certify_frugally(network, other, grid(13))
    with pytest.raises(ValueError, match=r"wants a law of 2 inputs .* got one of 3 of 13"):
        certify_frugally(network, said(network, grid(13, 3)), grid(13))
    with pytest.raises(ValueError, match=r"cells of 2 elements in 0\.\.12, got 2 in 0\.\.14"):
        certify_frugally(network, law, grid(15))
    broken = network.with_weights({"W": torch.full_like(network.weights["W"], float("nan"))})
    found = certify_frugally(broken, law, grid(13))
    assert (found.holds, found.cause) == (False, "weights that are no finite numbers")
