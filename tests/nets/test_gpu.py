"""Training on a GPU, where there is none: on one that is pretended (tests/pretend.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from data import data
from pretend import Elsewhere, Mixed, pretended_gpu
from torch import Tensor

from nets.bilinear import Bilinear
from nets.models import Architecture, architecture, fresh
from nets.recipes import Recipe
from nets.stacked import train_many
from nets.train import Checkpoint, train

NAMES = ("bilinear", "quadratic", "relu", "transformer")
PLAN = Recipe(rate=0.01, decay=1.0, steps=8, attempts=2, smoothing=0.1, pace=0.5)
# What adds up in any order on CUDA, of what a network might use (torch.use_deterministic_algorithms lists them).
# scatter_add_ is not among them: cross_entropy_ has one index a row.
UNORDERED = {
    "index_add", "index_add_", "put_", "index_reduce", "scatter_reduce", "scatter_reduce_", "bincount", "histc",
    "cumsum", "embedding_dense_backward", "kthvalue", "median", "_embedding_bag",
}  # fmt: skip


@pytest.mark.parametrize(("name", "batch"), [*((name, 1 << 15) for name in NAMES), ("bilinear", 20)])
def test_a_training_there_is_the_training_here(name: str, batch: int) -> None:
    given, kind, plan = data("a + b", 7, 0.6, 0), architecture(name, 7, 2), replace(PLAN, batch=batch)
    here = list(train(kind, given.inputs, given.labels, plan, 0, watched=given.cells))
    with pretended_gpu() as seen:
        there = list(train(kind, given.inputs, given.labels, plan, 0, watched=given.cells, device="cuda"))
        many = list(
            train_many(kind, [given.inputs] * 2, [given.labels] * 2, [plan] * 2, (0, 1), watched=given.cells,
                       device="cuda")
        )  # fmt: skip
        side = [point for at in many if isinstance(point := at.get(0), Checkpoint)]
        assert [x.step for x in there] == [x.step for x in side] == [x.step for x in here]
        for network in (there[-1].network, side[-1].network):
            assert all(isinstance(x, Elsewhere) and x.dtype == torch.float32 for x in network.weights.values())
            np.testing.assert_allclose(
                network.logits(given.cells), here[-1].network.logits(given.cells), rtol=0, atol=1e-4
            )
    for points in (there, side):
        np.testing.assert_allclose([x.loss for x in points], [x.loss for x in here], rtol=1e-5)
    assert not seen & UNORDERED
    assert {"mm", "bmm", "scatter_add_"} <= seen  # what ran there was seen


@dataclass(frozen=True)
class Careless(Bilinear):
    """Makes a tensor without saying where."""

    def forward(self, weights: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        return super().forward(weights, inputs) + torch.zeros(self.size)


@dataclass(frozen=True)
class Hasty(Bilinear):
    """Asks numpy for what lies on a GPU."""

    def forward(self, weights: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        return super().forward(weights, inputs) * float(weights["W"].detach().numpy().max())


def test_what_a_gpu_would_refuse_is_refused() -> None:
    cells = data("a + b", 5, 0.6, 0).cells

    def try_out(kind: Architecture) -> None:
        assert np.isfinite(fresh(kind, 0).logits(cells)).all(), "here it is no mistake"
        with pretended_gpu():
            fresh(kind, 0, "cuda").logits(cells)

    try_out(Bilinear(5, 2))
    with pytest.raises(Mixed, match=r"add.*cuda \[\(25, 5\)\] and cpu \[\(5,\)\]"):
        try_out(Careless(5, 2))
    with pytest.raises((RuntimeError, TypeError), match="numpy"):
        try_out(Hasty(5, 2))
    with pytest.raises(Mixed, match="a generator of the CPU"), pretended_gpu():
        torch.randn(3, device="cuda", generator=torch.Generator())


def test_products_are_float32_and_nothing_less() -> None:
    """No TF32: its ten bits of mantissa would be in every product on a GPU."""
    assert torch.get_float32_matmul_precision() == "highest"
    assert not torch.backends.cuda.matmul.allow_tf32
