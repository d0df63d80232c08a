"""The kernel machine: its forms are the kernel's own answers, its metric the gradients'; exact where it should be."""

from __future__ import annotations

import numpy as np
import pytest
from data import data

from nets.rfm import Iteration, bytes_needed, rounds
from synth.carrier import IntArray


def hot(cells: IntArray, size: int) -> np.ndarray:
    """Concatenated one-hot rows, shape (n, arity * size)."""
    return np.eye(size)[cells].reshape(len(cells), -1)


def run(arity: int, size: int = 5, n: int = 14, most: int = 3, **settings: float) -> tuple[list[Iteration], IntArray]:
    cells = np.stack(np.meshgrid(*[np.arange(size)] * arity, indexing="ij"), axis=-1).reshape(-1, arity)
    cells = np.random.default_rng(0).permutation(cells)
    labels = cells.sum(axis=1) % size
    return list(rounds(size, cells[:n], labels[:n], cells, most=most, **settings)), cells  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("arity", [1, 2, 3])
def test_answers_are_those_of_the_kernel(arity: int) -> None:
    points, cells = run(arity, n=5 if arity == 1 else 14)
    for point in points:
        machine = point.machine
        kernel = (hot(cells, 5) @ machine.metric @ hot(machine.inputs, 5).T) ** arity
        np.testing.assert_allclose(machine.logits(cells), kernel @ machine.alpha, atol=1e-8)
        np.testing.assert_array_equal(machine.predict(machine.inputs), machine.inputs.sum(axis=1) % 5)
        assert machine.metric.trace() == pytest.approx(5 * arity)


@pytest.mark.parametrize("arity", [2, 3])
def test_the_metric_is_the_power_of_the_average_gradient_outer_product(arity: int) -> None:
    """Against gradients by central differences, of the function as the kernel defines it."""
    points, _ = run(arity, most=2, power=1.0, floor=0.0)
    machine, after = points[0].machine, points[1].machine.metric
    x, z = hot(machine.inputs, 5), hot(machine.inputs, 5)

    def value(at: np.ndarray) -> np.ndarray:
        return (at @ machine.metric @ z.T) ** arity @ machine.alpha

    steps = 1e-4 * np.eye(x.shape[1])
    gradients = np.stack([(value(x + step) - value(x - step)) / 2e-4 for step in steps])
    outer = np.einsum("inc,jnc->ij", gradients, gradients)
    np.testing.assert_allclose(after, outer * len(outer) / outer.trace(), atol=1e-6)


def test_addition_is_learned_though_plain_kernel_regression_knows_nothing_of_it() -> None:
    given = data("a + b", 31, 0.6, 0)
    points = list(rounds(31, given.inputs, given.labels, given.cells))
    first, last = ((x.machine.predict(given.held_out) == given.held_out_labels).mean() for x in (points[0], points[-1]))
    assert first < 0.05
    assert last > 0.99
    assert points[-1].cause == "settled"
    assert [x.cause for x in points[:-1]] == [""] * (len(points) - 1)


def test_rounds_end_at_their_budget_and_need_examples() -> None:
    points, _ = run(2, most=2)
    assert [x.cause for x in points] == ["", "budget"]
    assert points[0].flops < points[1].flops
    with pytest.raises(ValueError, match="needs at least one example"):
        next(rounds(5, np.zeros((0, 2), dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros((1, 2), dtype=np.int64)))


def test_memory_is_told_beforehand() -> None:
    assert bytes_needed(1000, 59, 2) > 8 * 1000**2
    assert bytes_needed(2000, 59, 3) > bytes_needed(1000, 59, 3)
