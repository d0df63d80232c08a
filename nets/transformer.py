"""A one-layer transformer on the tokens "a b =", read out at "=" (attention and MLP as in Nanda et al. 2023, no norm).

Only "=" is read, so its one query meets keys and values that depend on a token and its position alone. All of them are
rows of one table: the network gathers from it and never runs the embedding for an example again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from nets.models import Architecture, Weights, add_rows, normal
from nets.optimise import Differentiate, cross_entropy_


@dataclass(frozen=True)
class Transformer(Architecture):
    """One layer of ``heads`` attention heads of width d / heads and an MLP of ``h`` ReLU units.

    Weights: E (size, d) token embedding, or E0, E1, .. one for each place when ``separate``, P (arity, d) positions,
    e (1, d) the "=" token at its own position, K Q V O (d, d), M (d, h) and b (1, h) into the MLP, N (h, d) out of it,
    W (d, size) the readout.
    """

    d: int = 64
    h: int = 128
    heads: int = 4
    attention: float = 1.0  # factor on the attention scores; below 1 the heads start out looking everywhere
    place: float = 1.0  # factor on the first positions; above 1 each head starts out preferring one of them
    positions: bool = True  # without them the order of the inputs is nothing to the network, and P stays 0
    separate: bool = False  # whether each place has its own token embedding
    values: float = 1.0  # factor on the first V and O
    name: ClassVar[str] = "transformer"
    arities: ClassVar[range] = range(2, 5)
    routes: ClassVar[tuple[str, ...]] = ("K", "Q", "V", "O")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.d % self.heads:
            raise ValueError(f"transformer: d must be a multiple of the {self.heads} heads, got {self.d}")

    @property
    def _score_scale(self) -> float:
        return self.attention * (self.d // self.heads) ** -0.5

    def start(self, generator: torch.Generator) -> dict[str, Tensor]:
        d, h, size = self.d, self.h, self.size
        names = [f"E{i}" for i in range(self.arity)] if self.separate else ["E"]
        return {
            **{name: normal(generator, size, d, scale=d**-0.5) for name in names},
            "P": normal(generator, self.arity, d, scale=self.place * d**-0.5 if self.positions else 0.0),
            "e": normal(generator, 1, d, scale=d**-0.5),
            **{name: normal(generator, d, d, scale=d**-0.5) for name in "KQ"},
            **{name: normal(generator, d, d, scale=self.values * d**-0.5) for name in "VO"},
            "M": normal(generator, d, h, scale=d**-0.5),
            "b": torch.zeros(1, h),
            "N": normal(generator, h, d, scale=h**-0.5),
            "W": normal(generator, d, size, scale=d**-0.5),
        }

    def _placed(self, weights: Weights) -> Tensor:
        """Each token at each position, then "=": (arity * size + 1, d)."""
        rows = torch.stack([weights[f"E{i}"] for i in range(self.arity)]) if self.separate else weights["E"]
        places = weights["P"] if self.positions else torch.zeros_like(weights["P"])
        tokens = (rows + places[:, None, :]).reshape(-1, self.d)
        return torch.cat([tokens, weights["e"]])

    def _query(self, weights: Weights) -> tuple[Tensor, Tensor]:
        """The query of "=", (heads, width), scaled, and what it makes of a key's token, (d, heads)."""
        query = (weights["e"] @ weights["Q"]).view(self.heads, -1) * self._score_scale
        return query, (weights["K"].view(self.d, self.heads, -1) * query).sum(2)

    def _attended(self, weights: Weights, placed: Tensor) -> tuple[Tensor, Tensor]:
        """Each placed token's value (rows, heads, width) and its exp(score) (rows, heads).

        The softmax over positions is then a quotient of sums of gathered rows; one common shift keeps exp in range.
        """
        score = placed @ self._query(weights)[1]
        value = (placed @ weights["V"]).view(len(placed), self.heads, -1)
        return value, (score - score.detach().amax(0)).exp()

    def forward(self, weights: Weights, inputs: Tensor) -> Tensor:
        value, share = self._attended(weights, self._placed(weights))
        table = torch.cat([(value * share[:, :, None]).flatten(1), share], 1)
        summed = table[-1] + table[inputs[0]]
        for i in range(1, self.arity):
            summed = summed + table[inputs[i] + i * self.size]
        numerator, denominator = summed.split([self.d, self.heads], 1)
        mixed = (numerator.view(len(summed), self.heads, -1) / denominator[:, :, None]).flatten(1)
        # The residual stream is read by M and W only, so O and e are folded into them: fewer products per example.
        into = torch.cat([weights["M"], weights["W"]], 1)
        before, skip = torch.addmm(weights["e"] @ into, mixed, weights["O"] @ into).split([self.h, self.size], 1)
        return torch.addmm(skip, torch.relu(before + weights["b"]), weights["N"] @ weights["W"])

    def tables(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        if self.separate:
            return tuple((f"E{i}", (i,)) for i in range(self.arity))
        return (("E", tuple(range(self.arity))),)

    def flops(self) -> float:
        return 2.0 * self.d * (self.h + self.size) + 2.0 * self.h * self.size + (self.arity + 2) * self.d

    def differentiate(self, weights: Weights, gradients: Weights, batch: int, smoothing: float = 0.0) -> Differentiate:
        # The same function by hand, into buffers that live as long as the training: see bilinear.
        d, h, size, heads = self.d, self.h, self.size, self.heads
        e, Q, K, V, out_of, M, b, N, W = (weights[name] for name in "eQKVOMbNW")
        new = e.new_empty
        summed_, mixed_, both_, hidden_ = new(batch, d + heads), new(batch, d), new(batch, h + size), new(batch, h)
        gathered_, d_mixed_ = new(batch, d + heads), new(batch, d)

        def by_hand(inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
            n = len(labels)
            summed, mixed, both, hidden = summed_[:n], mixed_[:n], both_[:n], hidden_[:n]
            gathered, d_mixed = gathered_[:n], d_mixed_[:n].view(n, heads, -1)
            # forward
            placed = self._placed(weights)
            query, key = self._query(weights)
            value, share = self._attended(weights, placed)
            table = torch.cat([(value * share[:, :, None]).flatten(1), share], 1)
            torch.index_select(table, 0, inputs[0], out=summed)
            for i in range(1, self.arity):
                summed.add_(torch.index_select(table[i * size :], 0, inputs[i], out=gathered))
            summed.add_(table[-1])
            numerator, denominator = summed[:, :d].unflatten(1, (heads, -1)), summed[:, d:, None]
            torch.div(numerator, denominator, out=mixed.view(n, heads, -1))
            into = torch.cat([M, W], 1)
            fold, out = out_of @ into, N @ W
            torch.addmm(e @ into, mixed, fold, out=both)
            torch.add(both[:, :h], b, out=hidden).relu_()
            slope = both[:, h:].addmm_(hidden, out)
            loss, hits = cross_entropy_(slope, labels, smoothing)
            # backward: `both` now turns into the gradient by itself, its right half already is
            d_out = hidden.T @ slope
            torch.mm(slope, out.T, out=both[:, :h])
            both[:, :h].mul_(hidden.sign_())
            d_fold, d_first = mixed.T @ both, both.sum(0, keepdim=True)
            torch.mm(both, fold.T, out=d_mixed_[:n])
            d_mixed.div_(denominator)
            mixed.view(n, heads, -1).mul_(d_mixed)
            torch.sum(mixed.view(n, heads, -1), 2, out=gathered[:, d:]).neg_()
            gathered[:, :d].unflatten(1, (heads, -1)).copy_(d_mixed)
            d_table = torch.zeros_like(table)
            for i in range(self.arity):
                add_rows(d_table[i * size : (i + 1) * size], inputs[i], gathered)
            d_table[-1] = d_table[:size].sum(0)
            # the tables
            d_weighted = d_table[:, :d].view_as(value)
            d_share = d_table[:, d:] + (d_weighted * value).sum(2)
            d_value = (d_weighted * share[:, :, None]).flatten(1)
            d_score = d_share * share
            d_placed = d_value @ V.T + d_score @ key.T
            gradients["V"].addmm_(placed.T, d_value)
            d_key = (placed.T @ d_score)[:, :, None]
            gradients["K"].view(d, heads, -1).add_(d_key * query)
            d_query = (d_key * K.view(d, heads, -1)).sum(0).view(1, d) * self._score_scale
            gradients["Q"].addmm_(e.T, d_query)
            d_tokens = d_placed[:-1].view(self.arity, size, d)
            if self.separate:
                for i in range(self.arity):
                    gradients[f"E{i}"].add_(d_tokens[i])
            else:
                gradients["E"].add_(d_tokens.sum(0))
            if self.positions:
                gradients["P"].add_(d_tokens.sum(1))
            d_into = torch.addmm(out_of.T @ d_fold, e.T, d_first)
            gradients["e"].add_(d_placed[-1:]).addmm_(d_query, Q.T).addmm_(d_first, into.T)
            gradients["O"].addmm_(d_fold, into.T)
            gradients["M"].add_(d_into[:, :h])
            gradients["b"].add_(d_first[:, :h])
            gradients["W"].add_(d_into[:, h:]).addmm_(N.T, d_out)
            gradients["N"].addmm_(d_out, W.T)
            return loss, hits

        return by_hand
