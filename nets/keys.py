"""Key frequencies: those in which a network's logits follow a law, told from noise; and how far the rest follows it.

A network that follows a law has energy in functions of the law's combination, and next to none in functions of any
other. What other combinations hold is therefore the noise that a frequency of the law's own must stand above.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nets.cycles import Cycles
from nets.models import FloatArray
from nets.sides import classes_of
from synth.carrier import IntArray
from synth.laws import Law

Matrix = npt.NDArray[np.float64]
OTHERS = 20  # random other combinations that the noise is measured on
NOISIEST = 0.9  # of them may be less noisy than the floor: a - b is no noise to networks that also know it
ROUNDING = 1e-6  # of the strongest frequency's energy, below which there is nothing but rounding
SHARE = 0.999  # of the energy, that keys carry where there are no other combinations


def key_frequencies(law: Law, cells: IntArray, logits: FloatArray) -> list[int]:
    """The frequencies of the law's combination that stand above the noise of the logits, strongest first.

    Args:
        cells, logits: shapes (N, arity) and (N, m), N at least 1, held out.

    Returns:
        As many as there are; none where the logits don't follow the law. See ``loudest_keys``.
    """
    return [k + 1 for k in loudest_keys(Cycles.of(law), cells, logits)]


def loudest_keys(cycles: Cycles, cells: IntArray, logits: FloatArray) -> list[int]:
    """The key frequencies, by index among ``cycles.keys``, strongest first.

    The energy of a frequency is that of its wave in the mean logits as a function of the combination (``profile``). The
    noise floor is what the strongest frequency holds, in the same sense, of random other combinations
    u f(a) + v g(b): the largest such energy but for the tenth part of the combinations where it is larger still. Waves
    that another combination shares with the law's (of order / 2 all do) are none of its noise. Combinations are drawn
    by a fixed generator: the same logits have the same keys. Where there is no other combination (one input, or a law
    modulo 2), keys are the fewest that carry ``SHARE`` of the energy.
    """
    if not len(cycles.keys):
        return []
    entries, usual = cycles.entries(cells)
    entries = entries[:, :, usual]
    spectrum = cycles.spectrum(logits[usual][:, cycles.decode].astype(np.float64))

    def energies(coefficients: IntArray) -> Matrix:
        total = cycles.number((coefficients[:, :, None] * entries).sum(axis=0))
        return cycles.weights * np.abs((spectrum * cycles.turns[total]).sum(axis=0)) ** 2

    own = energies(np.ones((len(entries), len(cycles.orders)), dtype=np.int64))
    ranked = np.argsort(-own, kind="stable")
    if not own.any():
        return []
    others = other_combinations(cycles, np.random.default_rng(0), OTHERS)
    if not others:
        return ranked[: int(np.searchsorted(np.cumsum(own[ranked]), SHARE * own.sum())) + 1].tolist()
    loudest = [float((energies(x) * _apart(cycles, x)).max()) for x in others]
    floor = max(float(np.quantile(loudest, NOISIEST)), ROUNDING * float(own.max()))
    return [int(i) for i in ranked if own[i] > floor]


def _apart(cycles: Cycles, coefficients: IntArray) -> npt.NDArray[np.bool_]:
    """Of which keys the combination's wave is none of the law's own, whose coefficients are all alike; shape (K,)."""
    between = np.diff(coefficients, axis=0)
    return np.any(between[:, None, :] * cycles.keys % np.array(cycles.orders) != 0, axis=(0, 2))


def other_combinations(cycles: Cycles, rng: np.random.Generator, count: int) -> list[IntArray]:
    """Random coefficients, shape (arity, factors), of combinations that no function of the law's own sum equals.

    All are units of the sum's ring, so that the same waves have the same energy over the other combination.
    """
    rings = [np.flatnonzero(np.gcd(np.arange(n), n) == 1) for n in cycles.orders]
    arity = len(cycles.tables)
    if arity < 2 or all(len(ring) < 2 for ring in rings):
        return []
    found: list[IntArray] = []
    while len(found) < count:
        drawn = np.stack([rng.choice(ring, size=arity) for ring in rings], axis=1)
        if (drawn != drawn[0]).any():
            found.append(drawn.astype(np.int64))
    return found


def key_waves(scores: Matrix, total: IntArray, order: int, keys: Sequence[int]) -> Matrix:
    """The key frequencies' part of scores (n, size) as a function of their cell's ``total``, shape (order, size)."""
    counts = np.bincount(total, minlength=order)
    ranked = scores[np.argsort(total, kind="stable")]
    means = np.zeros((order, scores.shape[1]))
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    there = counts > 0
    means[there] = np.add.reduceat(ranked, starts[there], axis=0) / counts[there, None]
    spectrum = np.fft.rfft(means, axis=0)
    kept = np.zeros_like(spectrum)
    kept[list(keys)] = spectrum[list(keys)]
    return np.fft.irfft(kept, n=order, axis=0)


def elsewhere(law: Law, cells: IntArray, answers: IntArray) -> float:
    """The share of cells (n, arity) whose answer is off by the most common of the wrong offsets, at least one cell.

    What is left of a structured network is structured, and hits the right answer more or less often than once in
    ``order`` by chance: as often as it hits the answer that is 1 off, or 2. It has lost the law when it is right no
    more often than that. Cells and answers without a class are never off.
    """
    entries = np.stack([table[cells[:, j]] for j, table in enumerate(law.tables)])
    given = classes_of(law)[answers]
    usual = (entries >= 0).all(axis=0) & (given >= 0)
    off = (given - entries.sum(axis=0))[usual] % law.order
    return float(np.bincount(off, minlength=law.order)[1:].max() / len(cells))
