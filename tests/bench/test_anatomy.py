"""The anatomy's rows: what the tables of a network's pieces, units and tokens hold."""

from __future__ import annotations

import pickle
from collections.abc import Sequence

import numpy as np
import pytest

from bench.anatomy import KINDS, Anatomy, anatomy_rows, dissect, tokens_rows, units_rows
from nets.models import architecture, fresh
from synth.carrier import Residues
from synth.laws import Law, phi

P = 13


def anatomy(name: str, arity: int = 2, keys: Sequence[int] = (3, 5)) -> tuple[Anatomy, Law]:
    table = phi(Residues(P), "dlog")
    law = Law.of(Residues(P), "dlog", (table,) * arity)
    cells = np.random.default_rng(0).integers(0, P, (80, arity))
    network = fresh(architecture(name, P, arity), 0)
    return dissect(network, law, cells, law.predict(cells), 0, cells, keys=keys), law


@pytest.mark.parametrize("name", ["bilinear", "transformer"])
def test_rows_are_of_one_shape_and_survive_the_way_between_processes(name: str) -> None:
    found, law = anatomy(name)
    found = pickle.loads(pickle.dumps(found))
    rows = list(anatomy_rows(found))
    assert {tuple(x) for x in rows} == {tuple(rows[0])}
    assert (rows[0]["piece"], rows[0]["ablation"], rows[0]["accuracy_change"]) == ("network", "none", 0.0)
    assert rows[0]["key_frequencies"] == "3 5"
    assert (rows[0]["gradient_symmetricity"] is None) is (name == "bilinear"), "its inputs share no table"
    for row in rows:
        assert row["accuracy"] - row["accuracy_change"] == pytest.approx(found.accuracy)
        assert row["loss"] - row["loss_change"] == pytest.approx(found.loss)
    assert len({(x["piece"], x["ablation"]) for x in rows}) == len(rows)
    assert all(rows[0][f"certified_bits_{kind}"] is None for kind in KINDS), "an untrained network is not the law"
    many = list(units_rows(found))
    assert [x["unit"] for x in many] == list(range(len(many)))
    assert all(1 <= x["frequency"] <= law.order // 2 for x in many)
    tokens = list(tokens_rows(found))
    assert len(tokens) == len(found.circles) * (P - 1), "0 has no class"
    assert {x["frequency"] for x in tokens} == {3, 5}
    assert all(-np.pi < x["expected_angle"] <= np.pi for x in tokens)


def test_a_kind_of_description_has_a_column() -> None:
    from nets.coarse import KINDS as described

    assert described == KINDS


def test_what_two_inputs_are_needed_for_is_left_out_of_three() -> None:
    found, _ = anatomy("relu", 3)
    assert list(units_rows(found)) == []
    first, *rest = anatomy_rows(found)
    assert first["distance_irrelevance"] is None
    assert {x["piece"] for x in rest} == {"E", "W", "units"}


@pytest.mark.parametrize("name", ["bilinear", "relu", "transformer"])
def test_a_network_without_key_frequencies_loses_nothing_with_them(name: str) -> None:
    found, _ = anatomy(name, keys=())
    assert next(anatomy_rows(found))["key_frequencies"] == ""
    assert list(tokens_rows(found)) == []
    assert not any(x["key"] for x in units_rows(found))
    removed = [x for x in anatomy_rows(found) if x["ablation"] in ("remove_keys", "disturb") and x["count"] is None]
    assert any(x["ablation"] == "remove_keys" for x in removed)
    for row in removed:
        if row["ablation"] == "remove_keys":
            assert row["changed"] == pytest.approx(0, abs=1e-9)
            assert row["loss_change"] == pytest.approx(0, abs=1e-4)
