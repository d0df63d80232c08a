"""A proof that a network's argmax is a program on every input: its forward pass with a bound on every rounding.

What is proved is about a function over the real numbers: the architecture's forward pass, applied without rounding to
the stored float32 weights. On each cell of the domain the answer's logit exceeds every other by more than the two
enclosures' radii (nets/enclosure.py), so the largest is the answer's, and the float64 logits that were looked at differ
from the real ones by no more than the radius. With ``unit=SINGLE`` the same holds of every float32 evaluation of that
forward pass, its sums in any order, if the library's exp is right to four units.

Numbers that a user's forward pass computes from the tokens without the weights are taken as the float64 that they are.

This costs what evaluating the network on every input costs, about six times in float64, and explains nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from nets.enclosure import DOUBLE, SINGLE, Enclosed, NoBound
from nets.models import Network, tokens
from synth.carrier import IntArray

_BLOCK = 1 << 10  # cells at once: a few float64 arrays of (cells, width) stay in cache
_CLEAR = 1 + 2.0**-40  # more than the roundings of the final comparison


@dataclass(frozen=True)
class Certificate:
    """Whether a network's argmax is proved to be the given answers, and how clearly.

    Attributes:
        holds: proved on every cell.
        margin: the narrowest margin, over cells, of the answer's logit over the best other; negative where it is not
            the best. NaN where there is no bound.
        bound: the largest bound on the error of a margin.
        ratio: the least margin over its own bound, over cells and other answers: above 1 the proof holds.
        cells: how many were evaluated.
        failure: the first cell where it fails, or None.
        cause: why it fails, "" where it holds.
    """

    holds: bool
    margin: float
    bound: float
    ratio: float
    cells: int
    failure: tuple[int, ...] | None
    cause: str


def certify(network: Network, cells: IntArray, answers: IntArray, unit: float = DOUBLE) -> Certificate:
    """Try to prove that the network answers ``answers`` (N,) on ``cells`` (N, arity).

    Args:
        network: of any architecture whose forward pass torch writes in sums, products, quotients, squares, exp, relu
            and softmax. One that does something else gets a certificate that does not hold, with the operation's name.
        unit: the unit roundoff of the evaluations spoken of; DOUBLE for the function over the reals.

    Raises:
        ValueError: cells and answers of different lengths, or none.
    """
    if len(cells) != len(answers) or not len(cells):
        raise ValueError(f"certify: needs as many answers as cells, and some, got {len(answers)} for {len(cells)}")
    if not 0 <= int(answers.min()) <= int(answers.max()) < network.architecture.size:
        raise ValueError(f"certify: answers must lie in 0 .. {network.architecture.size - 1}")
    margin, bound, ratio = np.inf, 0.0, np.inf
    failure: tuple[int, ...] | None = None
    try:
        weights = {name: Enclosed.exactly(x, unit) for name, x in network.weights.items()}
        for start in range(0, len(cells), _BLOCK):
            some, right = cells[start : start + _BLOCK], answers[start : start + _BLOCK]
            with torch.no_grad():
                logits = network.architecture.forward(weights, tokens(some))
            if not isinstance(logits, Enclosed):
                raise NoBound("a forward pass that leaves torch")
            margins, bounds = (x.numpy() for x in _margins(logits, torch.from_numpy(np.array(right))))
            # A structural tie has neither a margin nor a bound.
            ratios = np.divide(margins, bounds, out=np.zeros_like(margins), where=(margins != 0) & (bounds > 0))
            ratios[(margins > 0) & (bounds == 0)] = np.inf
            margin, bound = min(margin, float(margins.min())), max(bound, float(bounds.max()))
            ratio = min(ratio, float(ratios.min()))
            if failure is None and not (ratios > _CLEAR).all():
                first = int(np.flatnonzero(~(ratios > _CLEAR).all(axis=1))[0])
                failure = tuple(int(x) for x in some[first])
        if failure is None and (said := network.predict(cells) != answers).any():
            # The enclosure went another way than the network does, as code that asks for a number's type may.
            failure = tuple(int(x) for x in cells[int(np.flatnonzero(said)[0])])
            margin = -np.inf
    except (NoBound, TypeError, RuntimeError, ValueError, AssertionError, AttributeError) as reason:
        nan, what = float("nan"), "" if isinstance(reason, NoBound) else f"{type(reason).__name__}: "
        why = " ".join(f"{what}{reason}".split())[:200]
        return Certificate(False, nan, nan, nan, 0, None, f"no bound for {type(network.architecture).__name__}: {why}")
    cause = ""
    if failure is not None:
        cause = "another answer" if margin < 0 else "a margin within rounding"
    return Certificate(failure is None, margin, bound, ratio, len(cells), failure, cause)


def _margins(logits: Enclosed, right: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Of the right answer over each other, and the bound on the error of that, both of shape (n, size - 1)."""
    middle, radius = logits.middle, logits.radius
    others = torch.ones_like(middle, dtype=torch.bool).scatter_(1, right[:, None], False)
    shape = (len(middle), -1)
    margin = (middle.gather(1, right[:, None]) - middle)[others].view(shape)
    return margin, (radius.gather(1, right[:, None]) + radius)[others].view(shape)


__all__ = ["DOUBLE", "SINGLE", "Certificate", "certify"]
