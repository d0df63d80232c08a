"""What a network was asked at a checkpoint is not computed again, and nothing else is taken for it."""

from __future__ import annotations

import numpy as np
import torch

from nets.models import Network, architecture
from nets.recipes import recipe
from nets.standing import Standing
from nets.train import train


def test_what_was_asked_is_remembered_and_the_rest_computed() -> None:
    kind = architecture("bilinear", 7, 2, h=16)
    network = Network(kind, kind.start(torch.Generator().manual_seed(0)))
    cells = np.stack(np.meshgrid(np.arange(7), np.arange(7), indexing="ij"), -1).reshape(-1, 2)
    said = network.logits(cells)
    standing, some = Standing(network, cells, said), Standing(network, cells[:20], said[:20])
    order = np.random.default_rng(0).permutation(len(cells))
    np.testing.assert_array_equal(standing.logits(cells[order]), said[order])
    np.testing.assert_array_equal(standing.predict(cells[order]), network.predict(cells)[order])
    np.testing.assert_allclose(some.logits(cells[order]), said[order], atol=1e-5)
    network.weights["W"].neg_()
    np.testing.assert_array_equal(standing.logits(cells), said)
    np.testing.assert_allclose(some.logits(cells), -said, atol=1e-5)  # a cell that was not asked: all are, now
    changed = standing.with_weights({"W": 2 * network.weights["W"]})
    np.testing.assert_allclose(changed.logits(cells), -2 * said, atol=1e-5)


def test_checkpoints_have_the_logits_of_the_watched_cells() -> None:
    kind = architecture("bilinear", 7, 2, h=16)
    cells = np.stack(np.meshgrid(np.arange(7), np.arange(7), indexing="ij"), -1).reshape(-1, 2)
    labels = cells.sum(axis=1) % 7
    before = None
    for point in train(kind, cells, labels, recipe("fast", kind, 49, steps=30), 0, watched=cells):
        assert point.logits is not None
        np.testing.assert_array_equal(point.logits, point.network.logits(cells))
        if before is not None:
            assert (before[0] == before[1]).all()  # later steps leave them
        before = point.logits, point.logits.copy()
    for point in train(kind, cells, labels, recipe("fast", kind, 49, steps=10), 0):
        assert point.logits is None
