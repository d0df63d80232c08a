"""Several trainings as one: the same architecture and recipe on as many sets of examples, side by side in one batch.

On a GPU a small network's step costs what its kernels' launches cost, and k networks in one batch cost what one does.
On a CPU nothing is gained: there one process a training is better.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence

import torch
from torch import Tensor
from torch.func import vmap

from nets.models import Architecture, Network, tokens
from nets.optimise import AdamW, Differentiate, cross_entropy_
from nets.recipes import Recipe
from nets.train import Checkpoint, Diverged, Settling, batches, flushing_denormals, step_size
from synth.carrier import IntArray
from synth.twopart import least_right


def train_many(
    architecture: Architecture,
    inputs: Sequence[IntArray],
    labels: Sequence[IntArray],
    recipe: Recipe,
    seeds: Sequence[int],
    *,
    watched: IntArray | None = None,
    noise: float = 0.0,
    device: str = "cpu",
    spacing: float = 1 / 16,
) -> Generator[Mapping[int, Checkpoint], None, None]:
    """Train one network for each seed; each becomes what ``train`` makes of it alone, up to rounding.

    Args:
        inputs, labels: for each seed its examples, shapes (n, arity) and (n,), n the same for all.
        seeds: all different.
        others: see ``train``.

    Returns:
        The checkpoints by seed, for those that were still being trained. One that has ended does not return, one that
        did not settle starts afresh, together with the others that did not.

    Raises:
        ValueError: no examples, not equally many for each seed, or a seed twice.
        Diverged: the loss of one of them is not finite; the message says whose.
    """
    sizes = {len(x) for x in labels}
    if len(seeds) != len(labels) or len(seeds) != len(inputs) or len(set(seeds)) != len(seeds):
        raise ValueError(
            f"train_many: expected as many different seeds as sets of examples, got {len(seeds)} and {len(labels)}"
        )
    if len(sizes) != 1 or 0 in sizes:
        raise ValueError(f"train_many: expected the same number of examples for each seed, got {sorted(sizes)}")
    n = len(labels[0])
    fitted = least_right(n, noise)
    flops = 3 * architecture.flops() * min(n, recipe.batch)
    generators = {seed: torch.Generator().manual_seed(seed) for seed in seeds}
    streams = {
        seed: batches(
            tokens(x, device), torch.tensor(y, device=device), recipe.batch, torch.Generator().manual_seed(seed + 1)
        )
        for seed, x, y in zip(seeds, inputs, labels, strict=True)
    }
    settles = watched is not None and bool(recipe.settle)
    attempts = recipe.attempts if settles else 1
    going = list(seeds)
    for attempt in range(attempts):
        starts = [architecture.start(generators[seed]) for seed in going]
        weights = {name: torch.stack([x[name] for x in starts]).to(device) for name in starts[0]}
        optimiser = AdamW(weights, recipe.betas, recipe.decay)
        answering = optimiser.averages if recipe.window else optimiser.weights
        place = {seed: i for i, seed in enumerate(going)}
        networks = {
            seed: Network(architecture, {name: x[i] for name, x in answering.items()}) for seed, i in place.items()
        }
        settling = {seed: Settling(watched, recipe.settle) for seed in going} if settles and watched is not None else {}
        differentiate = _side_by_side(architecture, optimiser, recipe.smoothing)
        order, before, at, rate = list(going), attempt * recipe.steps, 0, 0.0
        loss, hits, size = torch.zeros(len(order)), torch.zeros(len(order)), n
        batch: tuple[Tensor, Tensor] | None = None
        while at < recipe.steps and going:
            target = min(at + max(5, int(at * spacing)), recipe.steps)
            with torch.no_grad(), flushing_denormals():
                for step in range(at + 1, target + 1):
                    if batch is None or n > recipe.batch:
                        parts = [next(streams[seed]) for seed in order]
                        batch = torch.stack([x for x, _ in parts]), torch.stack([y for _, y in parts])
                    loss, hits = differentiate(*batch)
                    rate, size = step_size(recipe, step), batch[1].shape[1]
                    optimiser.update(rate)
                    if recipe.window:
                        optimiser.average(recipe.window)
            at = target
            losses, accuracies = loss.tolist(), (hits / size).tolist()
            points: dict[int, Checkpoint] = {}
            for seed in going:
                i = place[seed]
                if not loss[i].isfinite():
                    raise Diverged(
                        f"{architecture.name}: the training loss of seed {seed} is {losses[i]} at step {before + at}"
                    )
                rule = settling.get(seed)
                settled = rule is not None and rule.step(networks[seed], at, before) and accuracies[i] >= fitted
                over = at == recipe.steps and attempt == attempts - 1
                cause = "settled" if settled else "budget" if over else ""
                network = networks[seed]
                if cause:  # its place in the batch is trained on with the others; what it answers is not
                    network = Network(architecture, {name: x.clone() for name, x in network.weights.items()})
                since = before + (rule.since if rule is not None else at)
                points[seed] = Checkpoint(
                    before + at, attempt, rate, losses[i], accuracies[i], flops * (before + at), network, since,
                    rule.changed if rule is not None else 1.0, bool(cause), cause,
                )  # fmt: skip
            going = [seed for seed in going if not points[seed].final]
            yield points
        if not going:
            return


def _side_by_side(architecture: Architecture, optimiser: AdamW, smoothing: float) -> Differentiate:
    """The gradients of all networks at once, by autograd through one batched forward pass."""
    leaves = {name: x.detach().requires_grad_() for name, x in optimiser.weights.items()}
    for name, leaf in leaves.items():
        leaf.grad = optimiser.gradients[name]
    forward = vmap(architecture.forward)

    def differentiate(inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Losses and hits (k,) of inputs (k, arity, n) and labels (k, n)."""
        with torch.enable_grad():
            logits = forward(leaves, inputs)
            slope = logits.detach().clone()
            loss, hits = cross_entropy_(slope, labels, smoothing)
            logits.backward(slope)
        return loss, hits

    return differentiate
