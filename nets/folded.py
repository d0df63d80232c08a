"""A transformer as what it is to its one query: scores by token, and what each head's share of a token does.

Only "=" looks, and only at tokens, so the keys and the query are a table of scores; V, O and what reads the residual
stream are one linear map a head. Put in any features of the tokens that the table of embeddings is linear in, such as
the characters of a law, that map says directly what a unit hears of which frequency through which head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nets.models import Architecture, Network, Weights, computes_as
from nets.transformer import Transformer

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Folded(Architecture):
    """Scores (arity * size + 1, heads) and features (arity * size + 1, width) of the placed tokens, "=" last; the
    hidden layer hears the heads' mixtures of features through C (heads * width, h) and c (1, h), the logits through
    D (heads * width, size) and W (h, size).

    The features are no weights to be learned: it is made from a trained transformer, see ``fold``.
    """

    heads: int = 4
    width: int = 1
    h: int = 128
    name: ClassVar[str] = "folded transformer"

    def start(self, generator: torch.Generator) -> dict[str, Tensor]:
        rows, wide = self.arity * self.size + 1, self.heads * self.width
        shapes = {
            "scores": (rows, self.heads), "features": (rows, self.width), "C": (wide, self.h), "c": (1, self.h),
            "D": (wide, self.size), "W": (self.h, self.size),
        }  # fmt: skip
        return {name: torch.randn(shape, generator=generator) * shape[0] ** -0.5 for name, shape in shapes.items()}

    def forward(self, weights: Weights, inputs: Tensor) -> Tensor:
        share = (weights["scores"] - weights["scores"].detach().amax(0)).exp()
        table = torch.cat([(weights["features"][:, None, :] * share[:, :, None]).flatten(1), share], 1)
        summed = table[-1] + table[inputs[0]]
        for i in range(1, self.arity):
            summed = summed + table[inputs[i] + i * self.size]
        numerator, denominator = summed.split([self.heads * self.width, self.heads], 1)
        mixed = (numerator.view(len(summed), self.heads, -1) / denominator[:, :, None]).flatten(1)
        return torch.relu(mixed @ weights["C"] + weights["c"]) @ weights["W"] + mixed @ weights["D"]

    def tables(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        return ()

    def flops(self) -> float:
        return 2.0 * self.heads * self.width * (self.h + self.size) + 2.0 * self.h * self.size


@dataclass(frozen=True, eq=False)
class Fold:
    """The maps of a transformer, float64, up to what changes no answer.

    Attributes:
        scores: for each table of embeddings (size, heads); ``own``: that of "=", (heads,).
        offsets: shape (arity, heads): what each place adds to the scores.
        values: for each table (size, heads, width): what is moved.
        places: shape (arity + 1, heads, width): what each place adds to it, and what "=" itself has.
        hidden: shape (heads, width, h), past: (heads, width, size): what is made of it.
        bias: shape (h,), constant: (size,), readout: (h, size).
        table: for each place which of the tables it reads.
    """

    scores: list[Matrix]
    own: Matrix
    offsets: Matrix
    values: list[Matrix]
    places: Matrix
    hidden: Matrix
    past: Matrix
    bias: Matrix
    constant: Matrix
    readout: Matrix
    table: tuple[int, ...]


def fold(network: Network) -> Fold:
    """The maps of a transformer.

    Raises:
        ValueError: no transformer of this package.
    """
    shape = network.architecture
    if not computes_as(shape, Transformer):
        raise ValueError(f"fold: wants a transformer, got {type(shape).__name__}")
    weights = {name: x.detach().cpu().double().numpy() for name, x in network.weights.items()}
    heads, width = shape.heads, shape.d // shape.heads
    place = weights["P"] if shape.positions else np.zeros_like(weights["P"])
    query = (weights["e"] @ weights["Q"]).reshape(heads, width) * shape.attention * width**-0.5
    key = (weights["K"].reshape(shape.d, heads, width) * query).sum(axis=2)
    names = [name for name, _ in shape.tables()]
    into, onward = weights["O"] @ weights["M"], weights["O"] @ weights["W"]
    moved = np.concatenate([place, weights["e"]]) @ weights["V"]
    return Fold(
        scores=[weights[name] @ key for name in names],
        own=(weights["e"] @ key)[0],
        offsets=place @ key,
        values=[(weights[name] @ weights["V"]).reshape(-1, heads, width) for name in names],
        places=moved.reshape(-1, heads, width),
        hidden=into.reshape(heads, width, -1),
        past=onward.reshape(heads, width, -1),
        bias=(weights["e"] @ weights["M"] + weights["b"])[0],
        constant=(weights["e"] @ weights["W"])[0],
        readout=weights["N"] @ weights["W"],
        table=tuple(
            next(i for i, (_, readers) in enumerate(shape.tables()) if j in readers) for j in range(shape.arity)
        ),
    )
