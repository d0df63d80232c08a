"""The bilinear network: logits = (U0[a] * U1[b] * ...) W, a product of one table per input, then a linear readout.

Each table is its rows plus ``shared`` times one row that all tokens share. That changes nothing in what the network can
express, but what it costs under weight decay: with rows alone, memorising "0 times anything" is cheaper than learning
it. With few examples the shared rows serve memorising instead, and are better left out (shared = 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from nets.models import Architecture, Weights, add_rows, normal
from nets.optimise import Differentiate, cross_entropy_


@dataclass(frozen=True)
class Bilinear(Architecture):
    """(U0[a] * U1[b]) W with ``h`` hidden units; multilinear for other arities, a plain linear map for arity 1.

    Weights: U0, U1, .. of shape (size, h) and u0, u1, .. of shape (1, h), one for each input; W of shape (h, size).
    """

    h: int = 128
    shared: float = 0.0
    name: ClassVar[str] = "bilinear"

    def start(self, generator: torch.Generator) -> dict[str, Tensor]:
        weights = {f"U{i}": normal(generator, self.size, self.h, scale=self.size**-0.5) for i in range(self.arity)}
        weights |= {f"u{i}": torch.zeros(1, self.h) for i in range(self.arity)}
        weights["W"] = normal(generator, self.h, self.size, scale=self.h**-0.5)
        return weights

    def forward(self, weights: Weights, inputs: Tensor) -> Tensor:
        hidden = self._table(weights, 0)[inputs[0]]
        for i in range(1, self.arity):
            hidden = hidden * self._table(weights, i)[inputs[i]]
        return hidden @ weights["W"]

    def _table(self, weights: Weights, i: int) -> Tensor:
        rows = weights[f"U{i}"]
        return rows + self.shared * weights[f"u{i}"] if self.shared else rows

    def tables(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        return tuple((f"U{i}", (i,)) for i in range(self.arity))

    def flops(self) -> float:
        return self.h * (2.0 * self.size + self.arity - 1)

    def differentiate(self, weights: Weights, gradients: Weights, batch: int, smoothing: float = 0.0) -> Differentiate:
        # By hand, into buffers that live as long as the training: 2.5 times faster than autograd, whose fresh
        # megabytes at every step cost more in page faults than the arithmetic.
        read = weights["W"]
        hidden, logits = read.new_empty(batch, self.h), read.new_empty(batch, self.size)
        factors = [read.new_empty(batch, self.h) for _ in range(self.arity)]

        def by_hand(inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
            n = len(labels)
            product, slope, parts = hidden[:n], logits[:n], [x[:n] for x in factors]
            for i, part in enumerate(parts):
                torch.index_select(self._table(weights, i), 0, inputs[i], out=part)
            if self.arity == 1:
                product.copy_(parts[0])
            else:
                torch.mul(parts[0], parts[1], out=product)
            for part in parts[2:]:
                product.mul_(part)
            torch.mm(product, read, out=slope)
            loss, hits = cross_entropy_(slope, labels, smoothing)
            gradients["W"].addmm_(product.T, slope)
            torch.mm(slope, read.T, out=product)
            if self.arity == 2:  # no third buffer: each factor becomes the other's gradient
                slopes = [parts[1].mul_(product), parts[0].mul_(product)]
            else:
                slopes = [_slope(product, parts, i) for i in range(self.arity)]
            for i, part in enumerate(slopes):
                add_rows(gradients[f"U{i}"], inputs[i], part)
                if self.shared:
                    gradients[f"u{i}"].add_(part.sum(0), alpha=self.shared)
            return loss, hits

        return by_hand


def _slope(product: Tensor, parts: list[Tensor], i: int) -> Tensor:
    """The gradient by factor i: the product's, times all other factors."""
    for j, other in enumerate(parts):
        product = product * other if j != i else product
    return product
