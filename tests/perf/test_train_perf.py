"""Figures of the networks' room: ``pytest tests/perf --benchmark-only``."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
import torch

from nets.faithful import ties
from nets.law import read_law
from nets.models import Network, architecture, tokens
from nets.optimise import AdamW
from nets.recipes import recipe, widths
from nets.rfm import Iteration, rounds
from nets.stacked import train_many
from nets.train import Checkpoint, flushing_denormals, train
from synth.carrier import IntArray, Residues


def addition(p: int, fraction: float, seed: int = 0) -> tuple[IntArray, int]:
    """Shuffled cells of Z_p x Z_p, and how many of them are examples."""
    cells = np.stack(np.meshgrid(np.arange(p), np.arange(p), indexing="ij"), axis=-1).reshape(-1, 2)
    return np.random.default_rng(seed).permutation(cells), round(fraction * p * p)


def run(name: str, p: int, fraction: float, seed: int) -> Checkpoint:
    cells, n = addition(p, fraction, seed)
    labels = cells.sum(axis=1) % p
    kind = architecture(name, p, 2, **widths(name, p, 2, n, symmetric=True))
    plan = recipe("fast", kind, n)
    return list(train(kind, cells[:n], labels[:n], plan, seed, watched=cells[:4096]))[-1]


@pytest.mark.parametrize(
    ("name", "p"), [("bilinear", 59), ("quadratic", 59), ("relu", 59), ("transformer", 59), ("bilinear", 113)]
)
def test_one_step(benchmark, name: str, p: int) -> None:
    """A full-batch step at f = .5."""
    torch.set_num_threads(1)
    cells, n = addition(p, 0.5)
    kind = architecture(name, p, 2, **widths(name, p, 2, n, symmetric=True))
    optimiser = AdamW(kind.start(torch.Generator()), (0.9, 0.98), 1.0)
    differentiate = kind.differentiate(optimiser.weights, optimiser.gradients, n)
    x, y = tokens(cells[:n]), torch.from_numpy(cells[:n].sum(axis=1) % p)

    def step() -> None:
        differentiate(x, y)
        optimiser.update(1e-3)
        optimiser.average(8.0)

    with torch.no_grad(), flushing_denormals():
        benchmark(step)


@pytest.mark.parametrize(
    ("name", "p", "fraction"),
    [
        ("bilinear", 59, 0.5),
        ("bilinear", 59, 0.3),
        ("bilinear", 113, 0.3),
        ("quadratic", 59, 0.5),
        ("relu", 59, 0.5),
        ("transformer", 59, 0.5),
        ("transformer", 59, 0.3),
    ],
)
def test_training_to_the_end(benchmark, name: str, p: int, fraction: float) -> None:
    """From random weights until the answers have settled: the median of three seeds."""
    torch.set_num_threads(1)
    seeds = iter(range(100))
    last = benchmark.pedantic(lambda: run(name, p, fraction, next(seeds)), rounds=3)
    benchmark.extra_info |= {"steps": last.step, "cause": last.cause}
    cells, _ = addition(p, fraction)
    assert (last.network.predict(cells) == cells.sum(axis=1) % p).mean() > 0.99


def test_the_kernel_machine_to_the_end(benchmark) -> None:
    """p = 59, half of the cells, until the answers have settled: the median of three seeds."""
    seeds = iter(range(100))

    def whole() -> Iteration:
        cells, n = addition(59, 0.5, next(seeds))
        return list(rounds(59, cells[:n], cells[:n].sum(axis=1) % 59, cells))[-1]

    last = benchmark.pedantic(whole, rounds=3)
    benchmark.extra_info |= {"rounds": last.round, "cause": last.cause}
    cells, _ = addition(59, 0.5)
    assert (last.machine.predict(cells) == cells.sum(axis=1) % 59).mean() > 0.99


def grokked(p: int, fraction: float) -> tuple[Network, IntArray, int]:
    cells, n = addition(p, fraction)
    return run("bilinear", p, fraction, 0).network, cells, n


@pytest.mark.parametrize(("p", "fraction"), [(59, 0.5), (113, 0.3)])
def test_reading_a_law(benchmark, p: int, fraction: float) -> None:
    """The held-out forward pass, the choice of the basis and the tables."""
    network, cells, n = grokked(p, fraction)
    found = benchmark(read_law, network, Residues(p), cells[n:], cells[:n], cells[:n].sum(axis=1) % p)
    assert found.accepted


@pytest.mark.parametrize(("p", "fraction"), [(59, 0.5), (113, 0.3)])
def test_tying_a_law_to_its_network(benchmark, p: int, fraction: float) -> None:
    """Variance explained, key frequencies and the three filtered networks."""
    network, cells, n = grokked(p, fraction)
    found = read_law(network, Residues(p), cells[n:], cells[:n], cells[:n].sum(axis=1) % p)
    assert found is not None
    measured = benchmark(ties, network, found.law, cells[n:], np.random.default_rng(0))
    assert measured.variance_explained > 0.3


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("how", ["one by one", "side by side"])
@pytest.mark.parametrize("name", ["bilinear", "quadratic", "relu", "transformer"])
def test_a_hundred_steps_of_five_seeds(benchmark, name: str, how: str, device: str) -> None:
    """p = 59, f = .5, on own examples each."""
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    torch.set_num_threads(1)
    seeds = range(5)
    given = [addition(59, 0.5, seed) for seed in seeds]
    n = given[0][1]
    inputs = [cells[:n] for cells, _ in given]
    labels = [cells.sum(axis=1) % 59 for cells in inputs]
    kind = architecture(name, 59, 2, **widths(name, 59, 2, n, symmetric=True))
    plan = recipe("fast", kind, n, steps=100, attempts=1)

    def one_by_one() -> None:
        for seed in seeds:
            deque(train(kind, inputs[seed], labels[seed], plan, seed, device=device), maxlen=0)

    def side_by_side() -> None:
        deque(train_many(kind, inputs, labels, [plan] * 5, seeds, device=device), maxlen=0)

    benchmark.pedantic(one_by_one if how == "one by one" else side_by_side, warmup_rounds=1, rounds=5)
