"""Controls of every reading: networks and predictors that know labels, and not the algorithm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import numpy.typing as npt
import torch
from data import TARGETS, Data, data, trained
from torch import Tensor

from nets.bilinear import Bilinear
from nets.law import Reading, read_law, read_logits, unmirrored
from nets.models import Architecture, FloatArray, Network, architecture, fresh
from nets.quadratic import Quadratic
from nets.recipes import Recipe, widths
from nets.relu import Relu
from nets.stacked import train_many
from nets.train import Checkpoint, train
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


def _apart(p: int) -> tuple[Architecture, ...]:
    """Networks with a table for each input."""
    return (
        architecture("bilinear", p, 2, h=128),
        architecture("quadratic", p, 2, h=128),
        architecture("relu", p, 2, h=128, separate=True),
        architecture("transformer", p, 2, d=32, h=128, separate=True),
    )


def _blind(p: int) -> tuple[Architecture, ...]:
    """Networks with one table for all inputs, to which their order is nothing."""
    return (
        architecture("relu", p, 2, d=32, h=64),
        architecture("transformer", p, 2, d=32, h=128, positions=False),
    )


LONGER = 10  # times as many steps, after which who has memorised must still be at chance
ABREAST = 26  # networks trained at once, which is cheaper


def memorising(
    seeds: range, p: int = 17, *, blind: bool = False, targets: Sequence[str] = ("a + b",)
) -> Iterator[bool]:
    """Real labels, no decay, training at 100% and held-out cells at chance: at the end and after ten times as long.

    What is blind to the order of its inputs knows the mirrors of the examples; it is at chance at the other cells.
    """
    plan = Recipe(rate=0.01, decay=0.0, steps=5 * LONGER**2, window=0)  # looked at after 5 steps, 50 and 500
    for some in (seeds[i : i + ABREAST] for i in range(0, len(seeds), ABREAST)):
        given = [data(targets[seed % len(targets)], p, 0.25, seed) for seed in some]
        for kind in _blind(p) if blind else _apart(p):
            examples = [x.inputs for x in given], [x.labels for x in given]
            for points in train_many(kind, *examples, [plan] * len(some), some, spacing=LONGER - 1):
                for i, point in points.items():
                    assert isinstance(point, Checkpoint)
                    if point.step >= 5 * LONGER:
                        assert point.accuracy == 1.0, kind.name
                        assert _at_chance(point.network, given[i], blind), kind.name
                    if point.final:
                        yield reading(point.network, given[i]).accepted


def _at_chance(network: Network, given: Data, blind: bool) -> bool:
    """Whether held-out cells are right by chance, and those known from their mirrors by heart."""
    new = unmirrored(given.held_out, given.inputs) if blind else np.ones(len(given.held_out), dtype=np.bool_)
    right = network.predict(given.held_out) == given.held_out_labels
    return bool(right[new].sum() <= by_chance(given, new)) and bool(right[~new].mean() > 0.9 if blind else new.all())


def by_chance(given: Data, some: npt.NDArray[np.bool_]) -> float:
    """How many of some held-out cells are right by chance: by what is commonest for the one input or for the other,
    and four standard deviations more."""
    table = np.zeros((given.p, given.p), dtype=np.int64)
    table[tuple(given.cells.T)] = given.cell_labels
    often = [np.array([np.bincount(x).max() for x in side]) / given.p for side in (table, table.T)]
    cells = given.held_out[some]
    share = np.maximum(often[0][cells[:, 0]], often[1][cells[:, 1]])
    return float(share.sum() + 4 * (share * (1 - share)).sum() ** 0.5)


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
    inputs = range(given.inputs.shape[1])
    seen = np.zeros((len(inputs), given.p, given.p))
    for j in inputs:
        seen[j, given.inputs[:, j], given.labels] = 1
    there = [seen[j, given.held_out[:, j]] for j in inputs]
    return (np.prod([1 - x for x in there], axis=0) if jointly else -np.sum(there, axis=0)).astype(np.float32)


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


# Predictors that are blind to the order of the inputs: they know what the examples' mirrors are.


def mirrors(given: Data) -> FloatArray:
    """1 for the label of the example that a cell mirrors; nothing where it mirrors none."""
    base = given.p ** np.arange(given.inputs.shape[1])
    known = dict(zip((np.sort(given.inputs, axis=1) @ base).tolist(), given.labels.tolist(), strict=True))
    said = [known.get(code, given.p) for code in (np.sort(given.held_out, axis=1) @ base).tolist()]
    return np.eye(given.p + 1, given.p, dtype=np.float32)[said]


def reflected(given: Data) -> Data:
    """The examples with all their mirrors."""
    orders = list(permutations(range(given.inputs.shape[1])))
    inputs = np.concatenate([given.inputs[:, order] for order in orders])
    return Data(given.p, inputs, np.tile(given.labels, len(orders)), given.held_out, given.held_out_labels)


def elsewhere(given: Data, scores: FloatArray) -> FloatArray:
    """The labels at mirrors of examples, and somebody's scores at all other cells."""
    return mirrors(given) + 0.9 * scores * unmirrored(given.held_out, given.inputs)[:, None].astype(np.float32)


def faint(given: Data, scale: float) -> FloatArray:
    """Scores that mean nothing."""
    rng = np.random.default_rng(given.labels)
    return (scale * rng.normal(size=(len(given.held_out), given.p))).astype(np.float32)


def completing(given: Data) -> FloatArray:
    """Elimination, again and again: what is left alone is filled in, and eliminates in its turn."""
    now = given
    while True:
        left = eliminating(now, jointly=True)
        sure = left.sum(axis=1) == 1
        inputs = np.concatenate([given.inputs, given.held_out[sure]])
        labels = np.concatenate([given.labels, left[sure].argmax(axis=1)])
        if len(inputs) <= len(now.inputs):
            return left
        now = Data(given.p, inputs, labels, given.held_out, given.held_out_labels)


PREDICTORS = {
    "row and column elimination": lambda given: eliminating(given, jointly=False),
    "joint elimination": lambda given: eliminating(given, jointly=True),
    "kernel ridge on one-hots": lambda given: ridge(given, 2.0),
    "nearest neighbours": nearest,
    "neighbours around the circle": neighbouring,
    "repeated elimination": completing,
}
MIRRORING = {
    "mirror look-up": mirrors,
    "mirror look-up, noisy": lambda given: mirrors(given) + faint(given, 0.1),
    "mirror look-up, else noise": lambda given: elsewhere(given, faint(given, 1.0)),
    "mirror look-up, else elimination": lambda given: elsewhere(given, eliminating(reflected(given), jointly=True)),
    "mirror look-up, else neighbours": lambda given: elsewhere(given, neighbouring(reflected(given))),
    "elimination across mirrors": lambda given: eliminating(reflected(given), jointly=True),
    "the least common across mirrors": lambda given: -nearest(reflected(given)),
}  # fmt: skip


def predictors(
    what: str,
    seeds: range,
    p: int = 23,
    fraction: float = 0.5,
    *,
    noise: float = 0.0,
    targets: tuple[str, ...] = ("a + b", "a * b"),
) -> Iterator[bool]:
    for seed in seeds:
        for target in targets:
            given = data(target, p, fraction, seed)
            if noise:
                rng = np.random.default_rng(seed)
                wrong = (rng.random(len(given.labels)) < noise) * rng.integers(1, p, len(given.labels))
                given = given.relabelled((given.labels + wrong) % p)
            scores = (PREDICTORS | MIRRORING)[what](given)
            yield read_logits(given.held_out, scores, Residues(p), given.inputs, given.labels, noise).accepted


def raw(seeds: range, p: int = 23) -> Iterator[bool]:
    """The rival beside them all: whether phase correlation on the examples themselves has a law that fits them."""
    for seed in seeds:
        given = data("a + b" if seed % 2 else "a * b", p, 0.5, seed)
        law = read_labels(Residues(p), given.inputs, given.labels)[0]
        yield law.fit(given.inputs, given.labels) == 1.0
