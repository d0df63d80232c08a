"""Whether a law gets more labels right than chance would: what it must do to be accepted, under noise as without."""

from __future__ import annotations

from math import inf, log

import numpy as np
import numpy.typing as npt

from synth.carrier import IntArray
from synth.twopart import least_right

_UNEVEN = 1e-3  # how often noise alone may look uneven
LEAST_EXAMPLES = 8  # without noise: chance fits so many with probability order ** -8


def fits(fit: float, n: int, order: int, noise: float, free: float = 0.0) -> bool:
    """Whether a law that predicts a share ``fit`` of n labels fits them.

    It must get as many right as the declared share of wrong labels allows, but for three standard deviations, and more
    than chance would, at the level at which it gets ``LEAST_EXAMPLES`` labels without noise right. A law that was made
    to fit the labels was chosen among many, and has to pay for that.

    Args:
        fit: the share of the labels that the law gets right.
        n: how many labels there are.
        order: how many values a label can have, at least 2.
        noise: the declared share of wrong labels.
        free: the logarithm, to the base ``order``, of how many laws this one was chosen among for its fit: the number
            of its free entries, or of its program's bits over log2(order). 0 if the labels had no part in it.
    """
    return fit >= least_right(n, noise) and against_chance(fit, n, order) >= (free + LEAST_EXAMPLES) * (1 - 1e-9)


def against_chance(fit: float, n: int, order: int) -> float:
    """How many labels without noise are as hard to get right by chance, one in ``order`` each, as a share of n.

    Chernoff's bound: n labels are right in so large a share with probability at most order ** -this; exact for all n.
    """
    if fit * order <= 1 or n == 0:
        return 0.0
    wrong = (1 - fit) * log((1 - fit) / (1 - 1 / order)) if fit < 1 else 0.0
    return n * (fit * log(fit * order) + wrong) / log(order) if order > 1 else inf


def evenly(right: npt.NDArray[np.bool_], inputs: IntArray, noise: float) -> bool:
    """Whether no element of an input has more wrong labels than noise gives any of them, but one time in a thousand.

    A law that is wrong about one element only is right about nearly all labels, as noise allows; those of that element
    are all wrong.

    Args:
        right: which labels the law gets right, shape (n,).
        inputs: shape (n, arity).
        noise: the declared share of wrong labels; without, all must be right.
    """
    from scipy.special import bdtrc  # P(more than k of n)

    if noise <= 0 or right.all():
        return bool(right.all())
    counts = [(np.bincount(x), np.bincount(x[~right], minlength=int(x.max()) + 1)) for x in inputs.T]
    level = _UNEVEN / sum(int((n > 0).sum()) for n, _ in counts)
    return all(bool((bdtrc(k[k > 0] - 1, n[k > 0], noise) >= level).all()) for n, k in counts)
