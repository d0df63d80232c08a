"""Training: deterministic, exact where it can be, honest where it cannot."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from data import data, trained

from nets.bilinear import Bilinear
from nets.models import Architecture, Network, Weights, architecture, fresh
from nets.recipes import Recipe, recipe, widths
from nets.train import Diverged, Settling, train


def quick(**changes: object) -> Recipe:
    settings: dict[str, object] = {"rate": 0.05, "decay": 1.0, "steps": 60}
    return Recipe(**(settings | changes))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("batch", [1 << 15, 32])
@pytest.mark.parametrize("name", ["bilinear", "transformer"])
def test_the_same_seed_trains_the_same_network(name: str, batch: int) -> None:
    given = data("a + b", 11, 0.6, 0)
    kind = architecture(name, 11, 2)
    before = torch.get_rng_state()
    runs = [
        [(x.loss, x.network.state()) for x in train(kind, given.inputs, given.labels, quick(batch=batch), seed)]
        for seed in (1, 1, 2)
    ]
    assert [loss for loss, _ in runs[0]] == [loss for loss, _ in runs[1]] != [loss for loss, _ in runs[2]]
    for (_, one), (_, two) in zip(runs[0], runs[1], strict=True):
        assert all(np.array_equal(one[k], two[k]) for k in one)
    assert torch.equal(before, torch.get_rng_state())


def test_checkpoints_tell_the_run() -> None:
    given = data("a + b", 11, 0.6, 0)
    points = list(train(architecture("bilinear", 11, 2), given.inputs, given.labels, quick(steps=300), 0))
    steps = [x.step for x in points]
    assert steps == sorted(set(steps))
    assert steps[-1] == 300
    assert len(steps) >= 20
    assert max(b - a for a, b in itertools.pairwise(steps)) <= 0.07 * 300
    assert [x.final for x in points] == [False] * (len(points) - 1) + [True]
    assert points[-1].cause == "budget"
    assert points[-1].rate == 0.0
    per_step = {x.flops / x.step for x in points}
    assert max(per_step) == pytest.approx(min(per_step))
    assert min(per_step) > 0
    assert points[-1].accuracy == 1.0


@pytest.mark.parametrize(("name", "fraction"), [("bilinear", 0.5), ("bilinear", 0.3), ("transformer", 0.6)])
def test_the_fast_recipe_ends_exact_and_says_when_it_settled(name: str, fraction: float) -> None:
    given = data("a + b", 37, fraction, 0)
    network, points = trained(name, given, 0)
    np.testing.assert_array_equal(network.predict(given.cells), given.cell_labels)
    assert points[-1].cause == "settled"
    assert points[-1].stable_since <= points[-1].step / 1.4


def test_what_is_not_learned_ends_at_the_budget() -> None:
    given = data("max", 23, 0.3, 0)
    network, points = trained("bilinear", given, 0, steps=150)
    assert points[-1].cause == "budget"
    assert points[-1].step == 150
    assert (network.predict(given.held_out) != given.held_out_labels).any()


def test_no_run_settles_while_examples_are_wrong() -> None:
    given = data("a + b", 11, 0.6, 0)
    frozen = quick(rate=0.0, decay=0.0)  # the answers never change, and are those of an untrained network
    kind = architecture("bilinear", 11, 2)
    points = list(train(kind, given.inputs, given.labels, frozen, 0, watched=given.cells))
    assert points[-1].cause == "budget"
    assert points[-1].stable_since == 5


def test_wrong_labels_up_to_the_declared_noise_do_not_keep_a_run_going() -> None:
    given = data("a + b", 37, 0.6, 0)
    rng = np.random.default_rng(1)
    wrong = rng.random(len(given.labels)) < 0.05
    noisy = np.where(wrong, (given.labels + rng.integers(1, 37, len(wrong))) % 37, given.labels)
    kind = architecture("bilinear", 37, 2, h=128)
    plan = recipe("fast", kind, len(noisy))
    points = list(train(kind, given.inputs, noisy, plan, 0, watched=given.cells, noise=0.05))
    assert (points[-1].network.predict(given.held_out) == given.held_out_labels).mean() > 0.99


def test_the_mean_of_the_weights_is_what_answers() -> None:
    given = data("a + b", 11, 0.6, 0)
    kind = architecture("bilinear", 11, 2)
    last = [
        list(train(kind, given.inputs, given.labels, quick(window=window, cooldown=0.01), 0))[-1].network.state()
        for window in (8.0, 0.0)
    ]
    assert not np.array_equal(last[0]["W"], last[1]["W"])
    # Without training the mean of constant weights is the weights.
    still = list(train(kind, given.inputs, given.labels, quick(rate=0.0), 0))[-1].network.state()
    first = fresh(kind, 0).state()
    assert all(np.allclose(still[k], first[k], atol=1e-6) for k in first)


def test_divergence_is_an_outcome_with_a_cause() -> None:
    given = data("a + b", 11, 0.6, 0)
    run = train(architecture("transformer", 11, 2), given.inputs, given.labels, quick(rate=1e30, steps=200), 0)
    with pytest.raises(Diverged, match=r"transformer: the training loss is \S+ at step \d+"):
        list(run)


def test_what_is_too_large_to_compute_with_has_diverged_though_its_loss_is_finite() -> None:
    @dataclass(frozen=True)
    class Huge(Bilinear):
        differentiate = Architecture.differentiate

        def forward(self, weights: Weights, inputs: torch.Tensor) -> torch.Tensor:
            return super().forward(weights, inputs) * 1e30

    given = data("a + b", 11, 0.6, 0)
    for settle in (0.0, 0.4):
        plan = quick(steps=5, settle=settle)
        (point,) = train(Huge(11, 2), given.inputs, given.labels, plan, 0)  # which looks at no cell
        assert np.isfinite(point.loss)
        run = train(Huge(11, 2), given.inputs, given.labels, plan, 0, watched=given.cells)
        with pytest.raises(Diverged, match="bilinear: weights or logits are too large to compute with at step 5"):
            list(run)


def test_no_examples_are_an_error_in_one_line() -> None:
    with pytest.raises(ValueError, match="bilinear needs at least one example, got none"):
        next(train(architecture("bilinear", 11, 2), np.zeros((0, 2), dtype=np.int64), np.zeros(0, int), quick(), 0))
    with pytest.raises(ValueError, match="no recipe 'slow'; there are fast, sparse, delayed"):
        recipe("slow", architecture("bilinear", 11, 2), 10)


def test_training_leaves_the_process_as_it_was() -> None:
    """Denormals are flushed during steps only: the caller's arithmetic is untouched between checkpoints."""
    given = data("a + b", 11, 0.6, 0)
    tiny = torch.tensor([1e-40])
    for _ in train(architecture("bilinear", 11, 2), given.inputs, given.labels, quick(), 0):
        assert float(tiny * 0.5) > 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("name", ["bilinear", "transformer"])
def test_cuda_trains_to_exactness_too(name: str) -> None:
    given = data("a + b", 37, 0.6, 0)
    kind = architecture(name, 37, 2)
    runs = [
        list(
            train(
                kind, given.inputs, given.labels, recipe("fast", kind, len(given.labels)), 0,
                watched=given.cells, device="cuda",
            )
        )[-1].network
        for _ in range(2)
    ]  # fmt: skip
    np.testing.assert_array_equal(runs[0].predict(given.cells), given.cell_labels)
    np.testing.assert_array_equal(runs[0].logits(given.cells), runs[1].logits(given.cells))


def test_an_attempt_that_does_not_settle_is_followed_by_a_fresh_one() -> None:
    given = data("max", 11, 0.4, 0)
    kind = architecture("bilinear", 11, 2)
    plan = quick(steps=40, attempts=3, decay=0.0, cooldown=1.0)
    points = list(train(kind, given.inputs, given.labels, plan, 0, watched=given.cells))
    assert [x.step for x in points] == sorted({x.step for x in points})
    assert points[-1].step == 120
    assert points[-1].attempt == 2
    assert [x.final for x in points] == [False] * (len(points) - 1) + [True]
    ends = {x.attempt: x.network.state() for x in points}
    assert len(ends) == 3
    assert not np.array_equal(ends[0]["W"], ends[1]["W"])
    # Nothing can settle where nothing is watched, and then there is nothing to start afresh for.
    alone = list(train(kind, given.inputs, given.labels, plan, 0))
    assert alone[-1].step == 40


def test_answers_given_by_a_hair_are_not_settled() -> None:
    kind = architecture("bilinear", 5, 2, h=5)
    given = data("a + b", 5, 0.6, 0)

    def network(margin: float) -> Network:
        """Says a everywhere, by a margin of 1, and by another for a = 0."""
        weights = {name: torch.zeros_like(x) for name, x in kind.start(torch.Generator()).items()}
        weights |= {"U0": torch.eye(5), "U1": torch.ones(5, 5), "W": torch.eye(5)}
        weights["U0"][0, 0] = margin
        return Network(kind, weights)

    for margin, expected in ((1.0, True), (0.01, False)):
        settling = Settling(given.cells, 0.4)
        assert [settling.step(network(margin), at) for at in (5, 10, 17)] == [False, False, expected]
    settling = Settling(given.cells, 0.4)
    settling.step(network(1.0), 100)
    assert not settling.step(network(1.0), 120), "a fifth and ten more steps are not over"
    assert settling.changed == 0.0
    assert settling.step(network(1.0), 150)


def test_the_delayed_recipe_memorises_long_before_it_generalises() -> None:
    given = data("a + b", 37, 0.4, 0)
    kind = architecture("bilinear", 37, 2, **widths("bilinear", 37, 2, len(given.labels), "delayed"))
    plan = recipe("delayed", kind, len(given.labels))
    seen: dict[str, int] = {}
    for point in train(kind, given.inputs, given.labels, plan, 0, watched=given.cells):
        if point.accuracy == 1:
            seen.setdefault("fitted", point.step)
        if (point.network.predict(given.held_out) == given.held_out_labels).mean() >= 0.999:
            seen["general"] = point.step
            break
    assert seen["general"] >= 10 * seen["fitted"]


def test_a_film_asks_for_more_checkpoints() -> None:
    given = data("a + b", 11, 0.6, 0)
    kind = architecture("bilinear", 11, 2)
    usual, dense = (
        [x.step for x in train(kind, given.inputs, given.labels, quick(steps=600), 0, spacing=spacing)]
        for spacing in (1 / 16, 1 / 100)
    )
    assert usual[-1] == dense[-1] == 600
    assert max(b - a for a, b in itertools.pairwise(dense)) <= 6 < max(b - a for a, b in itertools.pairwise(usual))


def test_a_network_that_says_the_same_of_everything_has_not_settled_and_is_not_right() -> None:
    """All weights gone: every value ties with every other, and no tie is an answer."""
    network = architecture("relu", 11, 2)
    cells = np.array([[a, b] for a in range(11) for b in range(11)])
    plan = Recipe(rate=3.0, decay=0.33, steps=120, warmup=1, smoothing=0.0)
    *_, last = train(network, cells[::2], cells[::2].sum(axis=1) % 11, plan, 0, watched=cells)
    assert last.accuracy < 0.5
    assert last.cause == "budget"
