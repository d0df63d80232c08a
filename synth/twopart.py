"""The two-part code of labels that may be wrong: the bits of a program, and the bits of its exceptions.

Where a label is wrong with probability e and a wrong label is any of the other m - 1 values, an example that the
program gets right costs -log2(1 - e) bits and an exception -log2(e) + log2(m - 1): -log2 of the labels' probability
(Rissanen 1978; Quinlan and Rivest 1989 code a tree's exceptions so). For every program the code's probabilities sum to
1 over all labels, and the programs' own to at most 1. It is weighed against the null code, log2(m) bits a label; the
one bit that says which of the two is used is the same on both sides, and left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb, exp, inf, lgamma, log, log1p, log2, sqrt


@dataclass(frozen=True)
class TwoPart:
    """The code for n labels of a carrier with ``size`` elements at a declared share ``noise`` of wrong ones.

    Raises:
        ValueError: a noise that is no probability, or an empty carrier.
    """

    size: int
    noise: float

    def __post_init__(self) -> None:
        if not 0 <= self.noise <= 1:
            raise ValueError(f"TwoPart: noise must be a probability from 0 to 1, got {self.noise}")
        if self.size < 1:
            raise ValueError(f"TwoPart: a carrier has at least one element, got {self.size}")

    @property
    def hit(self) -> float:
        """Bits of a label that the program predicts."""
        if self.size == 1:  # no label can be wrong
            return 0.0
        return -log2(1 - self.noise) if self.noise < 1 else inf

    @property
    def miss(self) -> float:
        """Bits of a label that it does not."""
        if self.size == 1 or self.noise == 0:
            return inf
        return -log2(self.noise) + log2(self.size - 1)

    def labels(self, n: int, exceptions: int) -> float:
        """Bits of n labels given a program that gets ``exceptions`` of them wrong."""
        right = n - exceptions
        return (right * self.hit if right else 0.0) + (exceptions * self.miss if exceptions else 0.0)

    def null(self, n: int) -> float:
        """Bits of n labels without a program."""
        return n * log2(self.size)

    def least(self, n: int) -> float:
        """The fewest bits that n labels cost given any program."""
        return n * min(self.hit, self.miss) if n else 0.0

    def most(self, n: int, level: float) -> int:
        """The most wrong labels among n that come, they or more, with probability ``level`` or more; at least 0."""
        left = 1.0
        for k in range(n):
            left -= _binomial(n, k, self.noise)
            if left < level:
                return k
        return n


def least_right(n: int, noise: float) -> float:
    """The share of n labels, some of them wrong, that what is true of them gets right: but for three deviations."""
    return 1 - noise - 3 * sqrt(noise * (1 - noise) / max(n, 1))


def exceptions_bits(n: int, misses: int, size: int) -> float:
    """Bits of n labels given a predictor that gets ``misses`` of them wrong, at no declared share of wrong ones.

    An adaptive flag an example says whether it is right (Krichevsky and Trofimov 1981: the integral of the flags'
    probability over a Beta(1/2, 1/2) rate), and each exception names one of the other size - 1 values.

    Raises:
        ValueError: more misses than labels, or a miss where there is only one value.
    """
    if not 0 <= misses <= n or (misses and size < 2):
        raise ValueError(f"exceptions_bits: {misses} misses among {n} labels of {size} values can't be")
    flags = lgamma(n + 1) - lgamma(misses + 0.5) - lgamma(n - misses + 0.5) + 2 * lgamma(0.5)
    return flags / log(2) + (misses * log2(size - 1) if misses else 0.0)


def subsets_needed(n: int, size: int, noise: float, missed: float, most: int) -> int:
    """How many subsets of ``size`` of n examples it takes until one is without a wrong label, but for ``missed``.

    The chance that there are such subsets and none of T random ones is one of them is the sum over k <= n - s of
    P(k wrong) (1 - C(n-k, s) / C(n, s))^T. It is no larger where subsets are disjoint blocks of permutations, as what
    falls in one block then cannot fall in another (Joag-Dev and Proschan 1983). At most ``most``, and at most as many
    as there are.
    """
    chances = [(_binomial(n, k, noise), comb(n - k, size) / comb(n, size)) for k in range(n - size + 1)]
    low, high = 1, min(most, comb(n, size))
    while low < high:
        middle = (low + high) // 2
        if sum(p * (1 - clean) ** middle for p, clean in chances) <= missed:
            high = middle
        else:
            low = middle + 1
    return low


def _binomial(n: int, k: int, p: float) -> float:
    """P(k of n), by logarithms: the coefficient alone may be beyond all floating-point numbers."""
    if p in (0, 1):
        return float(k == n * p)
    return exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(p) + (n - k) * log1p(-p))
