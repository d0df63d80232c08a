"""The pieces of a network that have no frequencies: attention's pattern and heads, paths, positions and biases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from nets.attention import Attended, attended, driven, moved, read
from nets.dynamics import accuracy, loss
from nets.models import FloatArray, Network, computes_as
from nets.neurons import units
from nets.transformer import Transformer
from synth.carrier import IntArray

Score = Callable[[FloatArray], tuple[float, float]]


@dataclass(frozen=True, eq=False)
class Whole:
    """A piece that is changed as a whole.

    Attributes:
        name: "pattern", "head 0", "attention to hidden", "attention past hidden", "hidden", "P", "b".
        kind: "path" for an activation, a row a cell; "weights" for weights.
        values: as it is.
        changes: others in its place, by the ablation's name; the last one's energy is that of the noise.
        logits: at the cells, with others in its place.
    """

    name: str
    kind: str
    values: FloatArray
    changes: tuple[tuple[str, FloatArray], ...]
    logits: Callable[[FloatArray], FloatArray]

    @property
    def numbers(self) -> int:
        return self.values[0].size if self.kind == "path" else self.values.size


def judged(logits: FloatArray, labels: IntArray) -> tuple[float, float]:
    """Accuracy, and the mean cross-entropy in nats."""
    return accuracy(logits, labels), loss(logits, labels)


def without_frequencies(network: Network, cells: IntArray) -> Iterator[Whole]:
    """Those of an architecture of this package; of a user's own none are known."""
    if computes_as(network.architecture, Transformer):
        yield from _of_attention(network, cells)
    if units(network, cells[:1]) is None:
        return
    for name in ("P", "b"):
        if name in network.weights and bool(network.weights[name].any()):
            values = network.weights[name].detach().cpu().numpy()

            def without(changed: FloatArray, name: str = name) -> FloatArray:
                weights = torch.from_numpy(changed).to(network.weights[name])
                return network.with_weights({name: weights}).logits(cells)

            yield Whole(name, "weights", values, (("zero", np.zeros_like(values)),), without)


def _of_attention(network: Network, cells: IntArray) -> Iterator[Whole]:
    with torch.no_grad():
        own = attended(network, cells)
        mixed = own.mixed
        out = moved(network, mixed)
        hidden = torch.relu(driven(network, out))

    def finished(for_hidden: torch.Tensor, past: torch.Tensor) -> FloatArray:
        with torch.no_grad():
            return read(network, past, torch.relu(driven(network, for_hidden))).cpu().numpy()

    def taken(values: FloatArray) -> FloatArray:
        stream = moved(network, _tensor(values, mixed))
        return finished(stream, stream)

    # Looked at as what the heads take, so that its energy is that of what it changes.
    flat = torch.full_like(own.pattern, 1 / own.pattern.shape[1])
    steady = own.pattern.mean(0, keepdim=True).expand_as(own.pattern)
    patterns = tuple((name, _array(Attended(x, own.values).mixed)) for name, x in (("zero", flat), ("mean", steady)))
    yield Whole("pattern", "path", _array(mixed), patterns, taken)
    for i in range(mixed.shape[1]):

        def one_head(values: FloatArray, i: int = i) -> FloatArray:
            changed = mixed.clone()
            changed[:, i] = _tensor(values, mixed)
            return taken(_array(changed))

        yield Whole(f"head {i}", "path", _array(mixed[:, i]), (_mean(_array(mixed[:, i])),), one_head)
    stream = _array(out)
    yield Whole(
        "attention to hidden", "path", stream, (_mean(stream),), lambda x: finished(_tensor(x, out), out)
    )  # fmt: skip
    yield Whole(
        "attention past hidden", "path", stream, (_mean(stream),), lambda x: finished(out, _tensor(x, out))
    )  # fmt: skip
    activity = _array(hidden)

    def left(values: FloatArray) -> FloatArray:
        with torch.no_grad():
            return read(network, out, _tensor(values, hidden)).cpu().numpy()

    yield Whole("hidden", "path", activity, (_mean(activity),), left)


def _mean(values: FloatArray) -> tuple[str, FloatArray]:
    return "mean", np.broadcast_to(values.mean(axis=0), values.shape).astype(np.float32)


def _array(value: torch.Tensor) -> FloatArray:
    return value.detach().cpu().numpy()


def _tensor(values: FloatArray, like: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).to(like)
