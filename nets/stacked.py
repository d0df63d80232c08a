"""Several trainings as one: the same architecture on as many sets of examples, side by side in one batch.

On a GPU a small network's step costs what its kernels' launches cost, and k networks in one batch cost what one does.
On a CPU nothing is gained: there one process a training is better.

Each has a lane: its own weights, examples, moments, step sizes, attempts and end. Nothing that is added up ever crosses
lanes, and the batch keeps its shape to the end, so that what becomes of one changes no bit of the others.
"""

from __future__ import annotations

from collections.abc import Generator, Hashable, Mapping, Sequence

import torch
from torch import Tensor
from torch.func import vmap

from nets.abreast import by_hand, differentiates_by_itself
from nets.models import Architecture, Network, Weights, tokens
from nets.optimise import AdamWRows, Differentiate, cross_entropy_
from nets.recipes import Recipe
from nets.train import Checkpoint, Course, Diverged, batches, fairly, flushing_denormals, step_size
from synth.carrier import IntArray


def fits(architecture: Architecture, recipe: Recipe, n: int) -> Hashable:
    """What trainings must have in common to go side by side: shapes, and how the loss is made of a batch.

    Step sizes, decay, steps and attempts may differ: recipes make them of what the examples say. None where such
    trainings never go side by side: an architecture's own ``differentiate`` is for one network.
    """
    if differentiates_by_itself(architecture):
        return None
    return architecture, n, recipe.batch, recipe.betas, recipe.smoothing, recipe.pace


def train_many(
    architecture: Architecture,
    inputs: Sequence[IntArray],
    labels: Sequence[IntArray],
    recipes: Sequence[Recipe],
    seeds: Sequence[int],
    *,
    watched: IntArray | None = None,
    noise: float = 0.0,
    device: str = "cpu",
    spacing: float = 1 / 16,
) -> Generator[Mapping[int, Checkpoint | Diverged], None, None]:
    """Train as many networks; each becomes what ``train`` makes of it alone, but for the rounding of sums.

    Args:
        inputs, labels, recipes, seeds: one for each lane; examples of shapes (n, arity) and (n,), and recipes that
            ``fits`` says the same of.
        others: see ``train``.

    Returns:
        Checkpoints by lane, 0 to k - 1, whenever some lanes have come to one. A lane that has ended does not return;
        one whose loss is no number is told once, by what ``train`` would have raised, and ends.

    Raises:
        ValueError: no examples, not one set for each recipe and seed, or lanes that do not fit together, as those of
            an architecture that differentiates in its own way never do.
    """
    k = len(seeds)
    if not len(inputs) == len(labels) == len(recipes) == k:
        raise ValueError(
            f"train_many: expected as many recipes, seeds and sets of examples, got {len(recipes)}, {k}, {len(labels)}"
        )
    if differentiates_by_itself(architecture):
        raise ValueError(f"train_many: {architecture.name} has a gradient of its own, for one network: train it alone")
    if len({fits(architecture, recipe, len(y)) for recipe, y in zip(recipes, labels, strict=True)}) != 1:
        sizes, common = sorted({len(y) for y in labels}), "betas, smoothing and batch size"
        raise ValueError(f"train_many: expected equally many examples and the same {common} for each lane, got {sizes}")
    if (n := len(labels[0])) == 0:
        raise ValueError(f"train_many: {architecture.name} needs at least one example, got none")
    courses = [Course(architecture, x, n, watched=watched, noise=noise, spacing=spacing) for x in recipes]
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    streams = [
        batches(tokens(x, device), torch.tensor(y).to(device), recipe.batch, torch.Generator().manual_seed(s + 1))
        for s, x, y, recipe in zip(seeds, inputs, labels, recipes, strict=True)
    ]
    starts = [architecture.start(generator) for generator in generators]
    rows = AdamWRows(
        {name: torch.stack([x[name] for x in starts]).to(device) for name in starts[0]},
        recipes[0].betas,
        dict.fromkeys(architecture.routes, recipes[0].pace),
    )
    networks = [Network(architecture, {name: x[i] for name, x in rows.averages.items()}) for i in range(k)]
    trained = [Network(architecture, {name: x[i] for name, x in rows.weights.items()}) for i in range(k)]
    parts = architecture, rows.weights, rows.gradients, recipes[0].smoothing
    differentiate = by_hand(*parts) or by_autograd(*parts)
    sharing = any(recipe.common < 1 for recipe in recipes)
    at = [0] * k  # steps of each lane's attempt
    going = set(range(k))
    batch: tuple[Tensor, Tensor] | None = None
    while going:
        ahead = min(courses[i].target - at[i] for i in going)
        plan = _columns(recipes, at, going, ahead).to(device)  # in one go: a copy a step would wait for the device
        loss, hits = torch.zeros(k), torch.zeros(k)
        with torch.no_grad(), flushing_denormals():
            for columns in plan:
                if batch is None or n > recipes[0].batch:
                    parts = [next(stream) for stream in streams]
                    batch = torch.stack([x for x, _ in parts]), torch.stack([y for _, y in parts])
                loss, hits = differentiate(*batch)
                rate, shrink, scale, mean, common = columns.unbind()
                rows.update(rate, shrink, scale, mean, common if sharing else None)
        assert batch is not None
        losses, counts, size = loss.tolist(), hits.tolist(), batch[1].shape[1]
        points: dict[int, Checkpoint | Diverged] = {}
        for i in sorted(going):
            at[i] += ahead
            course = courses[i]
            if at[i] < course.target:
                continue
            accuracy = fairly(int(counts[i]) / size, losses[i], trained[i], batch[0][i], batch[1][i])
            attempt = course.attempt
            try:
                points[i] = course.look(networks[i], losses[i], accuracy)
            except Diverged as reason:
                points[i] = reason
                going.discard(i)
            if course.over:
                going.discard(i)
            elif course.attempt != attempt:
                at[i] = 0
        yield points
        for i in going:
            if at[i] == 0:  # a fresh start, once the caller has seen what the last attempt came to
                rows.restart(i, architecture.start(generators[i]))


def _columns(recipes: Sequence[Recipe], at: Sequence[int], going: set[int], ahead: int) -> Tensor:
    """What ``AdamWRows.update`` takes, for each of the next steps: shape (ahead, 5, k, 1). Ended lanes stand still."""
    still = (0.0, 1.0, 1.0, 0.0, 0.0)
    steps = [
        [_moves(recipe, at[i] + step) if i in going else still for i, recipe in enumerate(recipes)]
        for step in range(1, ahead + 1)
    ]
    return torch.tensor(steps, dtype=torch.float64).transpose(1, 2).float()[..., None].contiguous()


def _moves(recipe: Recipe, step: int) -> tuple[float, float, float, float, float]:
    rate, (first, second) = step_size(recipe, step), recipe.betas
    mean = min(1.0, recipe.window / (step + recipe.window)) if recipe.window else 1.0
    common = float(step > recipe.common * recipe.steps)
    return rate / (1 - first**step), 1 - rate * recipe.decay, (1 - second**step) ** -0.5, mean, common


def by_autograd(architecture: Architecture, weights: Weights, gradients: Weights, smoothing: float) -> Differentiate:
    """The gradients of all lanes at once, through one batched forward pass."""
    leaves = {name: x.detach().requires_grad_() for name, x in weights.items()}
    forward = vmap(architecture.forward)

    def differentiate(inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Losses and hits (k,) of inputs (k, arity, n) and labels (k, n)."""
        with torch.enable_grad():
            logits = forward(leaves, inputs)
            slope = logits.detach().clone()
            loss, hits = cross_entropy_(slope, labels, smoothing)
        slopes = torch.autograd.grad(logits, list(leaves.values()), slope, materialize_grads=True)
        for gradient, found in zip(gradients.values(), slopes, strict=True):
            gradient.add_(found)
        return loss, hits

    return differentiate
