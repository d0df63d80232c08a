"""The ReLU network: logits = relu(sum of token rows) W, from one table for all inputs or from one for each.

With a shared table the tokens are embedded first, E[a] + E[b], and then read by a hidden layer; with separate tables
each input has its own rows straight in the hidden layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from nets.models import Architecture, Weights, add_rows, normal
from nets.optimise import Differentiate, cross_entropy_


@dataclass(frozen=True)
class Relu(Architecture):
    """relu(x + b) W with ``h`` hidden units, where x is (E[a] + E[b]) M, or U0[a] + U1[b] when ``separate``.

    Weights: E (size, d) and M (d, h), or U0, U1, .. (size, h); b (1, h); W (h, size).
    """

    d: int = 128
    h: int = 128
    separate: bool = False
    name: ClassVar[str] = "relu"

    def start(self, generator: torch.Generator) -> dict[str, Tensor]:
        d, h, size = self.d, self.h, self.size
        weights: dict[str, Tensor] = {}
        if self.separate:
            weights |= {f"U{i}": normal(generator, size, h, scale=size**-0.5) for i in range(self.arity)}
        else:
            weights["E"] = normal(generator, size, d, scale=d**-0.5)
            weights["M"] = normal(generator, d, h, scale=d**-0.5)
        weights["b"] = torch.zeros(1, h)
        weights["W"] = normal(generator, h, size, scale=h**-0.5)
        return weights

    def _table(self, weights: Weights, i: int) -> Tensor:
        """What input i adds to the hidden layer, by token: sums commute with M, so the table is all that is needed."""
        return weights[f"U{i}"] if self.separate else weights["E"] @ weights["M"]

    def forward(self, weights: Weights, inputs: Tensor) -> Tensor:
        total = weights["b"] + self._table(weights, 0)[inputs[0]]
        for i in range(1, self.arity):
            total = total + self._table(weights, i)[inputs[i]]
        return torch.relu(total) @ weights["W"]

    def tables(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        if self.separate:
            return tuple((f"U{i}", (i,)) for i in range(self.arity))
        return (("E", tuple(range(self.arity))),)

    def flops(self) -> float:
        return self.h * (2.0 * self.size + self.arity)

    def differentiate(self, weights: Weights, gradients: Weights, batch: int, smoothing: float = 0.0) -> Differentiate:
        read = weights["W"]
        total_, gathered_ = read.new_empty(batch, self.h), read.new_empty(batch, self.h)
        logits_ = read.new_empty(batch, self.size)

        def by_hand(inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
            n = len(labels)
            total, gathered, slope = total_[:n], gathered_[:n], logits_[:n]
            torch.index_select(self._table(weights, 0) + weights["b"], 0, inputs[0], out=total)
            for i in range(1, self.arity):
                total.add_(torch.index_select(self._table(weights, i), 0, inputs[i], out=gathered))
            total.relu_()
            torch.mm(total, read, out=slope)
            loss, hits = cross_entropy_(slope, labels, smoothing)
            gradients["W"].addmm_(total.T, slope)
            torch.mm(slope, read.T, out=gathered)
            gathered.mul_(total.sign_())
            gradients["b"].add_(gathered.sum(0))
            if self.separate:
                for i in range(self.arity):
                    add_rows(gradients[f"U{i}"], inputs[i], gathered)
                return loss, hits
            table = gathered.new_zeros(self.size, self.h)
            for i in range(self.arity):
                add_rows(table, inputs[i], gathered)
            gradients["E"].addmm_(table, weights["M"].T)
            gradients["M"].addmm_(weights["E"].T, table)
            return loss, hits

        return by_hand
