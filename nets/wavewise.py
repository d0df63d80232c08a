"""A certificate that costs less than evaluating every input: margins bounded wave by wave.

A unit of a bilinear or quadratic network that has learned a law is close to one cosine in each of its two tables and in
its readout, U = A cos(w f(a) + ..) + dU and so on. The product of three cosines is a quarter of four cosines, of
w (f + g - h), which is the law's own, and of w (f + g + h), w (f - g + h), w (-f + g + h). Summed over units, each of
the four is a function of one variable, known at all its q values from h numbers. With h units and p elements

    the margin over the class s above the law's is at least
    P(0) - P(-s)                                    the law's own function,
    - sum_j max_t (Q_j(t + s) - Q_j(t))             the three others,
    - ranges of F_a, F_b and of G_c                 what is of first order in dU, dV, dW: for each token a sum of two
                                                    functions of one variable again, computed, not estimated,
    - twice a Cauchy-Schwarz bound                  what is of second and third order,

and for the square of a sum what depends on one input alone is added, which is a table for each. That takes some
20 p^2 h operations where the logits take 2 p^3 h. Every sum runs in float64 over at most
``MOST_UNITS`` products of known size: each loses less than 5e-13 of the sum of their magnitudes, some fifteen of them
less than 1e-11, and ``SLACK`` is a thousand times that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nets.bilinear import Bilinear
from nets.models import Network
from nets.quadratic import Quadratic
from synth.carrier import IntArray
from synth.laws import Law

Array = npt.NDArray[np.float64]
SLACK = 1e-8
MOST_UNITS = 1 << 12


@dataclass(frozen=True)
class WaveCertificate:
    """Whether a network is proved to compute a law by its waves alone.

    Attributes:
        holds: proved on every cell of the law's domain, all pairs of elements.
        margin: a lower bound on every margin, in logits; above 0 the proof holds.
        share: how much of the law's own margin the bounds take away, over the class where they take most: below 1 it
            holds. NaN where there is no bound.
        waves, first, higher, alone, rounding: what of that is due to the three other cosines, to first and to higher
            order, to functions of one input, and to rounding.
        operations: multiplications and additions that it took.
        evaluating: those of evaluating every input.
        cause: why there is no bound; empty otherwise.
    """

    holds: bool
    margin: float
    share: float
    waves: float = 0.0
    first: float = 0.0
    higher: float = 0.0
    alone: float = 0.0
    rounding: float = 0.0
    operations: float = 0.0
    evaluating: float = 0.0
    cause: str = ""


def certify_by_waves(network: Network, law: Law) -> WaveCertificate:
    """Try to prove that the real-valued function of a network's weights has the law as its argmax, everywhere.

    Args:
        network: bilinear or quadratic, of two inputs; for others there is no bound.
        law: additive, with a class for every element.
    """
    kind = network.architecture
    if type(kind) not in (Bilinear, Quadratic) or law.arity != 2:
        return _none(f"no bound by waves for {kind.name} of {law.arity} inputs")
    if law.order != kind.size or any((table < 0).any() for table in law.tables):
        return _none("no bound by waves for elements without a class")
    weights = {name: x.detach().cpu().double().numpy() for name, x in network.weights.items()}
    square = isinstance(kind, Quadratic)
    names = [next(name for name, readers in kind.tables() if j in readers) for j in (0, 1)]
    left, right = (weights[name] for name in names)
    if isinstance(kind, Bilinear) and kind.shared:
        left, right = left + kind.shared * weights["u0"], right + kind.shared * weights["u1"]
    read = weights["W"][:, law.decode].T  # [class, unit], in the order of classes
    read = read - read.mean(axis=0)  # margins are differences of logits
    q, h = read.shape
    if h > MOST_UNITS:
        return _none(f"no bound by waves for more than {MOST_UNITS} units")
    f, g = law.tables
    scale = 2.0 if square else 1.0  # the square of a sum has twice the product
    k, (u, v, w) = _dominant([(left, f), (right, g), (read, np.arange(q))], q)
    t = np.arange(q)
    wave = np.exp(2j * np.pi / q * (np.outer(t, k) % q))  # [t, unit]

    def function(coefficients: npt.NDArray[np.complex128]) -> Array:
        return (wave @ coefficients).real

    own = function(u * v * np.conj(w)) * scale / 4
    others = [function(x) * scale / 4 for x in (u * v * w, u * np.conj(v) * w, np.conj(u) * v * w)]
    shifts = (t[:, None] + t[None, :]) % q  # [s, t]
    gap = own[0] - own[-t % q]
    waves = sum(((x[shifts] - x).max(axis=1) for x in others), np.zeros(q))
    du, dv, dw = (x - (wave[y] * z).real for x, y, z in ((left, f, u), (right, g, v), (read, t, w)))
    first = scale * (_ranges(du, v, w, wave) + _ranges(dv, u, w, wave) + _reading(dw, u, v, wave))
    u_wave, v_wave = (wave[f] * u).real, (wave[g] * v).real
    higher = 2 * scale * (_schwarz(du, dv, read) + _schwarz(du, dw, v_wave) + _schwarz(dv, dw, u_wave))
    alone: Array = sum((_alone(x, read) for x in (left, right)), np.zeros(q)) if square else np.zeros(q)
    sizes = [np.abs(x).max(axis=0) + np.abs(z) for x, z in ((left, u), (right, v), (read, w))]
    total = float((sizes[0] * sizes[1] * sizes[2]).sum())
    if square:
        total += float(((sizes[0] ** 2 + sizes[1] ** 2) * sizes[2]).sum())
    rounding = SLACK * total
    taken = (waves + first + higher + alone + rounding)[1:]
    gap = gap[1:]
    ratios = taken / np.maximum(gap, 1e-300)
    worst = int(ratios.argmax())
    share = float(ratios[worst]) if (gap > 0).all() else float("inf")
    least = max(float(gap[worst]), 1e-300)
    return WaveCertificate(
        holds=share < 1,
        margin=float((gap - taken).min()),
        share=share,
        waves=float(waves[1 + worst]) / least,
        first=first / least,
        higher=higher / least,
        alone=float(alone[1 + worst]) / least,
        rounding=rounding / least,
        # nine products of matrices, the spectra, and for a square two tables and their differences
        operations=18.0 * q * q * h
        + 15.0 * q * h * np.log2(q)
        + 30.0 * q * h
        + square * (4.0 * q * q * h + 2.0 * q**3),
        evaluating=q * q * h * (2.0 * q + 1),
    )


def _none(cause: str) -> WaveCertificate:
    return WaveCertificate(False, float("nan"), float("nan"), cause=cause)


def _dominant(sides: list[tuple[Array, IntArray]], order: int) -> tuple[IntArray, list[npt.NDArray[np.complex128]]]:
    """Each unit's frequency, and z for each side with rows nearest to Re(z exp(2 pi i k x / order)).

    Any choice makes a valid bound, and what it leaves is accounted for; this one leaves least in the product.
    """
    ks = np.arange(1, order // 2 + 1)
    spectra: list[npt.NDArray[np.complex128]] = []
    score: Array = np.ones((len(ks), sides[0][0].shape[1]))
    for rows, classes in sides:
        sums: Array = np.zeros((order, rows.shape[1]))
        np.add.at(sums, classes, rows)
        spectrum = np.fft.rfft(sums, axis=0)[1:] * (np.where(2 * ks == order, 1.0, 2.0) / len(rows))[:, None]
        spectra.append(spectrum)
        score *= np.abs(spectrum) ** 2
    best = score.argmax(axis=0)
    return ks[best], [x[best, np.arange(len(best))] for x in spectra]


def _ranges(
    rest: Array, one: npt.NDArray[np.complex128], two: npt.NDArray[np.complex128], wave: npt.NDArray[np.complex128]
) -> float:
    """The most that sum_h rest[a, h] Re(one e^ikx) Re(two e^iky) can change with y, over all a and x."""
    total = 0.0
    parts = [(rest @ (wave * z).real.T) / 2 for z in (one * two, np.conj(one) * two)]  # [a, y + x], [a, y - x]
    for part in parts:
        total = total + (part.max(axis=1) - part.min(axis=1))
    return float(np.max(total))


def _reading(
    rest: Array, one: npt.NDArray[np.complex128], two: npt.NDArray[np.complex128], wave: npt.NDArray[np.complex128]
) -> float:
    """The most that sum_h rest[c, h] Re(one e^ikx) Re(two e^iky) can exceed, for any c, its value for c = x + y."""
    plus = (rest @ (wave * (one * two)).real.T) / 2  # [c, x + y]
    minus = (rest @ (wave * (one * np.conj(two))).real.T) / 2  # [c, x - y]
    return float((plus - plus.diagonal()).max() + (minus.max(axis=0) - minus.min(axis=0)).max())


def _alone(table: Array, read: Array) -> Array:
    """By s, the most that the squares of one input's own table can speak for the class s above any other."""
    said = (table**2) @ read.T  # [token, class]
    t = np.arange(len(read))
    return (said[:, (t[:, None] + t[None, :]) % len(read)] - said[:, None, :]).max(axis=(0, 2))


def _schwarz(one: Array, two: Array, three: Array) -> float:
    """At least |sum_h one[a, h] two[b, h] three[c, h]| for all a, b, c, by Cauchy and Schwarz."""
    # weighted, so that no unit that is large on one side alone counts for more than it can do
    weight = np.sqrt(((one**2).mean(axis=0) + 1e-300) / ((two**2).mean(axis=0) * (three**2).mean(axis=0) + 1e-300))
    weight = np.clip(weight, 1e-6 * weight.max(), None)
    left = (one**2 / weight).sum(axis=1).max()
    right = ((two**2 * weight) @ (three**2).T).max()
    return float(np.sqrt(left * right))
