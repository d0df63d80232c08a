"""The one training loop: a generator of checkpoints, stopped by its caller, its budget or its own evidence."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite, log

import numpy as np
import torch
from torch import Tensor

from nets.models import Architecture, FloatArray, Network, tokens
from nets.optimise import AdamW
from nets.recipes import Recipe
from synth.carrier import IntArray
from synth.twopart import least_right

LOOKED_AT = 4096  # cells whose answers are compared from checkpoint to checkpoint; margins are asked of all
LARGEST = 1e8  # weight or logit: reading a law takes fourth powers, in single precision
CONFUSED = 0.999  # of the uniform distribution's loss: with every example right, no network is as unsure as that
SURE = 0.1  # of the median margin, that the narrowest must have: networks stuck at .995 have answers far below that


class Diverged(Exception):
    """The training loss is no longer a number, or weights or logits too large a one; the message says at which step."""


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
        logits: the network's on the watched cells (every so many of them, ``LOOKED_AT`` at most), shape (k, size);
            None without any. They stay as they are.
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
    logits: FloatArray | None = None


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
        Diverged: the loss is not finite, or a weight or a watched cell's logit is no number below ``LARGEST``.
    """
    n = len(labels)
    if n == 0:
        raise ValueError(f"train: {architecture.name} needs at least one example, got none")
    generator = torch.Generator().manual_seed(seed)
    x, y = tokens(inputs, device), torch.from_numpy(np.ascontiguousarray(labels)).to(device)
    stream = batches(x, y, recipe.batch, torch.Generator().manual_seed(seed + 1))
    course = Course(architecture, recipe, n, watched=watched, noise=noise, spacing=spacing)
    while not course.over:
        start = {name: weight.to(device) for name, weight in architecture.start(generator).items()}
        optimiser = AdamW(start, recipe.betas, recipe.decay, dict.fromkeys(architecture.routes, recipe.pace))
        network = Network(architecture, optimiser.averages if recipe.window else optimiser.weights)
        differentiate = architecture.differentiate(
            optimiser.weights, optimiser.gradients, min(n, recipe.batch), recipe.smoothing
        )
        attempt, loss, hits = course.attempt, torch.tensor(0.0), torch.tensor(0)
        bx, by = x, y
        while course.attempt == attempt and not course.over:
            with torch.no_grad(), flushing_denormals():
                for step in range(course.at + 1, course.target + 1):
                    bx, by = next(stream)
                    loss, hits = differentiate(bx, by)
                    optimiser.update(step_size(recipe, step), step > recipe.common * recipe.steps)
                    if recipe.window:
                        optimiser.average(recipe.window)
            accuracy = fairly(int(hits) / len(by), float(loss), Network(architecture, optimiser.weights), bx, by)
            yield course.look(network, float(loss), accuracy)


class Course:
    """Where one training stands: its attempt, its step, when it is next looked at, and whether it is over.

    Attributes:
        attempt: 0 for the first weights, 1 after the first fresh start, ...
        at: steps of this attempt when it was last looked at; at 0 it wants fresh weights.
        over: whether training has ended.
    """

    def __init__(
        self,
        architecture: Architecture,
        recipe: Recipe,
        n: int,
        *,
        watched: IntArray | None,
        noise: float,
        spacing: float,
    ) -> None:
        self.attempt, self.at, self.over = 0, 0, False
        self._architecture, self._recipe, self._spacing = architecture, recipe, spacing
        self._flops = 3 * architecture.flops() * min(n, recipe.batch)
        self._fitted = least_right(n, noise)
        self._cells = watched[:: max(1, -(-len(watched) // LOOKED_AT))] if watched is not None else None
        self._watched = watched if recipe.settle else None
        self._attempts = recipe.attempts if self._watched is not None else 1
        self._settling = self._rule()

    @property
    def target(self) -> int:
        """The attempt's step after which it is to be looked at next."""
        return min(self.at + max(5, int(self.at * self._spacing)), self._recipe.steps)

    def look(self, network: Network, loss: float, accuracy: float) -> Checkpoint:
        """The checkpoint at the target, and on to the next, or to the next attempt, or to the end.

        Args:
            network: what would be answered now.
            loss, accuracy: of the target step's batch.

        Raises:
            Diverged: the loss is not finite, or weights or logits are no numbers below ``LARGEST``. Nothing is over by
                that: the caller decides.
        """
        self.at, attempt, rule = self.target, self.attempt, self._settling
        before = attempt * self._recipe.steps
        step = before + self.at
        if not isfinite(loss):
            raise Diverged(f"{self._architecture.name}: the training loss is {loss} at step {step}")
        logits = sound_logits(network, self._cells) if self._cells is not None else None
        if self._cells is not None and logits is None:
            raise Diverged(f"{self._architecture.name}: weights or logits are too large to compute with at step {step}")
        answers = logits.argmax(axis=1) if logits is not None else None
        settled = rule is not None and rule.step(network, self.at, before, answers) and accuracy >= self._fitted
        spent = self.at == self._recipe.steps
        self.over = settled or (spent and attempt == self._attempts - 1)
        since, changed = (before + rule.since, rule.changed) if rule is not None else (step, 1.0)
        rate = step_size(self._recipe, self.at)
        if spent and not self.over:
            self.attempt, self.at, self._settling = attempt + 1, 0, self._rule()
        cause = "settled" if settled else "budget" if self.over else ""
        return Checkpoint(
            step, attempt, rate, loss, accuracy, self._flops * step, network, since, changed, self.over, cause, logits
        )

    def _rule(self) -> Settling | None:
        return Settling(self._watched, self._recipe.settle) if self._watched is not None else None


def fairly(accuracy: float, loss: float, network: Network, inputs: Tensor, labels: Tensor) -> float:
    """The accuracy of a batch, counted anew where every label is on top and the network is as unsure as can be: a tie
    counts as a hit, and all logits may be equal. ``inputs`` (arity, n) and ``labels`` (n,) are on its device."""
    if accuracy < 1 or not loss > CONFUSED * log(network.architecture.size):
        return accuracy
    with torch.no_grad():
        answers = network.architecture.forward(network.weights, inputs).argmax(1)
    return float((answers == labels).float().mean())


def sound_logits(network: Network, cells: IntArray) -> FloatArray | None:
    """The network's logits on the cells, shape (k, size); None where a weight or a logit there is no number below
    ``LARGEST``: the loss, which comes before a step's update and may be small, does not tell."""
    logits = network.logits(cells)
    sizes = [x.abs().amax() for x in network.weights.values() if x.numel()]
    largest = max(float(logits.max(initial=0.0)), -float(logits.min(initial=0.0)))  # NaN if any is
    sound = largest < LARGEST and (not sizes or bool((torch.stack(sizes) < LARGEST).all()))
    return logits if sound else None


class Settling:
    """Whether answers have stopped changing and are all given by a margin: a rule that asks for no label.

    A network that still learns to generalise changes its answers somewhere among thousands of cells, and one that is
    stuck with a few of them wrong gives those, or others near by, by a hair.
    """

    def __init__(self, cells: IntArray, share: float) -> None:
        self.cells, self.share, self.since, self.changed = cells, share, 0, 1.0
        self._sample = cells[:: max(1, -(-len(cells) // LOOKED_AT))]
        self._answers: IntArray | None = None

    def step(self, network: Network, at: int, before: int = 0, answers: IntArray | None = None) -> bool:
        """Look again at step ``at`` of an attempt, ``before`` steps after the run's beginning.

        Args:
            answers: on every so many of the cells, ``LOOKED_AT`` at most, where they are known already.

        Returns:
            Whether nothing has changed for ``share`` of the attempt's steps up to the last change (and 10 more, and a
            fifth of the run's), and the narrowest margin between a best and a second-best logit is at least ``SURE`` of
            the median margin.
        """
        if answers is None:
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
