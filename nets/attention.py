"""A transformer's forward pass in stages: who looks where, what is moved, and what each path makes of it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nets.models import Network, computes_as, tokens
from nets.transformer import Transformer
from synth.carrier import IntArray


@dataclass(frozen=True, eq=False)
class Attended:
    """Attention of the one query, "=", at n cells; the positions are the inputs' and its own, last.

    Attributes:
        pattern: shape (n, positions, heads): softmax of the scores over positions.
        values: shape (n, positions, heads, width).
    """

    pattern: Tensor
    values: Tensor

    @property
    def mixed(self) -> Tensor:
        """What each head takes from the positions, shape (n, heads, width)."""
        return (self.pattern[..., None] * self.values).sum(1)


def attended(network: Network, cells: IntArray) -> Attended:
    """Attention at ``cells`` (n, arity), written out as the equations have it (Nanda et al. 2023, without norms).

    Raises:
        ValueError: no transformer of this package.
    """
    shape, weights = network.architecture, network.weights
    if not computes_as(shape, Transformer):
        raise ValueError(f"attended: wants a transformer, got {type(shape).__name__}")
    with torch.no_grad():
        inputs = tokens(cells, network.device)
        place = weights["P"] if shape.positions else torch.zeros_like(weights["P"])
        tables = shape.tables()
        names = [next(name for name, readers in tables if j in readers) for j in range(shape.arity)]
        places = [weights[name][inputs[j]] + place[j] for j, name in enumerate(names)]
        stream = torch.stack([*places, weights["e"].expand(inputs.shape[1], -1)], 1)  # (n, positions, d)
        heads = (shape.heads, -1)
        query = (weights["e"] @ weights["Q"]).unflatten(1, heads)
        key, value = (stream @ weights["K"]).unflatten(2, heads), (stream @ weights["V"]).unflatten(2, heads)
        scores = (key * query).sum(3) * shape.attention * (shape.d // shape.heads) ** -0.5
        return Attended(scores.softmax(1), value)


def moved(network: Network, mixed: Tensor) -> Tensor:
    """What attention adds to the residual stream at "=", shape (n, d), of what the heads took (n, heads, width)."""
    return mixed.flatten(1) @ network.weights["O"]


def driven(network: Network, out: Tensor) -> Tensor:
    """What enters the hidden units, shape (n, h), when attention has added ``out`` (n, d)."""
    return (network.weights["e"] + out) @ network.weights["M"] + network.weights["b"]


def read(network: Network, out: Tensor, hidden: Tensor) -> Tensor:
    """Logits, shape (n, size), of the stream past the hidden layer by ``out`` (n, d), and of its activity (n, h)."""
    weights = network.weights
    return (weights["e"] + out + hidden @ weights["N"]) @ weights["W"]
