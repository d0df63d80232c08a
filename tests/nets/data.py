"""Examples for the networks' tests: shuffled cells of Z_p x Z_p (x Z_p) with a target's labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nets.models import Network, architecture
from nets.recipes import recipe, widths
from nets.train import Checkpoint, train
from synth.carrier import IntArray

TARGETS: dict[str, Callable[..., IntArray]] = {
    "a + b": lambda a, b, p: (a + b) % p,
    "a - b": lambda a, b, p: (a - b) % p,
    "a * b": lambda a, b, p: a * b % p,
    "2a + 3b + 7": lambda a, b, p: (2 * a + 3 * b + 7) % p,
    "a² + b²": lambda a, b, p: (a * a + b * b) % p,
    "max": lambda a, b, p: np.maximum(a, b),
}


@dataclass(frozen=True, eq=False)
class Data:
    p: int
    inputs: IntArray
    labels: IntArray
    held_out: IntArray
    held_out_labels: IntArray

    @property
    def cells(self) -> IntArray:
        return np.concatenate([self.inputs, self.held_out])

    @property
    def cell_labels(self) -> IntArray:
        return np.concatenate([self.labels, self.held_out_labels])

    def relabelled(self, labels: IntArray) -> Data:
        return Data(self.p, self.inputs, labels, self.held_out, self.held_out_labels)


def data(target: str, p: int, fraction: float, seed: int) -> Data:
    cells = np.stack(np.meshgrid(np.arange(p), np.arange(p), indexing="ij"), axis=-1).reshape(-1, 2)
    cells = np.random.default_rng(seed).permutation(cells)
    labels = TARGETS[target](cells[:, 0], cells[:, 1], p)
    n = round(fraction * len(cells))
    return Data(p, cells[:n], labels[:n], cells[n:], labels[n:])


def trained(
    name: str, given: Data, seed: int, named: str = "fast", **changes: object
) -> tuple[Network, list[Checkpoint]]:
    """A network after the named recipe, and all its checkpoints (which share the one live network)."""
    kind = architecture(name, given.p, 2, **widths(name, given.p, 2, len(given.labels), named))
    plan = recipe(named, kind, len(given.labels), **changes)
    points = list(train(kind, given.inputs, given.labels, plan, seed, watched=given.cells))
    return points[-1].network, points
