"""Controls of every reading: networks and predictors that know labels, and not the algorithm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from data import TARGETS, Data, data, trained
from torch import Tensor

from nets.bilinear import Bilinear
from nets.law import Reading, read_law, read_logits
from nets.models import Architecture, FloatArray, Network, architecture, fresh
from nets.quadratic import Quadratic
from nets.recipes import Recipe, widths
from nets.relu import Relu
from nets.train import train
from synth.carrier import Residues
from synth.spectral import read_labels

KINDS = ("bilinear", "quadratic", "relu", "transformer")
SMALL = {"bilinear": {"h": 64}, "quadratic": {"h": 64}, "relu": {"d": 32, "h": 64}, "transformer": {"d": 32, "h": 64}}


def reading(network: Network, given: Data) -> Reading:
    found = read_law(network, Residues(given.p), given.held_out, given.inputs, given.labels)
    assert found is not None
    return found


def untrained(seeds: range, p: int = 23) -> Iterator[bool]:
    for seed in seeds:
        for name in KINDS:
            given = data("a + b" if seed % 2 else "a * b", p, 0.4, seed)
            yield reading(fresh(architecture(name, p, 2, **SMALL[name]), seed), given).accepted


def of_random_labels(seeds: range, p: int = 23) -> Iterator[bool]:
    """Networks that fit labels without rhyme or reason."""
    for seed in seeds:
        given = data("a + b", p, 0.5, seed)
        given = given.relabelled(np.random.default_rng(seed).integers(0, p, len(given.labels)))
        for name in KINDS:
            # One table for both inputs could not tell (a, b) from (b, a), whose labels differ here.
            options = {"separate": True} if name == "relu" else widths(name, p, 2, len(given.labels))
            kind = architecture(name, p, 2, **options)
            rate = 0.1 if name == "bilinear" else 0.02
            network, accuracy = _last(kind, given, seed, Recipe(rate=rate, decay=0.1, steps=160))
            assert accuracy > 0.9, name
            yield reading(network, given).accepted


def memorising(seeds: range, p: int = 23) -> Iterator[bool]:
    """Real labels, no decay, training at 100% and held-out cells at chance."""
    for seed in seeds:
        given = data("a + b", p, 0.3, seed)
        for kind in (architecture("bilinear", p, 2, h=256), architecture("quadratic", p, 2, h=256)):
            network, accuracy = _last(kind, given, seed, Recipe(rate=0.002, decay=0.0, steps=250, window=0))
            assert accuracy == 1.0
            assert (network.predict(given.held_out) == given.held_out_labels).mean() < 3.5 / p
            yield reading(network, given).accepted


def _last(kind: Architecture, given: Data, seed: int, plan: Recipe) -> tuple[Network, float]:
    *_, point = train(kind, given.inputs, given.labels, plan, seed)
    return point.network, point.accuracy


LAZY = 4.0  # the factor on first weights for squares and products, and its square for a ReLU


@dataclass(frozen=True)
class LazyBilinear(Bilinear):
    def start(self, generator: torch.Generator) -> dict[str, Tensor]:
        return {name: x if name == "W" else LAZY * x for name, x in super().start(generator).items()}


@dataclass(frozen=True)
class LazyQuadratic(Quadratic):
    def start(self, generator: torch.Generator) -> dict[str, Tensor]:
        return {name: x if name == "W" else LAZY * x for name, x in super().start(generator).items()}


@dataclass(frozen=True)
class LazyRelu(Relu):
    def start(self, generator: torch.Generator) -> dict[str, Tensor]:
        return {name: x if name == "W" else LAZY**2 * x for name, x in super().start(generator).items()}


def lazy(seeds: range, p: int = 23) -> Iterator[bool]:
    """The kernel regime: large first weights and small steps, so that the examples are fitted before a weight moves."""
    for seed in seeds:
        given = data("a + b" if seed % 2 else "a * b", p, 0.5, seed)
        for kind in (LazyBilinear(p, 2, h=256), LazyQuadratic(p, 2, h=256), LazyRelu(p, 2, h=256, separate=True)):
            plan = Recipe(rate=0.003, decay=0.0, steps=150, window=0, cooldown=0.01)
            network, accuracy = _last(kind, given, seed, plan)
            first = kind.start(torch.Generator().manual_seed(seed))["U0"]
            assert accuracy > 0.99
            assert float((network.weights["U0"] - first).norm() / first.norm()) < 0.25
            yield reading(network, given).accepted


def swapped(seeds: range, p: int = 53) -> Iterator[bool]:
    """A network of one task against the labels of every other."""
    names = ["a + b", "a - b", "a * b", "2a + 3b + 7", "a² + b²"]
    for seed in seeds:
        taught = names[seed % len(names)]
        given = data(taught, p, 0.6, seed)
        network, _ = trained("bilinear", given, seed)
        assert reading(network, given).accepted
        for other in names:
            if other != taught:
                labels = TARGETS[other](given.inputs[:, 0], given.inputs[:, 1], p)
                yield reading(network, given.relabelled(labels)).accepted


# Predictors that know the real labels and are no networks.


def eliminating(given: Data, *, jointly: bool) -> FloatArray:
    """A value that a cell's row or column has among the examples is out: by the sum of both, or by either."""
    row, column = np.zeros((given.p, given.p)), np.zeros((given.p, given.p))
    row[given.inputs[:, 0], given.labels] = 1
    column[given.inputs[:, 1], given.labels] = 1
    r, c = row[given.held_out[:, 0]], column[given.held_out[:, 1]]
    return ((1 - r) * (1 - c) if jointly else -(r + c)).astype(np.float32)


def ridge(given: Data, power: float) -> FloatArray:
    """Kernel ridge regression of one-hot labels on one-hot inputs; the kernel is a power of 1 + matching inputs."""

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (1.0 + (x[:, None] == y[None]).sum(axis=2)) ** power

    gram = kernel(given.inputs, given.inputs) + 1e-3 * np.eye(len(given.inputs))
    weights = np.linalg.solve(gram, np.eye(given.p)[given.labels] - 1 / given.p)
    return (kernel(given.held_out, given.inputs) @ weights).astype(np.float32)


def nearest(given: Data) -> FloatArray:
    """The labels of the examples nearest by Hamming distance: those of the same row or column."""
    match = (given.held_out[:, None] == given.inputs[None]).sum(axis=2)
    near = (match == match.max(axis=1, keepdims=True)).astype(np.float64)
    return (near @ np.eye(given.p)[given.labels] / near.sum(axis=1, keepdims=True)).astype(np.float32)


def neighbouring(given: Data, width: float = 2.0) -> FloatArray:
    """The labels of examples near by around the circle, weighted: a smoother that is given the circle."""
    apart = np.abs(given.held_out[:, None] - given.inputs[None])
    apart = np.minimum(apart, given.p - apart)
    near = np.exp(-(apart**2).sum(axis=2) / (2 * width**2))
    return (near @ np.eye(given.p)[given.labels] / near.sum(axis=1, keepdims=True)).astype(np.float32)


PREDICTORS = {
    "row and column elimination": lambda given: eliminating(given, jointly=False),
    "joint elimination": lambda given: eliminating(given, jointly=True),
    "kernel ridge on one-hots": lambda given: ridge(given, 2.0),
    "nearest neighbours": nearest,
    "neighbours around the circle": neighbouring,
}


def predictors(what: str, seeds: range, p: int = 23, fraction: float = 0.5) -> Iterator[bool]:
    for seed in seeds:
        for target in ("a + b", "a * b"):
            given = data(target, p, fraction, seed)
            scores = PREDICTORS[what](given)
            yield read_logits(given.held_out, scores, Residues(p), given.inputs, given.labels).accepted


def raw(seeds: range, p: int = 23) -> Iterator[bool]:
    """The rival beside them all: whether phase correlation on the examples themselves has a law that fits them."""
    for seed in seeds:
        given = data("a + b" if seed % 2 else "a * b", p, 0.5, seed)
        law = read_labels(Residues(p), given.inputs, given.labels)[0]
        yield law.fit(given.inputs, given.labels) == 1.0
