"""What a circuit costs in bits, and the front of bits against fidelity over numbers of frequencies and precisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, log2, pi

import numpy as np
import numpy.typing as npt

from nets.cycles import Cycles
from synth.carrier import IntArray

PRECISIONS = (0, 1, 2, 3, 4, 6, 8, 12)  # bits for each amplitude and each phase; 0: equal amplitudes, and a sign


@dataclass(frozen=True)
class Point:
    """One description on the front of bits against fidelity.

    Attributes:
        frequencies: how many.
        precision: bits for each amplitude and phase; 0 stands for equal amplitudes and a sign each.
        bits: beyond the law and one common scale.
        interaction: share of the interaction's variance, on the cells that were read.
        exact: whether the argmax is the law.
    """

    frequencies: int
    precision: int
    bits: float
    interaction: float
    exact: bool


def circuit_bits(k: int, of: int, precision: int) -> float:
    return log2(of) + log2(comb(of, k)) + k * (2 * precision if precision else 1)


def front(cycles: Cycles, spectrum: npt.NDArray[np.complex128], ranked: IntArray, n: int, energy: float) -> list[Point]:
    """All numbers of frequencies at all precisions, those that are beaten left out.

    Args:
        spectrum: of the profile, shape (K,); ``ranked``: its indices, strongest first.
        n, energy: how many cells were read, and the interaction's sum of squares there.
    """
    weight = cycles.weights
    points: list[Point] = []
    for precision in PRECISIONS:
        said = _rounded(spectrum, precision)
        for k in range(1, len(ranked) + 1):
            chosen = ranked[:k]
            shape = np.zeros_like(said)
            shape[chosen] = said[chosen]
            overlap = float((weight * (spectrum * np.conj(shape)).real).sum())
            norm = float((weight * np.abs(shape) ** 2).sum())
            explained = overlap**2 / max(norm, 1e-30) / cycles.size * n / max(energy, 1e-30) if overlap > 0 else 0.0
            classes = cycles.function(shape)
            exact = bool((classes[1:] < classes[0]).all())
            points.append(Point(k, precision, circuit_bits(k, len(spectrum), precision), explained, exact))
    points.sort(key=lambda x: (x.bits, -x.interaction))
    best: list[Point] = []
    for point in points:
        if not best or point.interaction > best[-1].interaction + 1e-9:
            best.append(point)
    return best


def _rounded(values: npt.NDArray[np.complex128], precision: int) -> npt.NDArray[np.complex128]:
    """Amplitudes, over the largest, and phases at so many bits each."""
    if precision == 0:
        return np.where(values.real >= 0, 1.0 + 0j, -1.0 + 0j)
    levels = 2**precision
    sizes = np.ceil(np.abs(values) / max(float(np.abs(values).max()), 1e-30) * levels) / levels
    turns = np.round(np.angle(values) / (2 * pi) * levels) / levels
    return sizes * np.exp(2j * pi * turns)


def cheapest(front: Sequence[Point], fidelity: float) -> Point | None:
    """The fewest bits on the front that reach a share of the interaction's variance."""
    return next((x for x in front if x.interaction >= fidelity), None)
