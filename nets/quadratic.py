"""The quadratic network: logits = (U0[a] + U1[b] + ...)² W, a square of sums of tables, then a linear readout.

A function that does not change when its inputs are swapped can do with one table for all of them: half the weights,
and every example says twice as much about each token.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from nets.models import Architecture, Weights, add_rows, normal
from nets.optimise import Differentiate, cross_entropy_


@dataclass(frozen=True)
class Quadratic(Architecture):
    """(U0[a] + U1[b])² W with ``h`` hidden units.

    Weights: U0, U1, .. (size, h), one for each input, or U0 for all of them unless ``separate``; W (h, size).
    """

    h: int = 128
    separate: bool = True
    name: ClassVar[str] = "quadratic"

    def start(self, generator: torch.Generator) -> dict[str, Tensor]:
        count = self.arity if self.separate else 1
        weights = {f"U{i}": normal(generator, self.size, self.h, scale=self.size**-0.5) for i in range(count)}
        weights["W"] = normal(generator, self.h, self.size, scale=self.h**-0.5)
        return weights

    def forward(self, weights: Weights, inputs: Tensor) -> Tensor:
        total = weights["U0"][inputs[0]]
        for i in range(1, self.arity):
            total = total + weights[self._table(i)][inputs[i]]
        return total.square() @ weights["W"]

    def _table(self, i: int) -> str:
        return f"U{i}" if self.separate else "U0"

    def tables(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        if not self.separate:
            return (("U0", tuple(range(self.arity))),)
        return tuple((f"U{i}", (i,)) for i in range(self.arity))

    def flops(self) -> float:
        return self.h * (2.0 * self.size + self.arity)

    def differentiate(self, weights: Weights, gradients: Weights, batch: int, smoothing: float = 0.0) -> Differentiate:
        read = weights["W"]
        total_, square_, gathered_ = (read.new_empty(batch, self.h) for _ in range(3))
        logits_ = read.new_empty(batch, self.size)

        def by_hand(inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
            n = len(labels)
            total, square, gathered, slope = total_[:n], square_[:n], gathered_[:n], logits_[:n]
            torch.index_select(weights["U0"], 0, inputs[0], out=total)
            for i in range(1, self.arity):
                total.add_(torch.index_select(weights[self._table(i)], 0, inputs[i], out=gathered))
            torch.mul(total, total, out=square)
            torch.mm(square, read, out=slope)
            loss, hits = cross_entropy_(slope, labels, smoothing)
            gradients["W"].addmm_(square.T, slope)
            torch.mm(slope, read.T, out=square)
            total.mul_(square).mul_(2.0)
            for i in range(self.arity):
                add_rows(gradients[self._table(i)], inputs[i], total)
            return loss, hits

        return by_hand
