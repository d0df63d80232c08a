"""The inner pieces of training: cross-entropy with its gradient in one pass, and AdamW on one flat vector."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from torch import Tensor

Differentiate: TypeAlias = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(inputs (arity, n), labels (n,)) -> (mean loss, hits), adding the loss's gradient to buffers it was built with."""


def cross_entropy_(logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy of ``logits`` (n, size) on ``labels`` (n,), and how many rows have their label on top.

    Further dimensions in front are networks side by side: (k, n, size) and (k, n) give (k,) losses and hits.
    The logits are overwritten with a gradient by them, (softmax - target) / n, for the softmax is at hand. The target
    is the label's one-hot row, of which a share of ``smoothing`` is spread evenly (Szegedy et al. 2016, section 7);
    the loss that is returned is the plain one all the same.
    """
    column = labels[..., None]
    chosen = logits.gather(-1, column)
    peak = logits.amax(-1, keepdim=True)
    hits = (chosen == peak).sum((-2, -1))
    shares = logits.sub_(peak).exp_()
    total = shares.sum(-1, keepdim=True)
    loss = (total.log() + peak - chosen).mean((-2, -1))
    n = logits.shape[-2]
    shares.mul_((total * n).reciprocal_())
    if smoothing:
        shares.sub_(smoothing / (n * shares.shape[-1]))
    shares.scatter_add_(-1, column, torch.full_like(total, (smoothing - 1.0) / n))
    return loss, hits


class AdamW:
    """AdamW (Loshchilov and Hutter 2019, algorithm 2) over one flat vector, of which the named weights are views.

    A few passes over a vector that fits in cache cost less than a few for each weight and moment.

    Attributes:
        weights: views of the flat vector, by name, updated in place.
        gradients: views of the vector that gradients are added to, by name.
        averages: views of the running mean of the weights, by name.
    """

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        betas: tuple[float, float],
        decay: float,
        paces: Mapping[str, float] | None = None,
    ) -> None:
        """``paces``: the shares of the step size, and so of its decay, at which some weights move; 1 unless named."""
        self.betas, self.decay, self.step = betas, decay, 0
        self._paces = _spread(weights, paces, 0)
        self._flat = torch.cat([x.detach().reshape(-1) for x in weights.values()])
        self._gradient, self._mean, self._square, self._scale = (torch.zeros_like(self._flat) for _ in range(4))
        self._average = self._flat.clone()
        shapes = {name: x.shape for name, x in weights.items()}
        self.weights, self.gradients, self.averages, self._squares = (
            _views(flat, shapes) for flat in (self._flat, self._gradient, self._average, self._square)
        )
        self._least = {name: self._flat.new_zeros(()) for name in shapes}

    def update(self, rate: float, common: bool = False) -> None:
        """One step of size ``rate`` along the collected gradients, which are then cleared.

        Args:
            common: whether all numbers of one weight have one second moment, their mean, which never falls (as in
                AMSGrad, Reddi et al. 2018): the step then points where the gradient's mean does, no axis of a matrix
                is special, and a gradient that vanishes makes no longer steps.
        """
        self.step += 1
        first, second = self.betas
        self._mean.lerp_(self._gradient, 1 - first)
        self._square.mul_(second).addcmul_(self._gradient, self._gradient, value=1 - second)
        if common:
            for name, square in self._squares.items():
                self._least[name] = torch.maximum(square.mean(), self._least[name])
                square.copy_(self._least[name])
        torch.sqrt(self._square, out=self._scale).mul_((1 - second**self.step) ** -0.5).add_(1e-8)
        if self._paces is None:
            self._flat.mul_(1 - rate * self.decay)
        else:
            self._scale.div_(self._paces)
            self._flat.addcmul_(self._flat, self._paces, value=-rate * self.decay)
        self._flat.addcdiv_(self._mean, self._scale, value=-rate / (1 - first**self.step))
        self._gradient.zero_()

    def average(self, window: float) -> None:
        """Move the running mean towards the weights: it remembers about the last ``step / window`` steps."""
        self._average.lerp_(self._flat, min(1.0, window / (self.step + window)))

    def norm(self) -> float:
        """The Euclidean norm of all weights together."""
        return float(self._flat.norm())


class AdamWRows:
    """AdamW for k networks side by side, each with step sizes of its own: one row a network.

    Attributes:
        weights: views of the rows, by name, shape (k, ...), updated in place.
        gradients: views of the rows that gradients are added to, by name.
        averages: views of the running means of the weights, by name.
    """

    def __init__(
        self, weights: Mapping[str, Tensor], betas: tuple[float, float], paces: Mapping[str, float] | None = None
    ) -> None:
        """``weights`` have one network's after the other's along their first dimension; ``paces`` as AdamW's."""
        self.betas = betas
        self._paces = _spread(weights, paces, 1)
        self._flat = torch.cat([x.detach().flatten(1) for x in weights.values()], 1)
        self._gradient, self._mean, self._square, self._scale = (torch.zeros_like(self._flat) for _ in range(4))
        self._average = self._flat.clone()
        shapes = {name: x.shape for name, x in weights.items()}
        self.weights, self.gradients, self.averages, self._squares = (
            _columns(rows, shapes) for rows in (self._flat, self._gradient, self._average, self._square)
        )
        self._least = {name: self._flat.new_zeros(len(self._flat)) for name in shapes}

    def update(self, rate: Tensor, shrink: Tensor, scale: Tensor, mean: Tensor, common: Tensor | None = None) -> None:
        """One step along the collected gradients, which are then cleared; see ``AdamW.update`` and ``average``.

        Args:
            rate: step sizes over 1 - beta1^t, shape (k, 1) as the others; 0 leaves a network as it is.
            shrink: what the weights keep under decay.
            scale: of the square roots, (1 - beta2^t)^-1/2.
            mean: how far the running means move towards the weights, 0 to 1.
            common: 1 where all numbers of one weight have one second moment, 0 elsewhere; None where nowhere.
        """
        first, second = self.betas
        self._mean.lerp_(self._gradient, 1 - first)
        self._square.mul_(second).addcmul_(self._gradient, self._gradient, value=1 - second)
        if common is not None:
            for name, square in self._squares.items():
                flag = common.reshape(-1, *[1] * (square.ndim - 1))
                # Where nothing is common yet, or any more after a fresh start, the least is 0.
                self._least[name] = torch.maximum(square.flatten(1).mean(1), self._least[name]) * common[:, 0]
                square.lerp_(self._least[name].view_as(flag).expand_as(square), flag)
        torch.sqrt(self._square, out=self._scale).mul_(scale).add_(1e-8)
        torch.div(self._mean, self._scale, out=self._scale).mul_(rate)
        if self._paces is None:
            self._flat.mul_(shrink)
        else:
            self._scale.mul_(self._paces)
            self._flat.mul_(1 - (1 - shrink) * self._paces)
        self._flat.sub_(self._scale)
        self._average.lerp_(self._flat, mean)
        self._gradient.zero_()

    def restart(self, row: int, weights: Mapping[str, Tensor]) -> None:
        """Fresh weights, of shapes without k, for one network; it forgets what it knew of the old ones."""
        flat = torch.cat([weights[name].detach().reshape(-1) for name in self.weights]).to(self._flat.device)
        for rows in (self._flat, self._average):
            rows[row].copy_(flat)
        for rows in (self._gradient, self._mean, self._square):
            rows[row].zero_()


def _spread(weights: Mapping[str, Tensor], paces: Mapping[str, float] | None, skipped: int) -> Tensor | None:
    """Each number's pace, along the flat vector; None where all are 1. The first dimensions are not the weights' own.

    Raises:
        ValueError: a pace that is not positive.
    """
    if not paces or all(pace == 1 for pace in paces.values()):
        return None
    if slow := [name for name, pace in paces.items() if not pace > 0]:
        raise ValueError(f"AdamW: the pace of {slow[0]} must be positive, got {paces[slow[0]]:g}")
    device = next(iter(weights.values())).device
    parts = [torch.full((x[0].numel() if skipped else x.numel(),), paces.get(name, 1.0)) for name, x in weights.items()]
    return torch.cat(parts).to(device)


def _columns(rows: Tensor, shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    parts = rows.split([shape[1:].numel() for shape in shapes.values()], 1)
    return {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}


def _views(flat: Tensor, shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    parts = flat.split([shape.numel() for shape in shapes.values()])
    return {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
