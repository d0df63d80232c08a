"""A table of spectra says what a list of cells says."""

from __future__ import annotations

import numpy as np
import pytest

from synth.carrier import IntArray, Residues
from synth.evidence import FloatArray
from synth.grid import Grid
from synth.laws import UNKNOWN, Law
from synth.spectral import additive_tables


def scored(m: int, order: int, share: float, seed: int) -> tuple[IntArray, FloatArray]:
    """Cells of a law's table, and scores of each: a peak at its class, something of each input alone, and noise."""
    rng = np.random.default_rng(seed)
    cells = np.stack(np.meshgrid(np.arange(m), np.arange(m), indexing="ij"), -1).reshape(-1, 2)
    cells = cells[rng.permutation(len(cells))[: int(share * len(cells))]]
    tables = rng.integers(0, order, (2, m))
    classes = (tables[0][cells[:, 0]] + tables[1][cells[:, 1]]) % order
    alone = rng.normal(0, 1, (2, m, order))
    scores = 4 * np.eye(order)[classes] + alone[0][cells[:, 0]] + alone[1][cells[:, 1]]
    return cells, (scores + rng.normal(0, 1, scores.shape)).astype(np.float32)


@pytest.mark.parametrize(("m", "order"), [(11, 11), (30, 29), (31, 30), (12, 2), (23, 23)])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_the_law_is_that_of_the_cells(m: int, order: int, share: float) -> None:
    """With a third input that is always 0 the same cells are no table, and are read as a list."""
    cells, scores = scored(m, order, share, seed=m + order)
    assert Grid.of(cells, scores, m) is not None
    first, second = additive_tables(cells, scores, m)
    *others, third = additive_tables(np.concatenate([cells, np.zeros_like(cells[:, :1])], axis=1), scores, m)
    listed = (others[0], np.where(others[1] >= 0, (others[1] + third[0]) % order, UNKNOWN))
    a, b = cells.T
    for f, g in ((first, second), listed):
        assert ((f >= 0)[a] & (g >= 0)[b]).all()
    np.testing.assert_array_equal((first[a] + second[b]) % order, (listed[0][a] + listed[1][b]) % order)
    if order > 2:
        assert (scores.argmax(axis=1) == (first[a] + second[b]) % order).mean() > 0.5


def test_what_depends_on_one_input_alone_is_taken_off() -> None:
    cells, scores = scored(23, 23, 0.8, seed=1)
    rng = np.random.default_rng(2)
    moved = scores + 9 * rng.normal(0, 1, (23, 23)).astype(np.float32)[cells[:, 0]]
    grids = [Grid.of(cells, x, 23) for x in (scores, moved)]
    inner = [x.interaction() for x in grids if x is not None]
    assert len(inner) == 2
    assert abs(inner[0].energy() / inner[1].energy() - 1) < 0.02
    assert np.abs(inner[0].means(1)).max() < 1e-2 * np.abs(scores).max()


def test_lists_of_cells_where_a_table_is_not_to_be_had() -> None:
    cells, scores = scored(23, 23, 0.8, seed=3)
    assert Grid.of(cells[:40], scores[:40], 23) is None  # nearly empty
    assert Grid.of(np.concatenate([cells, cells[:1]]), np.concatenate([scores, scores[:1]]), 23) is None
    assert Grid.of(np.concatenate([cells, cells], axis=1), scores, 23) is None
    tables = additive_tables(np.concatenate([cells, cells]), np.concatenate([scores, scores]), 23)
    once = Law.of(Residues(23), "additive", additive_tables(cells, scores, 23))
    assert Law.of(Residues(23), "additive", tables).normalised() == once.normalised()
