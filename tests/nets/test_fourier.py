"""Characters and spectra, against what a law's table must look like."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nets.fourier import characters, constants, frequencies, law_projectors, projector, rank_one_share
from synth.carrier import Residues
from synth.laws import ZERO, Law, decode, phi


@given(st.integers(3, 40))
def test_characters_are_orthogonal_and_complete(order: int) -> None:
    waves = characters(np.arange(order), order, list(frequencies(order)))
    norms = (waves**2).sum(axis=0)
    gram = waves.T @ waves
    np.testing.assert_allclose(gram, np.diag(norms), atol=1e-8)
    everything = projector(waves) + projector(constants(np.arange(order)))
    np.testing.assert_allclose(everything, np.eye(order), atol=1e-8)


def test_elements_without_a_class_are_constants_of_their_own() -> None:
    carrier = Residues(11)
    table = phi(carrier, "dlog")
    law = Law.of(carrier, "dlog", (table, table))
    still, waves = law_projectors(law, (0, 1), list(frequencies(10)))
    zero = np.eye(11)[0]
    assert table[0] == ZERO
    np.testing.assert_allclose(still @ zero, zero, atol=1e-9)
    np.testing.assert_allclose(waves @ zero, 0, atol=1e-9)
    np.testing.assert_allclose(still + waves, np.eye(11), atol=1e-8)


@pytest.mark.parametrize("share_of_cells", [1.0, 0.5, 0.2])
def test_a_laws_spectrum_factorises_in_its_own_basis_only(share_of_cells: float) -> None:
    p, rng = 31, np.random.default_rng(0)
    cells = np.stack(np.meshgrid(np.arange(1, p), np.arange(1, p), indexing="ij"), axis=-1).reshape(-1, 2)
    cells = cells[rng.random(len(cells)) < share_of_cells]
    scores = np.eye(p, dtype=np.float32)[cells[:, 0] * cells[:, 1] % p] + 0.1 * rng.normal(size=(len(cells), p))
    additive = rank_one_share(cells, scores.astype(np.float32), p)
    dlog = rank_one_share(cells, scores[:, decode(Residues(p), "dlog")].astype(np.float32), p)
    assert dlog > 0.7
    assert dlog > additive + 0.2


def test_noise_has_no_rank_one_part_to_speak_of() -> None:
    p, rng = 31, np.random.default_rng(0)
    cells = np.stack(np.meshgrid(np.arange(p), np.arange(p), indexing="ij"), axis=-1).reshape(-1, 2)
    assert rank_one_share(cells, rng.normal(size=(len(cells), p)).astype(np.float32), p) < 0.2
