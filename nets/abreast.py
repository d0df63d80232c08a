"""The built-in networks' gradients for k of them side by side, by hand.

What ``Architecture.differentiate`` does for one, with one more dimension in front of everything: no more kernels for
all lanes than for one. Rows are picked with all lanes' tables as one, lane i's tokens counted from i * size on.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import torch
from torch import Tensor

from nets.bilinear import Bilinear
from nets.models import Architecture, Weights
from nets.optimise import Differentiate, cross_entropy_
from nets.quadratic import Quadratic
from nets.relu import Relu
from nets.transformer import Transformer


def by_hand(architecture: Architecture, weights: Weights, gradients: Weights, smoothing: float) -> Differentiate | None:
    """Losses and hits (k,) of inputs (k, arity, n) and labels (k, n), adding to the gradients.

    Args:
        weights, gradients: by name, each with the lanes as its first dimension.

    Returns:
        None for an architecture of a user's own; a subclass of a built-in one may compute something else.
    """
    make: Any = _makers().get(type(architecture))
    return make(architecture, weights, gradients, smoothing) if make is not None else None


def differentiates_by_itself(architecture: Architecture) -> bool:
    """Whether its gradient is code of its own, which nothing here knows for several networks at once."""
    kind = type(architecture)
    return kind.differentiate is not Architecture.differentiate and kind not in _makers()


def _makers() -> Mapping[type[Architecture], Any]:
    return {Bilinear: _bilinear, Quadratic: _quadratic, Relu: _relu, Transformer: _transformer}


class _Picker:
    """Picks rows of each lane's tables by tokens, and adds rows to them."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._inputs: Tensor | None = None
        self._buffers: dict[str, Tensor] = {}
        self._flat: list[Tensor] = []
        self._hot: list[Tensor] = []

    def look(self, inputs: Tensor) -> None:
        """Take these inputs (k, arity, n); a full batch is looked at once."""
        if self._inputs is inputs:
            return
        k, arity, _ = inputs.shape
        first = torch.arange(0, k * self._size, self._size, device=inputs.device)[:, None]
        self._inputs = inputs
        self._flat = [(inputs[:, i] + first).reshape(-1) for i in range(arity)]
        if inputs.is_cuda:
            one_hot = torch.nn.functional.one_hot
            self._hot = [one_hot(inputs[:, i], self._size).float().mT.contiguous() for i in range(arity)]

    def buffer(self, name: str, like: Tensor, *shape: int) -> Tensor:
        """Room that lives as long as the training does: fresh megabytes at every step cost a CPU more than sums do."""
        if name not in self._buffers or self._buffers[name].shape != shape:
            self._buffers[name] = like.new_empty(shape)
        return self._buffers[name]

    def rows(self, tables: Tensor, i: int, name: str) -> Tensor:
        """Of tables (k, size, w), one row for each of input i's tokens: (k, n, w), in the buffer of that name."""
        k, _, width = tables.shape
        out = self.buffer(name, tables, len(self._flat[i]), width)
        torch.index_select(tables.reshape(-1, width), 0, self._flat[i], out=out)
        return out.view(k, -1, width)

    def add(self, tables: Tensor, i: int, values: Tensor) -> None:
        """Add values (k, n, w) to the rows of tables (k, size, w) that they belong to, in the same order every time.

        On CUDA index_add is not deterministic, a product with the one-hot matrix is.
        """
        if self._hot:
            tables.baddbmm_(self._hot[i], values)
        else:
            sums = self.buffer("sums", values, len(tables) * self._size, values.shape[2]).zero_()
            tables.add_(sums.index_add_(0, self._flat[i], values.flatten(0, 1)).view(tables.shape))


def _bilinear(net: Bilinear, weights: Weights, gradients: Weights, smoothing: float) -> Differentiate:
    read, pick = weights["W"], _Picker(net.size)

    def differentiate(inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        pick.look(inputs)
        tables = [weights[f"U{i}"] for i in range(net.arity)]
        if net.shared:
            tables = [table + net.shared * weights[f"u{i}"] for i, table in enumerate(tables)]
        parts = [pick.rows(table, i, f"rows{i}") for i, table in enumerate(tables)]
        product = pick.buffer("product", read, *parts[0].shape).copy_(parts[0])
        for part in parts[1:]:
            product.mul_(part)
        slope = torch.bmm(product, read, out=pick.buffer("logits", read, *labels.shape, net.size))
        loss, hits = cross_entropy_(slope, labels, smoothing)
        gradients["W"].baddbmm_(product.mT, slope)
        torch.bmm(slope, read.mT, out=product)
        if net.arity == 2:  # each factor becomes the other's gradient
            slopes = [parts[1].mul_(product), parts[0].mul_(product)]
        else:
            slopes = [prod([other for j, other in enumerate(parts) if j != i], start=product) for i in range(net.arity)]
        for i, own in enumerate(slopes):
            pick.add(gradients[f"U{i}"], i, own)
            if net.shared:
                gradients[f"u{i}"].add_(own.sum(1, keepdim=True), alpha=net.shared)
        return loss, hits

    return differentiate


def _quadratic(net: Quadratic, weights: Weights, gradients: Weights, smoothing: float) -> Differentiate:
    read, pick = weights["W"], _Picker(net.size)
    tables = [f"U{i}" if net.separate else "U0" for i in range(net.arity)]

    def differentiate(inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        pick.look(inputs)
        total = pick.rows(weights[tables[0]], 0, "total")
        for i in range(1, net.arity):
            total.add_(pick.rows(weights[tables[i]], i, "rows"))
        square = torch.mul(total, total, out=pick.buffer("square", read, *total.shape))
        slope = torch.bmm(square, read, out=pick.buffer("logits", read, *labels.shape, net.size))
        loss, hits = cross_entropy_(slope, labels, smoothing)
        gradients["W"].baddbmm_(square.mT, slope)
        total.mul_(torch.bmm(slope, read.mT, out=square)).mul_(2.0)
        for i in range(net.arity):
            pick.add(gradients[tables[i]], i, total)
        return loss, hits

    return differentiate


def _relu(net: Relu, weights: Weights, gradients: Weights, smoothing: float) -> Differentiate:
    read, pick = weights["W"], _Picker(net.size)

    def differentiate(inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        pick.look(inputs)
        one = None if net.separate else weights["E"] @ weights["M"]
        total = pick.rows((weights["U0"] if one is None else one) + weights["b"], 0, "total")
        for i in range(1, net.arity):
            total.add_(pick.rows(weights[f"U{i}"] if one is None else one, i, "rows"))
        total.relu_()
        slope = torch.bmm(total, read, out=pick.buffer("logits", read, *labels.shape, net.size))
        loss, hits = cross_entropy_(slope, labels, smoothing)
        gradients["W"].baddbmm_(total.mT, slope)
        back = torch.bmm(slope, read.mT, out=pick.buffer("back", read, *total.shape)).mul_(total.sign_())
        gradients["b"].add_(back.sum(1, keepdim=True))
        if one is None:
            for i in range(net.arity):
                pick.add(gradients[f"U{i}"], i, back)
            return loss, hits
        table = torch.zeros_like(one)
        for i in range(net.arity):
            pick.add(table, i, back)
        gradients["E"].baddbmm_(table, weights["M"].mT)
        gradients["M"].baddbmm_(weights["E"].mT, table)
        return loss, hits

    return differentiate


def _transformer(net: Transformer, weights: Weights, gradients: Weights, smoothing: float) -> Differentiate:
    # See nets/transformer.py: the same steps, under the same names.
    d, h, size, heads, arity = net.d, net.h, net.size, net.heads, net.arity
    e, Q, K, V, out_of, M, b, N, W = (weights[name] for name in "eQKVOMbNW")
    k, width = len(e), d // heads
    names = [f"E{i}" for i in range(arity)] if net.separate else ["E"] * arity
    scale, pick = net.attention * width**-0.5, _Picker(size)

    def differentiate(inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        pick.look(inputs)
        # forward; tokens are (k, arity, size, .), "=" is apart
        tokens = torch.stack([weights[name] for name in names], 1)
        if net.positions:
            tokens = tokens + weights["P"][:, :, None, :]
        placed = torch.cat([tokens.flatten(1, 2), e], 1)
        query = (e @ Q).view(k, heads, width) * scale
        key = (K.reshape(k, d, heads, width) * query[:, None]).sum(3)
        value = (placed @ V).view(k, -1, heads, width)
        score = placed @ key
        share = (score - score.amax(1, keepdim=True)).exp_()
        table = torch.cat([(value * share[..., None]).flatten(2), share], 2)
        summed = pick.rows(table[:, :size], 0, "summed")
        for i in range(1, arity):
            summed.add_(pick.rows(table[:, i * size : (i + 1) * size], i, "rows"))
        summed.add_(table[:, -1:])
        denominator = summed[..., d:, None]
        mixed = pick.buffer("mixed", e, *labels.shape, d)
        by_head = mixed.unflatten(2, (heads, width))
        torch.div(summed[..., :d].unflatten(2, (heads, width)), denominator, out=by_head)
        into = torch.cat([M, W], 2)
        fold, out = out_of @ into, N @ W
        both = torch.baddbmm(e @ into, mixed, fold, out=pick.buffer("both", e, *labels.shape, h + size))
        hidden = torch.add(both[..., :h], b, out=pick.buffer("hidden", e, *labels.shape, h)).relu_()
        slope = both[..., h:].baddbmm_(hidden, out)
        loss, hits = cross_entropy_(slope, labels, smoothing)
        # backward: `both` turns into the gradient by itself, its right half already is
        d_out = hidden.mT @ slope
        torch.mul(
            torch.bmm(slope, out.mT, out=pick.buffer("d_hidden", e, *hidden.shape)), hidden.sign_(), out=both[..., :h]
        )
        d_fold, d_first = mixed.mT @ both, both.sum(1, keepdim=True)
        gathered = summed  # of no more use itself
        d_mixed = torch.bmm(both, fold.mT, out=pick.buffer("d_mixed", e, *mixed.shape)).unflatten(2, (heads, width))
        d_mixed.div_(denominator)
        torch.sum(by_head.mul_(d_mixed), 3, out=gathered[..., d:]).neg_()
        gathered[..., :d].copy_(d_mixed.flatten(2))
        d_table = torch.zeros_like(table)
        for i in range(arity):
            pick.add(d_table[:, i * size : (i + 1) * size], i, gathered)
        d_table[:, -1] = gathered.sum(1)
        # the tables
        d_weighted = d_table[..., :d].unflatten(2, (heads, width))
        d_share = d_table[..., d:] + (d_weighted * value).sum(3)
        d_value = (d_weighted * share[..., None]).flatten(2)
        d_score = d_share * share
        d_placed = d_value @ V.mT + d_score @ key.mT
        gradients["V"].baddbmm_(placed.mT, d_value)
        d_key = (placed.mT @ d_score)[..., None]
        gradients["K"].add_((d_key * query[:, None]).flatten(2))
        d_query = (d_key * K.reshape(k, d, heads, width)).sum(1).view(k, 1, d) * scale
        gradients["Q"].baddbmm_(e.mT, d_query)
        d_tokens = d_placed[:, :-1].unflatten(1, (arity, size))
        for i, name in enumerate(names):
            gradients[name].add_(d_tokens[:, i])
        if net.positions:
            gradients["P"].add_(d_tokens.sum(2))
        d_into = torch.baddbmm(out_of.mT @ d_fold, e.mT, d_first)
        gradients["e"].add_(d_placed[:, -1:]).baddbmm_(d_query, Q.mT).baddbmm_(d_first, into.mT)
        gradients["O"].baddbmm_(d_fold, into.mT)
        gradients["M"].add_(d_into[..., :h])
        gradients["b"].add_(d_first[..., :h])
        gradients["W"].add_(d_into[..., h:]).baddbmm_(N.mT, d_out)
        gradients["N"].baddbmm_(d_out, W.mT)
        return loss, hits

    return differentiate
