"""Named training recipes: rules in the architecture, the number of examples and the carrier's size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import comb, factorial
from typing import Any

import numpy as np

from nets.models import Architecture
from synth.carrier import IntArray


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        rate: AdamW's step size after the warm-up.
        decay: decoupled weight decay, per unit of step size.
        steps: the gradient steps of one attempt; training may end earlier on its own evidence.
        attempts: how often to start, each time from fresh weights, until an attempt settles.
        warmup: steps over which the rate rises from 0.
        cooldown: share of an attempt, at its end, over which the rate falls linearly to 0.
        betas: AdamW's.
        window: the answer is the running mean of the weights over the last ``step / window`` steps or so; 0 turns the
            mean off.
        settle: training ends once the answers on the watched cells have not changed for this share of the steps
            before; 0 means never.
        smoothing: the share of each label's weight that is spread over all values. Without it the examples' loss
            vanishes while a few other cells are still wrong by a hair, and nothing is left that could right them.
        batch: examples per step; all of them when there are no more than that.
        pace: the share of the step size, and so of its decay, at which the architecture's ``routes`` move.
        common: the share of an attempt after which all numbers of one weight have one second moment, their mean, which
            never falls; 1 means never. A moment for each number favours the axes of a matrix, which are nothing to a
            circle: cosine and sine come out of unequal size, and a frequency leaks into the outputs of another. One
            that falls makes weights jump when the gradient has vanished, and a jump costs a circle one dimension.
    """

    rate: float
    decay: float
    steps: int
    attempts: int = 1
    warmup: int = 10
    cooldown: float = 0.3
    betas: tuple[float, float] = (0.9, 0.98)
    window: float = 8.0
    settle: float = 0.4
    smoothing: float = 0.0
    batch: int = 1 << 15
    pace: float = 1.0
    common: float = 1.0


def symmetric(inputs: IntArray, labels: IntArray) -> bool | None:
    """Whether the examples say that the order of the inputs does not matter; None where they do not tell.

    Args:
        inputs, labels: the examples, shapes (n, arity) and (n,). Mirror images are compared, some n² / (2 size²) pairs
            of inputs, whose labels agree nearly always or, by chance, once in ``size``.
    """
    ordered = np.sort(inputs, axis=1)
    order = np.lexsort((*inputs.T, *ordered.T))
    one, two = order[:-1], order[1:]
    mirrored = (ordered[one] == ordered[two]).all(axis=1) & (inputs[one] != inputs[two]).any(axis=1)
    if not mirrored.any():
        return None
    return bool((labels[one] == labels[two])[mirrored].mean() > 0.5)


def worth(inputs: IntArray, size: int) -> int:
    """How many cells drawn at random say as much as these examples, to a network that is blind to their inputs' order.

    That network learns one value for each set of mirror images: 30% of all cells, drawn one by one, hold 51% of the
    pairs, and 30% of the pairs only 30%, which some 16% of the cells would have held.
    """
    n, arity = inputs.shape
    if arity == 1:
        return n
    seen = len(np.unique(np.sort(inputs, axis=1), axis=0)) / comb(size + arity - 1, arity)
    return max(1, round(size**arity * (1 - (1 - seen) ** (1 / factorial(arity)))))


def widths(
    name: str, size: int, arity: int, n: int, recipe: str = "fast", symmetric: bool | None = None
) -> dict[str, int | float]:
    """The architecture's options under the named recipe.

    Args:
        name: the architecture's.
        size, arity, n: of the carrier, the inputs, the examples.
        symmetric: whether the order of the inputs matters; None where that is not known. One table for all inputs is
            the better choice where it does not, and the wrong one where it does.
    """
    options: dict[str, int | float] = {}
    if recipe == "delayed":
        # Room to memorise in, and for waves to lie apart in; one table cannot tell places apart.
        if name == "relu":
            options |= {"d": 512, "h": 256}
        elif name == "transformer":
            options |= {"d": 128, "h": 512}
        if symmetric is False and name in ("relu", "transformer"):
            options["separate"] = True
        return options
    if symmetric is not None and name in ("quadratic", "relu", "transformer"):
        options["separate"] = not symmetric
    if name == "quadratic" and arity == 2 and size % 2 == 0:
        # Where inputs differ by half the modulus, the odd waves of one table cancel before they are squared, and the
        # even ones tell the result modulo half the modulus only.
        options["separate"] = True
    examples = _per_token(size, arity, n)
    if name == "bilinear":
        options |= {
            "h": 192 if examples >= 28 else 256,
            "shared": 0.5 if examples >= 14 else 0.3 if examples >= 11 else 0.0,
        }
    elif name == "quadratic":
        options["h"] = 128 if size < 90 else 256  # or zero, which swallows all others, is never quite learned
    elif name == "transformer":
        # Heads that start out looking everywhere memorise least, above all where the places have tables of their own.
        if recipe == "fast":
            options |= {"d": 128, "values": 2.0, "attention": 0.01 if symmetric is False else 0.1}
            place = 0.0 if symmetric is not None else 1.0  # separate tables have no need of it
        else:
            options |= {"d": 128, "h": 256, "attention": 0.1 if symmetric else 0.3}
            place = 1.0
        # Where the order of the inputs is nothing, positions would only help to memorise.
        options |= {"positions": symmetric is not True, "place": place}
    return options


def fast(architecture: Architecture, n: int) -> Recipe:
    """From random weights to an exact answer in the fewest seconds.

    A large constant step with strong decay finds the structure; at that step the weights never stand still, so the
    answer is their running mean, which becomes exact earlier than any iterate and stays so. Steps are dealt out by what
    they cost: few examples make cheap steps and need more of them. Labels are smoothed strongly: an example that is
    fitted then goes on asking for a margin of a given size over all other values, and tokens that hardly differ, or a
    zero that swallows all others, are learned as the rest instead of by heart. Chosen on p = 47, 61 and 83.
    """
    examples = _per_token(architecture.size, architecture.arity, n)
    if architecture.name == "bilinear":
        # Below ten examples a token no number of steps was enough.
        most = 1500 if examples >= 10 else 800
        return Recipe(rate=0.1, decay=2.0, smoothing=0.3, steps=_affordable(architecture, n, 2.5e11, 600, most))
    if architecture.name == "quadratic":
        return Recipe(rate=0.03, decay=2.0, smoothing=0.5, steps=_affordable(architecture, n, 2.5e11, 600, 1500))
    if architecture.name == "relu":
        return Recipe(rate=0.03, decay=2.0, smoothing=0.5, steps=_affordable(architecture, n, 2.5e11, 600, 1500))
    if architecture.name != "transformer":  # a user's own
        return Recipe(rate=0.01, decay=2.0, smoothing=0.3, steps=_affordable(architecture, n, 2.5e11, 600, 2000))
    # More tokens ask for finer steps: single answers went on flickering above p = 90.
    step = 0.04 if getattr(architecture, "positions", True) else 0.03
    # Heads trained at full pace memorise, or leave the rest too few frequencies to be exact: a product of so many
    # matrices has the lower a rank the stronger each is decayed. With fewer examples than 13 a token they are exact
    # seldom, and not for want of steps.
    return Recipe(
        rate=step * min(1.0, (60 / architecture.size) ** 0.5),
        decay=2.0,
        smoothing=0.5,
        pace=0.01,
        steps=_affordable(architecture, n, 3.5e11, 600, 1500 if examples >= 13 else 700),
    )


def sparse(architecture: Architecture, n: int) -> Recipe:
    """A transformer of three to five frequencies: a clean circuit, where ``fast`` leaves a dozen. Others as ``fast``.

    A product of many matrices has the lower a rank the more each is decayed: attention at full pace leaves few
    frequencies, and next to nothing of the others in its tables. Steps that never grow again let it come to rest, where
    others jump and lose one of a circle's two dimensions. A little smoothing asks for no more than the right answers
    need, and goes on asking. It takes its time, for what is no wave of the law fades long after the answers are exact.
    Meant for tasks that are blind to their inputs' order, from 25 examples a token on; chosen at p = 83 and 101.
    """
    if architecture.name != "transformer":
        return fast(architecture, n)
    return Recipe(
        rate=0.01,
        decay=min(3.0, max(0.5, 33 / _per_token(architecture.size, architecture.arity, n))),
        steps=2000,
        betas=(0.9, 0.99),
        settle=0.0,
        smoothing=0.004,
        common=0.1,
    )


def _per_token(size: int, arity: int, n: int) -> float:
    """How many examples hold any one token at any one place."""
    return n / size ** (arity - 1)


def _affordable(architecture: Architecture, n: int, flops: float, least: int, most: int) -> int:
    return int(min(most, max(least, flops / (3 * architecture.flops() * n))))


def delayed(architecture: Architecture, n: int) -> Recipe:
    """Training at 100% long before the held-out cells: memorising first, and time to watch it turn into an algorithm.

    The examples are fitted in some 20 to 60 steps; weak decay takes at least ten times as many, and mostly fifteen, to
    make what fits them simple. The delay goes with 1 / decay; more examples a token end it sooner, so the decay falls
    with them.

    In the networks with ReLUs the second moment remembers longer: once the gradient vanishes the step would else grow
    until the weights jump, and each jump costs structure. The ReLU network goes on long after the last cell is right,
    for that is when what the law does not explain goes; a thousandth of smoothing keeps a gradient that asks for it.
    Large steps bring its law sooner than its answers. The quadratic network needs less: three parts in a hundred
    thousand take the share of the variance that the law explains from .5 to .95, and right every last cell. More
    smoothing shortens the time between the law and the answers, and that of the bilinear network is too short as it is;
    it costs the transformer its generalisation, which stops half as long again after its answers have settled, before
    decay has left it with too few frequencies. (It would make products and squares all law, too, and quickly: their
    laws would not be readable long before the answers.)

    Meant for fractions around .4; chosen on p = 47, 61 and 83. The weights that answer are those that are trained, not
    their running mean, which would lag behind them.
    """
    scale = 24 / _per_token(architecture.size, architecture.arity, n)
    plain = Recipe(rate=0.01, decay=0.3 * scale, steps=6000, cooldown=0.6, window=0.0, settle=1.0)
    if architecture.name == "relu":
        return replace(plain, rate=0.04, decay=0.2 * scale, steps=5000, betas=(0.9, 0.999), settle=0.0, smoothing=0.001)
    if architecture.name == "quadratic":
        return replace(plain, decay=0.4 * scale, smoothing=3e-5)
    if architecture.name == "transformer":  # with few examples it takes more decay to generalise everywhere
        return replace(plain, decay=0.55 * scale**1.5, steps=4000, cooldown=0.5, betas=(0.9, 0.99), settle=0.5)
    return replace(plain, decay={"bilinear": 0.12}.get(architecture.name, 0.3) * scale)


RECIPES: Mapping[str, Callable[[Architecture, int], Recipe]] = {"fast": fast, "sparse": sparse, "delayed": delayed}


def recipe(name: str, architecture: Architecture, n: int, **changes: Any) -> Recipe:
    """The named recipe for ``n`` examples, with single settings replaced.

    Raises:
        ValueError: no such recipe.
    """
    if name not in RECIPES:
        raise ValueError(f"recipe: no recipe {name!r}; there are {', '.join(RECIPES)}")
    return replace(RECIPES[name](architecture, n), **changes)
