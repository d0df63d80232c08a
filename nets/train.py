"""The one training loop: a generator of checkpoints, stopped by its caller, its budget or its own evidence."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import log

import numpy as np
import torch
from torch import Tensor

from nets.models import Architecture, Network, tokens
from nets.optimise import AdamW
from nets.recipes import Recipe
from synth.carrier import IntArray
from synth.twopart import least_right

LOOKED_AT = 4096  # cells whose answers are compared from checkpoint to checkpoint; margins are asked of all
CONFUSED = 0.999  # of the uniform distribution's loss: with every example right, no network is as unsure as that
SURE = 0.1  # of the median margin, that the narrowest must have: networks stuck at .995 have answers far below that


class Diverged(Exception):
    """The training loss is no longer a number; the message says at which step."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Training so far.

    Attributes:
        step: gradient steps done, in all attempts together.
        attempt: 0 for the first weights, 1 after the first fresh start, ...
        rate: the current step size.
        loss, accuracy: of the last step's batch, before that step's update, by the weights being trained.
        flops: floating-point operations so far, forward and backward.
        network: what would be answered now (the running mean of the weights). It lives: later steps change it.
        stable_since: the step since which the answers on the watched cells have not changed.
        changed: the share of the watched cells whose answer has changed since the checkpoint before; 1 at the first.
        final: whether training has ended.
        cause: why it ended, "" before: "settled" or "budget".
    """

    step: int
    attempt: int
    rate: float
    loss: float
    accuracy: float
    flops: float
    network: Network
    stable_since: int
    changed: float
    final: bool
    cause: str


def train(
    architecture: Architecture,
    inputs: IntArray,
    labels: IntArray,
    recipe: Recipe,
    seed: int,
    *,
    watched: IntArray | None = None,
    noise: float = 0.0,
    device: str = "cpu",
    spacing: float = 1 / 16,
) -> Generator[Checkpoint, None, None]:
    """Train a fresh network; checkpoints come every 5 steps at first, then every ``spacing`` of the steps done.

    Args:
        architecture, recipe: what and how.
        inputs, labels: the examples, shapes (n, arity) and (n,), n at least 1.
        seed: decides the first weights and the order of minibatches, and nothing else is random.
        watched: cells without labels, shape (k, arity), whose answers must settle; None turns that rule off, and
            fresh starts with it.
        noise: the declared share of wrong labels: that many examples need not be fitted before the run may settle.
        spacing: a film asks for more checkpoints than the usual one every 6%.

    Raises:
        ValueError: no examples.
        Diverged: the loss is not finite.
    """
    n = len(labels)
    if n == 0:
        raise ValueError(f"train: {architecture.name} needs at least one example, got none")
    generator = torch.Generator().manual_seed(seed)
    x, y = tokens(inputs, device), torch.from_numpy(np.ascontiguousarray(labels)).to(device)
    stream = batches(x, y, recipe.batch, torch.Generator().manual_seed(seed + 1))
    fitted = least_right(n, noise)
    flops = 3 * architecture.flops() * min(n, recipe.batch)
    attempts = recipe.attempts if watched is not None and recipe.settle else 1
    for attempt in range(attempts):
        start = {name: weight.to(device) for name, weight in architecture.start(generator).items()}
        optimiser = AdamW(start, recipe.betas, recipe.decay)
        network = Network(architecture, optimiser.averages if recipe.window else optimiser.weights)
        differentiate = architecture.differentiate(
            optimiser.weights, optimiser.gradients, min(n, recipe.batch), recipe.smoothing
        )
        settling = Settling(watched, recipe.settle) if watched is not None and recipe.settle else None
        before = attempt * recipe.steps
        loss, hits, size, rate, at = torch.tensor(0.0), torch.tensor(0), n, 0.0, 0
        bx, by = x, y
        while at < recipe.steps:
            target = min(at + max(5, int(at * spacing)), recipe.steps)
            with torch.no_grad(), flushing_denormals():
                for step in range(at + 1, target + 1):
                    bx, by = next(stream)
                    loss, hits = differentiate(bx, by)
                    rate, size = step_size(recipe, step), len(by)
                    optimiser.update(rate)
                    if recipe.window:
                        optimiser.average(recipe.window)
            at = target
            if not torch.isfinite(loss):
                raise Diverged(f"{architecture.name}: the training loss is {float(loss)} at step {before + at}")
            accuracy = int(hits) / size
            if accuracy == 1 and float(loss) > CONFUSED * log(architecture.size):  # a tie counts as a hit
                with torch.no_grad():
                    accuracy = float((architecture.forward(optimiser.weights, bx).argmax(1) == by).float().mean())
            settled = settling is not None and settling.step(network, at, before) and accuracy >= fitted
            over = at == recipe.steps and attempt == attempts - 1
            since = before + (settling.since if settling is not None else at)
            changed = settling.changed if settling is not None else 1.0
            cause = "settled" if settled else "budget" if over else ""
            yield Checkpoint(
                before + at, attempt, rate, float(loss), accuracy, flops * (before + at), network, since, changed,
                bool(cause), cause,
            )  # fmt: skip
            if settled:
                return


class Settling:
    """Whether answers have stopped changing and are all given by a margin: a rule that asks for no label.

    A network that still learns to generalise changes its answers somewhere among thousands of cells, and one that is
    stuck with a few of them wrong gives those, or others near by, by a hair.
    """

    def __init__(self, cells: IntArray, share: float) -> None:
        self.cells, self.share, self.since, self.changed = cells, share, 0, 1.0
        self._sample = cells[:: max(1, -(-len(cells) // LOOKED_AT))]
        self._answers: IntArray | None = None

    def step(self, network: Network, at: int, before: int = 0) -> bool:
        """Look again at step ``at`` of an attempt, ``before`` steps after the run's beginning.

        Returns:
            Whether nothing has changed for ``share`` of the attempt's steps up to the last change (and 10 more, and a
            fifth of the run's), and the narrowest margin between a best and a second-best logit is at least ``SURE`` of
            the median margin.
        """
        answers = network.predict(self._sample)
        self.changed = 1.0 if self._answers is None else float((answers != self._answers).mean())
        if self.changed:
            self.since = at
        self._answers = answers
        if at - self.since < max(self.share * self.since, 0.2 * (before + self.since)) + 10:
            return False
        best = np.partition(network.logits(self.cells), -2, axis=1)
        margins = best[:, -1] - best[:, -2]
        middle = float(np.median(margins))
        return middle > 0 and bool(margins.min() >= SURE * middle)


def step_size(recipe: Recipe, step: int) -> float:
    """The rate of a step, from 1: a linear warm-up, a plateau, a linear fall to 0 over the recipe's cooldown."""
    left = (recipe.steps - step) / max(1.0, recipe.cooldown * recipe.steps)
    return recipe.rate * min(1.0, step / recipe.warmup, left)


def batches(x: Tensor, y: Tensor, batch: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """All examples every time, or shuffled parts of ``batch``."""
    if len(y) <= batch:
        while True:
            yield x, y
    while True:
        order = torch.randperm(len(y), generator=generator).to(y.device)
        for part in order.split(batch):
            if len(part) == batch:
                yield x.index_select(1, part), y[part]


@contextmanager
def flushing_denormals() -> Generator[None]:
    """Numbers below 1e-38 count as 0 meanwhile: moments of dead units sink there, where arithmetic is 30x slower."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
