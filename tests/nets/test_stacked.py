"""Trainings side by side: each is the one that it would be alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from data import Data, data
from torch import Tensor

from nets.abreast import by_hand
from nets.bilinear import Bilinear
from nets.models import Architecture, Network, architecture, tokens
from nets.optimise import AdamW, AdamWRows
from nets.recipes import Recipe, recipe, widths
from nets.stacked import by_autograd, fits, train_many
from nets.train import Checkpoint, Diverged, step_size, train

SEEDS = (3, 4, 5)


def ends(points: list[Mapping[int, Checkpoint | Diverged]]) -> dict[int, Checkpoint]:
    """The last checkpoint of each lane that did not diverge."""
    return {i: point for at in points for i, point in at.items() if isinstance(point, Checkpoint)}


def many(kind: Architecture, given: list[Data], plans: list[Recipe], seeds: Sequence[int] = SEEDS, **more: Any):
    return list(train_many(kind, [x.inputs for x in given], [x.labels for x in given], plans, seeds, **more))


@pytest.mark.parametrize("batch", [1 << 15, 20])
@pytest.mark.parametrize("name", ["bilinear", "quadratic", "relu", "transformer"])
def test_each_lane_trains_as_it_does_alone(name: str, batch: int) -> None:
    """With step sizes, decays, lengths and attempts of its own."""
    given = [data("a + b", 7, 0.6, seed) for seed in SEEDS]
    kind = architecture(name, 7, 2)
    plan = Recipe(rate=0.01, decay=1.0, steps=25, batch=batch, smoothing=0.1, pace=0.3)
    plans = [
        plan,
        replace(plan, rate=0.02, steps=17, window=0.0, attempts=2),
        replace(plan, decay=2.0, warmup=3, common=0.4),
    ]
    together = many(kind, given, plans, watched=given[0].cells)
    for i, (one, seed) in enumerate(zip(given, SEEDS, strict=True)):
        alone = list(train(kind, one.inputs, one.labels, plans[i], seed, watched=given[0].cells))
        mine = [point for at in together if isinstance(point := at.get(i), Checkpoint)]
        assert [(x.step, x.attempt, x.cause, x.rate, x.flops) for x in mine] == [
            (x.step, x.attempt, x.cause, x.rate, x.flops) for x in alone
        ]
        np.testing.assert_allclose([x.loss for x in mine], [x.loss for x in alone], rtol=1e-3)
        np.testing.assert_allclose(mine[-1].network.logits(one.cells), alone[-1].network.logits(one.cells), atol=0.02)


@pytest.mark.parametrize("arity", [1, 2, 3])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("bilinear", {}),
        ("bilinear", {"shared": 0.5}),
        ("quadratic", {}),
        ("quadratic", {"separate": False}),
        ("relu", {}),
        ("relu", {"separate": True}),
        ("transformer", {}),
        ("transformer", {"separate": True, "place": 2.0}),
        ("transformer", {"positions": False, "attention": 0.3}),
    ],
)
def test_gradients_by_hand_are_those_by_autograd(name: str, options: dict[str, float], arity: int) -> None:
    if name == "transformer" and arity == 1:
        pytest.skip("a transformer needs two tokens")
    kind = architecture(name, 7, arity, **options)
    generator = torch.Generator().manual_seed(0)
    starts = [kind.start(generator) for _ in range(3)]
    weights = {key: torch.stack([x[key] for x in starts]) for key in starts[0]}
    for weight in weights.values():
        weight.add_(torch.randn(weight.shape, generator=generator), alpha=0.1)
    plan = Recipe(rate=0.0, decay=0.0, steps=1)
    rows, other = (AdamWRows(weights, plan.betas) for _ in range(2))
    hand, auto = (
        by_hand(kind, rows.weights, rows.gradients, 0.3),
        by_autograd(kind, other.weights, other.gradients, 0.3),
    )
    assert hand is not None
    with torch.no_grad():
        for n in (11, 11, 5):  # buffers are kept, and made anew
            inputs = torch.randint(7, (3, arity, n), generator=generator)
            labels = torch.randint(7, (3, n), generator=generator)
            for one, two in zip(hand(inputs, labels), auto(inputs, labels), strict=True):
                torch.testing.assert_close(one, two)
    for key, gradient in rows.gradients.items():
        torch.testing.assert_close(gradient, other.gradients[key], rtol=1e-4, atol=1e-6)


@dataclass(frozen=True)
class Own(Bilinear):
    """Somebody's own network, of which no gradient is known by hand."""

    differentiate = Architecture.differentiate

    def forward(self, weights: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        return super().forward(weights, inputs) * 2


def test_a_network_without_a_gradient_by_hand_trains_as_it_does_alone_too() -> None:
    given = [data("a + b", 7, 0.6, seed) for seed in SEEDS]
    kind, plan = Own(7, 2), Recipe(rate=0.01, decay=1.0, steps=25, smoothing=0.1)
    together = ends(many(kind, given, [plan] * 3))
    for i, (one, seed) in enumerate(zip(given, SEEDS, strict=True)):
        cells, labels = tokens(one.inputs), torch.from_numpy(one.labels)
        start = kind.start(torch.Generator().manual_seed(seed))
        alone = AdamW(start, plan.betas, plan.decay)
        gradient = Architecture.differentiate(kind, alone.weights, alone.gradients, len(labels), plan.smoothing)
        for step in range(1, 26):
            gradient(cells, labels)
            alone.update(step_size(plan, step))
            alone.average(plan.window)
        np.testing.assert_allclose(
            together[i].network.logits(one.cells), Network(kind, alone.averages).logits(one.cells), atol=0.02
        )


def test_those_that_settle_stop_and_the_others_go_on() -> None:
    given = [data("a + b", 31, 0.6, 0), data("max", 31, 0.6, 0)]
    kind = architecture("bilinear", 31, 2, h=64)
    plan = Recipe(rate=0.1, decay=2.0, steps=150, attempts=2, smoothing=0.3)
    points = many(kind, given, [plan] * 2, (0, 1), watched=given[0].cells)
    last = ends(points)
    assert last[0].cause == "settled"
    np.testing.assert_array_equal(last[0].network.predict(given[0].cells), given[0].cell_labels)
    assert last[1].cause == "budget"
    assert last[1].attempt == 1
    assert last[1].step == 300
    assert [i for i, x in enumerate(points) if 0 in x][-1] < len(points) - 1


@pytest.mark.parametrize("fate", ["diverges", "settles", "ends early"])
def test_what_becomes_of_one_changes_no_bit_of_the_others(fate: str) -> None:
    given = [data("a + b", 17, 0.7, seed) for seed in SEEDS]
    kind = architecture("bilinear", 17, 2)
    plan = Recipe(rate=0.1, decay=2.0, steps=120, smoothing=0.3, settle=0.0)
    other = {"diverges": {"rate": 1e30}, "settles": {"settle": 0.4}, "ends early": {"steps": 7}}[fate]
    before = many(kind, given, [plan] * 3, watched=given[0].cells)
    after = many(kind, given, [plan, replace(plan, **other), plan], watched=given[0].cells)
    for i in (0, 2):
        one, two = ends(before)[i], ends(after)[i]
        assert (one.step, one.loss) == (two.step, two.loss)
        for name, weight in one.network.state().items():
            np.testing.assert_array_equal(weight, two.network.state()[name])
    told = [x[1] for x in after if 1 in x]
    if fate == "diverges":
        assert str(told[-1]).startswith("bilinear: the training loss is")
        assert all(isinstance(x, Checkpoint) for x in told[:-1])
    else:
        assert isinstance(told[-1], Checkpoint)
        assert told[-1].final
        assert told[-1].step < 120


def test_an_ended_lane_stands_still_and_a_training_repeats_itself() -> None:
    given = [data("a + b", 11, 0.7, seed) for seed in SEEDS]
    plan = Recipe(rate=0.03, decay=1.0, steps=40)
    plans = [replace(plan, steps=10), plan, plan]

    def states() -> tuple[list[dict[str, Any]], dict[str, Any]]:
        runs = train_many(
            architecture("relu", 11, 2), [x.inputs for x in given], [x.labels for x in given], plans, SEEDS
        )
        first: dict[str, Any] = {}
        seen: list[Mapping[int, Checkpoint | Diverged]] = []
        for at in runs:
            seen.append(at)
            if isinstance(point := at.get(0), Checkpoint) and point.final:
                first = point.network.state()
        return [ends(seen)[i].network.state() for i in range(3)], first

    (one, at_its_end), (two, _) = states(), states()
    for name, weight in at_its_end.items():
        np.testing.assert_array_equal(one[0][name], weight)
        for a, b in zip(one, two, strict=True):
            np.testing.assert_array_equal(a[name], b[name])


@dataclass(frozen=True)
class Inherits(Bilinear):
    """Keeps the gradient by hand, which is for one network."""


def test_what_cannot_be_stacked_is_one_line() -> None:
    one, two = data("a + b", 7, 0.6, 0), data("a + b", 7, 0.5, 0)
    kind = architecture("bilinear", 7, 2)
    plan = Recipe(rate=0.1, decay=1.0, steps=10)
    with pytest.raises(ValueError, match=r"expected equally many examples .* for each lane, got \[24, 29\]"):
        many(kind, [one, two], [plan] * 2, (0, 1))
    with pytest.raises(ValueError, match="the same betas, smoothing and batch size"):
        many(kind, [one, one], [plan, replace(plan, smoothing=0.2)], (0, 1))
    with pytest.raises(ValueError, match=r"as many recipes, seeds and sets of examples, got 2, 3, 2"):
        many(kind, [one, one], [plan] * 2, (0, 1, 2))
    plans = [plan] * 2
    assert fits(Inherits(7, 2), plan, 29) is None
    assert fits(Own(7, 2), plan, 29) == fits(Own(7, 2), replace(plan, rate=0.2), 29) is not None
    with pytest.raises(ValueError, match="bilinear has a gradient of its own, for one network: train it alone"):
        many(Inherits(7, 2), [one, one], plans, (0, 1))
    none = replace(one, inputs=one.inputs[:0], labels=one.labels[:0])
    with pytest.raises(ValueError, match="bilinear needs at least one example, got none"):
        many(kind, [none], [plan], (0,))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("name", ["bilinear", "quadratic", "relu", "transformer"])
def test_cuda_trains_many_to_exactness_and_repeats_itself(name: str) -> None:
    given = [data("a + b", 37, 0.6, seed) for seed in SEEDS]
    n = len(given[0].labels)
    kind = architecture(name, 37, 2, **widths(name, 37, 2, n, symmetric=True))
    plans = [recipe("fast", kind, n)] * 3
    runs = [ends(many(kind, given, plans, watched=given[0].cells, device="cuda")) for _ in range(2)]
    right = [(runs[0][i].network.predict(x.cells) == x.cell_labels).all() for i, x in enumerate(given)]
    assert sum(right) >= 2
    for i, x in enumerate(given):
        np.testing.assert_array_equal(runs[0][i].network.logits(x.cells), runs[1][i].network.logits(x.cells))
