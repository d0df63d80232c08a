"""Pieces: frequencies are kept, removed and disturbed as named, and what hangs on a piece falls with it alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from data import data, trained
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from nets.attention import attended, driven, moved, read
from nets.faithful import filtered
from nets.keys import key_frequencies
from nets.models import Architecture, Network, Weights, architecture, fresh
from nets.neurons import activate, units
from nets.paths import judged, without_frequencies
from nets.pieces import Ablation, Piece, pieces
from nets.sides import Side, classes_of, energy
from synth.carrier import IntArray, Residues
from synth.laws import Law, phi

P = 13


def law_of(basis: str, p: int = P) -> Law:
    carrier = Residues(p)
    table = np.arange(p) if basis == "additive" else phi(carrier, "dlog")
    return Law.of(carrier, "additive" if basis == "additive" else "dlog", (table, table))


def grid(p: int = P) -> IntArray:
    return np.stack(np.meshgrid(np.arange(p), np.arange(p), indexing="ij"), axis=-1).reshape(-1, 2)


def sides(law: Law) -> list[Side]:
    return [
        Side.of_tokens(law, (0,)),
        Side.of_tokens(law, (0, 1)),
        Side.of_tokens(law, (0,), (1,)),
        Side.of_classes(law),
    ]


@settings(max_examples=40, deadline=None)
@for_all(st.integers(0, 10**6), st.sampled_from(["additive", "dlog"]), st.integers(0, 3), st.sets(st.integers(1, 6)))
def test_what_is_kept_and_what_is_removed_make_up_the_whole(
    seed: int, basis: str, which: int, chosen: set[int]
) -> None:
    rng, keys = np.random.default_rng(seed), sorted(chosen)
    side = sides(law_of(basis))[which]
    values = rng.normal(size=(P,) * len(side.still) + (4,))
    still = values - side.moving(values)
    kept, left = side.keep(values, keys), side.remove(values, keys)
    np.testing.assert_allclose(side.keep(kept, keys), kept, atol=1e-9)
    np.testing.assert_allclose(side.remove(left, keys), left, atol=1e-9)
    np.testing.assert_allclose(side.remove(kept, keys), still, atol=1e-9)
    np.testing.assert_allclose(side.remove(values, []), values, atol=1e-9)
    np.testing.assert_allclose(side.keep(values, list(side.all)), values, atol=1e-9)
    if len(side.still) == 1:
        np.testing.assert_allclose(kept + left, values + still, atol=1e-9)
    noisy = side.disturb(values, keys, rng)
    if len(keys) == len(side.all):
        assert noisy is None
    else:
        assert noisy is not None
        assert energy(noisy - values) == pytest.approx(energy(values - left), abs=1e-9)
        np.testing.assert_allclose(side.keep(noisy - values, keys), 0, atol=1e-9)


def test_a_table_is_filtered_as_the_ties_filter_it() -> None:
    law = law_of("dlog")
    network = fresh(architecture("relu", P, 2), 0)
    table = network.weights["E"].double().numpy()
    side = Side.of_tokens(law, (0, 1))
    np.testing.assert_allclose(
        side.keep(table, [2, 3]), filtered(network, law, [2, 3], keep=True).weights["E"], atol=1e-6
    )
    np.testing.assert_allclose(
        side.remove(table, [2, 3]), filtered(network, law, [2, 3], keep=False).weights["E"], atol=1e-6
    )


def test_classes_invert_decode() -> None:
    for law in (law_of("additive"), law_of("dlog")):
        np.testing.assert_array_equal(classes_of(law)[law.decode], np.arange(law.order))
    assert classes_of(law_of("dlog"))[0] < 0


@pytest.mark.parametrize("options", [{}, {"separate": True, "positions": False}, {"attention": 0.2, "heads": 2}])
def test_the_stages_of_a_transformer_make_its_logits(options: dict[str, float]) -> None:
    network, cells = fresh(architecture("transformer", P, 2, **options), 3), grid()
    seen = attended(network, cells)
    np.testing.assert_allclose(seen.pattern.sum(1), 1, atol=1e-5)
    out = moved(network, seen.mixed)
    logits = read(network, out, torch.relu(driven(network, out))).numpy()
    np.testing.assert_allclose(logits, network.logits(cells), atol=1e-4)
    with pytest.raises(ValueError, match="wants a transformer, got Relu"):
        attended(fresh(architecture("relu", P, 2), 0), cells)


@pytest.mark.parametrize("name", ["bilinear", "quadratic", "relu", "transformer"])
def test_every_piece_unchanged_gives_the_logits_as_they_are(name: str) -> None:
    network, cells = fresh(architecture(name, P, 2), 0), grid()[::3]
    for whole in without_frequencies(network, cells):
        np.testing.assert_allclose(whole.logits(whole.values), network.logits(cells), atol=1e-4)
    found = units(network, cells)
    assert found is not None
    np.testing.assert_allclose(activate(network, found.drive), found.activity, atol=1e-5)


def by_name(found: list[Piece]) -> dict[tuple[str, str], Ablation]:
    return {(piece.name, x.name): x for piece in found for x in piece.ablations}


def test_attention_that_looks_everywhere_alike_has_nothing_in_its_scores() -> None:
    network, cells = fresh(architecture("transformer", P, 2), 0), grid()[1::2]
    network = network.with_weights({"Q": torch.zeros_like(network.weights["Q"])})
    law = law_of("additive")
    labels = law.predict(cells)
    intact = judged(network.logits(cells), labels)
    found = by_name(list(pieces(network, law, cells, labels, np.random.default_rng(0))))
    for name in ("keep_keys", "remove_keys", "disturb"):
        said = found["E in scores", name]
        assert (said.accuracy, said.loss) == pytest.approx(intact, abs=1e-5)
        assert found["E in values", name].loss == pytest.approx(
            found["E", name].loss, abs=2e-2 if name == "disturb" else 1e-5
        )
    for name in ("zero", "mean"):
        assert found["pattern", name].changed == pytest.approx(0, abs=1e-9)
        assert found["pattern", name].loss == pytest.approx(intact[1], abs=1e-5)


@dataclass(frozen=True)
class Mine(Architecture):
    """A user's own: a table that is squared, and a readout of another name."""

    name: ClassVar[str] = "mine"

    def start(self, generator: torch.Generator) -> dict[str, torch.Tensor]:
        return {
            "T": torch.randn(self.size, 8, generator=generator),
            "R": torch.randn(8, self.size, generator=generator),
        }

    def forward(self, weights: Weights, inputs: torch.Tensor) -> torch.Tensor:
        return sum((weights["T"][x] for x in inputs), torch.zeros(())).square() @ weights["R"]

    def tables(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        return (("T", tuple(range(self.arity))),)

    def flops(self) -> float:
        return 16.0 * self.size


@pytest.mark.parametrize("arity", [2, 3])
def test_of_a_users_own_network_the_tables_are_known(arity: int) -> None:
    law = Law.of(Residues(P), "additive", (np.arange(P),) * arity)
    cells = np.random.default_rng(0).integers(0, P, (60, arity))
    network = fresh(Mine(P, arity), 0)
    found = list(pieces(network, law, cells, law.predict(cells), np.random.default_rng(0)))
    assert [(x.name, x.kind, x.numbers) for x in found] == [("T", "tokens", 8 * P)]
    assert [x.name for x in found[0].ablations][:2] == ["keep_keys", "remove_keys"]


def test_of_three_inputs_there_are_no_pairs() -> None:
    law = Law.of(Residues(P), "additive", (np.arange(P),) * 3)
    cells = np.random.default_rng(0).integers(0, P, (60, 3))
    found = list(pieces(fresh(architecture("relu", P, 3), 0), law, cells, law.predict(cells), np.random.default_rng(0)))
    assert [x.name for x in found] == ["E", "W", "units"]


def ablated(name: str, most: int | None = None) -> tuple[Network, dict[tuple[str, str], Ablation]]:
    given = data("a + b", 47, 0.7, 100)
    network, _ = trained(name, given, 100, "sparse")
    law = law_of("additive", 47)
    keys = key_frequencies(law, given.held_out, network.logits(given.held_out))[:most] if most else None
    rng = np.random.default_rng(0)
    return network, by_name(list(pieces(network, law, given.held_out, given.held_out_labels, rng, keys=keys)))


def test_a_transformer_stands_on_its_key_frequencies_in_every_piece_that_carries_them() -> None:
    _, found = ablated("transformer")
    for piece in ("E", "E in values", "W", "hidden in", "hidden out"):
        assert found[piece, "keep_keys"].accuracy > 0.9, piece
        assert found[piece, "remove_keys"].accuracy < 0.25, piece
        assert found[piece, "remove_random"].accuracy > 0.97, piece
        assert found[piece, "disturb"].accuracy > found[piece, "remove_keys"].accuracy + 0.2, piece
        assert found[piece, "disturb"].changed == pytest.approx(found[piece, "remove_keys"].changed, rel=1e-3)
        assert found[piece, "remove_keys"].changed > 0.5 > found[piece, "keep_keys"].changed
    assert found["attention to hidden", "mean"].accuracy < 0.2, "the hidden layer is where inputs are multiplied"
    assert found["hidden", "mean"].accuracy < 0.2
    assert found["E in scores", "remove_keys"].accuracy > 0.5
    assert {x for x, _ in found} >= {"pattern", "head 0", "head 3", "attention past hidden", "b", "units"}


@pytest.mark.parametrize("name", ["bilinear", "quadratic", "relu"])
def test_networks_of_many_frequencies_lose_more_by_the_keys_than_by_their_energy(name: str) -> None:
    network, found = ablated(name, 18)  # of 23: without others there is nothing to disturb
    table = network.architecture.tables()[0][0]
    for piece in (table, "W", "hidden out", "units"):
        assert found[piece, "keep_keys"].accuracy > 0.9, piece
        assert found[piece, "remove_keys"].loss > found[piece, "keep_keys"].loss + 1, piece
        assert found[piece, "remove_keys"].loss > found[piece, "disturb"].loss + 0.5, piece
    assert (("hidden in", "keep_keys") in found) is (name != "bilinear"), "its product is what leaves its units"
