"""Recipes as rules: what the examples say of symmetry, what they are worth, and what follows for the network."""

from __future__ import annotations

import numpy as np
import pytest
from data import TARGETS, data

from nets.models import ARCHITECTURES, architecture
from nets.recipes import RECIPES, recipe, symmetric, widths, worth
from nets.train import train


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_mirrored_examples_tell_whether_the_order_matters(target: str, fraction: float) -> None:
    given = data(target, 29, fraction, 0)
    assert symmetric(given.inputs, given.labels) is (target in ("a + b", "a * b", "a² + b²", "max"))


def test_examples_without_mirror_images_tell_nothing() -> None:
    inputs = np.array([[0, 1], [1, 2], [3, 3], [1, 2]])
    assert symmetric(inputs, np.array([1, 3, 6, 3])) is None
    assert symmetric(np.array([[0], [1]]), np.array([1, 3])) is None


def test_noise_does_not_hide_a_symmetry() -> None:
    given = data("a + b", 29, 0.5, 0)
    rng = np.random.default_rng(0)
    noisy = np.where(rng.random(len(given.labels)) < 0.1, rng.integers(0, 29, len(given.labels)), given.labels)
    assert symmetric(given.inputs, noisy) is True


def test_three_inputs_are_compared_in_all_their_orders() -> None:
    inputs = np.array([[0, 1, 2], [2, 0, 1], [1, 1, 2]])
    assert symmetric(inputs, np.array([3, 3, 4])) is True
    assert symmetric(inputs, np.array([3, 2, 4])) is False


def test_what_examples_are_worth_is_their_number_for_random_cells_and_less_for_mirrored_ones() -> None:
    cells = np.stack(np.meshgrid(np.arange(40), np.arange(40), indexing="ij"), axis=-1).reshape(-1, 2)
    chosen = np.random.default_rng(0).permutation(cells)[:480]
    assert worth(chosen, 40) == pytest.approx(480, rel=0.07)
    pairs = cells[cells[:, 0] <= cells[:, 1]]
    some = np.random.default_rng(0).permutation(pairs)[:240]
    assert worth(np.concatenate([some, some[:, ::-1]]), 40) == worth(some, 40) < 300
    assert worth(cells, 40) == len(cells)
    assert worth(cells[:, :1], 40) == len(cells)


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("known", list(RECIPES))
@pytest.mark.parametrize("alike", [True, False, None])
def test_every_recipe_knows_every_architecture_at_every_size(name: str, known: str, alike: bool | None) -> None:
    for size, arity, n in ((5, 2, 3), (31, 2, 480), (60, 2, 1000), (23, 3, 3650), (113, 2, 12000), (120, 2, 11520)):
        kind = architecture(name, size, arity, **widths(name, size, arity, n, known, alike))
        plan = recipe(known, kind, n)
        assert plan.rate > 0
        assert plan.steps >= 100
        shared = {readers for _, readers in kind.tables()} == {tuple(range(arity))}
        if known == "fast" and alike is not None and name != "bilinear":
            assert shared is (alike and not (name == "quadratic" and arity == 2 and size % 2 == 0))


def test_squares_of_sums_tell_halves_of_an_even_modulus_apart() -> None:
    given = data("a + b", 48, 0.3, 100)
    kind = architecture("quadratic", 48, 2, **widths("quadratic", 48, 2, len(given.labels), symmetric=True))
    plan = recipe("fast", kind, len(given.labels))
    *_, last = train(kind, given.inputs, given.labels, plan, 100, watched=given.cells)
    np.testing.assert_array_equal(last.network.predict(given.cells), given.cell_labels)
    assert last.step < plan.steps / 2  # of one table for both inputs it takes them all


@pytest.mark.slow
@pytest.mark.parametrize("target", ["a + b", "a - b", "2a + 3b + 7", "a * b", "a² + b²"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_fast_recipe_is_for_every_task(name: str, target: str) -> None:
    """Sums, differences and products alike, zeros included, from half of the cells."""
    given = data(target, 47, 0.5, 100)
    alike = symmetric(given.inputs, given.labels)
    n = worth(given.inputs, 47) if alike else len(given.labels)
    kind = architecture(name, 47, 2, **widths(name, 47, 2, n, symmetric=alike))
    *_, last = train(kind, given.inputs, given.labels, recipe("fast", kind, n), 100, watched=given.cells)
    np.testing.assert_array_equal(last.network.predict(given.cells), given.cell_labels)
    assert last.cause == "settled"
