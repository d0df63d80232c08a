"""Trainings side by side: each is the one that it would be alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from data import data

from nets.models import architecture
from nets.recipes import Recipe, recipe, widths
from nets.stacked import train_many
from nets.train import Checkpoint, Diverged, train

SEEDS = (3, 4, 5)


def ends(points: list[Mapping[int, Checkpoint]]) -> dict[int, Checkpoint]:
    return {seed: point for at in points for seed, point in at.items() if point.final}


@pytest.mark.parametrize("batch", [1 << 15, 20])
@pytest.mark.parametrize("name", ["bilinear", "quadratic", "relu", "transformer"])
def test_each_seed_trains_as_it_does_alone(name: str, batch: int) -> None:
    given = [data("a + b", 7, 0.6, seed) for seed in SEEDS]
    kind = architecture(name, 7, 2)
    plan = Recipe(rate=0.01, decay=1.0, steps=25, batch=batch, smoothing=0.1)
    inputs, labels = [x.inputs for x in given], [x.labels for x in given]
    together = list(train_many(kind, inputs, labels, plan, SEEDS))
    for one, seed in zip(given, SEEDS, strict=True):
        alone = list(train(kind, one.inputs, one.labels, plan, seed))
        assert [x[seed].step for x in together] == [x.step for x in alone]
        np.testing.assert_allclose([x[seed].loss for x in together], [x.loss for x in alone], rtol=1e-3)
        np.testing.assert_allclose(
            together[-1][seed].network.logits(one.cells), alone[-1].network.logits(one.cells), atol=0.02
        )


def test_those_that_settle_stop_and_the_others_go_on() -> None:
    given = [data("a + b", 31, 0.6, 0), data("max", 31, 0.6, 0)]
    kind = architecture("bilinear", 31, 2, h=64)
    plan = Recipe(rate=0.1, decay=2.0, steps=150, attempts=2, smoothing=0.3)
    inputs, labels = [x.inputs for x in given], [x.labels for x in given]
    points = list(train_many(kind, inputs, labels, plan, (0, 1), watched=given[0].cells))
    last = ends(points)
    assert last[0].cause == "settled"
    np.testing.assert_array_equal(last[0].network.predict(given[0].cells), given[0].cell_labels)
    assert last[1].cause == "budget"
    assert last[1].attempt == 1
    assert last[1].step == 300
    after = [x for x in points if max(y.step for y in x.values()) > last[0].step]
    assert after
    assert all(0 not in x for x in after)


def test_what_cannot_be_stacked_is_one_line() -> None:
    one, two = data("a + b", 7, 0.6, 0), data("a + b", 7, 0.5, 0)
    kind = architecture("bilinear", 7, 2)
    plan = Recipe(rate=0.1, decay=1.0, steps=10)
    with pytest.raises(ValueError, match=r"the same number of examples for each seed, got \[24, 29\]"):
        next(train_many(kind, [one.inputs, two.inputs], [one.labels, two.labels], plan, (0, 1)))
    with pytest.raises(ValueError, match="as many different seeds as sets of examples"):
        next(train_many(kind, [one.inputs, one.inputs], [one.labels, one.labels], plan, (0, 0)))
    wild = Recipe(rate=1e30, decay=1.0, steps=200)
    with pytest.raises(Diverged, match=r"the training loss of seed \d is nan at step \d+"):
        list(train_many(kind, [one.inputs] * 2, [one.labels] * 2, wild, (0, 1)))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("name", ["bilinear", "quadratic", "relu", "transformer"])
def test_cuda_trains_many_to_exactness(name: str) -> None:
    given = [data("a + b", 37, 0.6, seed) for seed in SEEDS]
    n = len(given[0].labels)
    kind = architecture(name, 37, 2, **widths(name, 37, 2, n, symmetric=True))
    inputs, labels = [x.inputs for x in given], [x.labels for x in given]
    plan = recipe("fast", kind, n)
    points = list(train_many(kind, inputs, labels, plan, SEEDS, watched=given[0].cells, device="cuda"))
    right = [
        (ends(points)[s].network.predict(x.cells) == x.cell_labels).all() for s, x in zip(SEEDS, given, strict=True)
    ]
    assert sum(right) >= 2
