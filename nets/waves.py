"""The algorithm in the weights: tokens on circles, and hidden units that turn products of waves into waves of sums.

As the literature describes it (Nanda et al. 2023; Gromov 2023; Zhong et al. 2023): a token sits at the angle
2 pi k f(a) / q on a circle for each key frequency k; a hidden unit takes A cos(w f(a) + phi_a) + B cos(w g(b) + phi_b)
with w = 2 pi k / q; its nonlinearity makes a product of the two, which is half a cosine of the sum and half one of the
difference; and the readout weights of the unit are C cos(w h(c) + phi_out), with phi_out = phi_a + phi_b, so that over
many units what survives is cos(w (f(a) + g(b) - h(c))).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from nets.bilinear import Bilinear
from nets.fourier import characters
from nets.models import Network, computes_as
from nets.neurons import units
from nets.sides import classes_of
from synth.carrier import IntArray
from synth.laws import Law

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Circle:
    """The tokens of one table on the circle of one key frequency.

    Attributes:
        table: its name among the weights.
        frequency: k.
        angles: of each token's row, shape (m,), in (-pi, pi]; NaN for tokens without a class.
        expected: 2 pi k f(a) / q in (-pi, pi]; NaN alike. Of a table that several inputs share, f is the first's.
        radii: shape (m,), 1 on average for a circle.
        off: the median distance of an angle from 2 pi k f(a) / q, in radians.
        share: of the table's energy (its mean row apart) in this plane.
    """

    table: str
    frequency: int
    angles: Array
    expected: Array
    radii: Array
    off: float
    share: float


def circles(network: Network, law: Law, keys: Sequence[int]) -> list[Circle]:
    """Where tokens lie on the circle of each key frequency, for every table of weights per token.

    The plane of k is spanned by the two directions of the table that its cosine and sine project to; a row's angle is
    that of its least-squares coordinates there.
    """
    found: list[Circle] = []
    for name, readers in network.architecture.tables():
        classes = law.tables[readers[0]]
        usual = classes >= 0
        rows = _array(network.weights[name])[usual]
        rows = rows - rows.mean(axis=0)
        for k in keys:
            plane = characters(classes[usual], law.order, [k])
            directions = np.linalg.lstsq(plane, rows, rcond=None)[0]
            at, *_ = np.linalg.lstsq(directions.T, rows.T, rcond=None)
            angles: Array = np.full(len(classes), np.nan)
            radii, expected = angles.copy(), angles.copy()
            angles[usual], radii[usual] = np.arctan2(at[1], at[0]), np.hypot(at[0], at[1])
            expected[usual] = turn(2 * np.pi * (k * classes[usual] % law.order) / law.order)
            off = np.abs(turn(angles[usual] - expected[usual]))
            share = float(((plane @ directions) ** 2).sum()) / max(float((rows**2).sum()), 1e-30)
            found.append(Circle(name, k, angles, expected, radii, float(np.median(off)), share))
    return found


@dataclass(frozen=True, eq=False)
class Waves:
    """The hidden units of a network of two inputs, each by its dominant frequency; arrays of shape (h,).

    Attributes:
        frequency: k.
        share: of the variance of what enters the unit, that four waves explain: cos and sin of w f(a) and of w g(b).
            For a bilinear unit, whose nonlinearity is the product, the product of the two tables' shares.
        phase_a, phase_b, phase_out: phi_a, phi_b and phi_out.
        amplitude_a, amplitude_b, amplitude_out: A, B and C.
        of_sum, of_difference: the amplitudes of cos(w (f + g) + ..) and of cos(w (f - g) + ..) in what leaves the unit.
        agrees: whether the readout's own dominant frequency is k.
        alive: whether the unit's output varies at all.
    """

    frequency: IntArray
    share: Array
    phase_a: Array
    phase_b: Array
    phase_out: Array
    amplitude_a: Array
    amplitude_b: Array
    amplitude_out: Array
    of_sum: Array
    of_difference: Array
    agrees: npt.NDArray[np.bool_]
    alive: npt.NDArray[np.bool_]

    @property
    def turned(self) -> Array:
        """|phi_out - phi_a - phi_b|, in radians, of every unit."""
        return np.abs(turn(self.phase_out - self.phase_a - self.phase_b))

    @property
    def off(self) -> Array:
        """``turned`` of the units that are alive and whose readout agrees on the frequency."""
        return self.turned[self.agrees & self.alive]


def waves(network: Network, law: Law) -> Waves:
    """What each hidden unit computes, over all pairs of tokens with a class.

    Raises:
        ValueError: another number of inputs than two, or no hidden layer that is a product, a square or a ReLU.
    """
    if law.arity != 2:
        raise ValueError(f"waves: phases are of two inputs, got {law.arity}")
    a, b = (np.flatnonzero(table >= 0) for table in law.tables)
    cells = np.stack([x.ravel() for x in np.meshgrid(a, b, indexing="ij")], axis=1)
    shape = (len(a), len(b), -1)
    ks = list(range(1, law.order // 2 + 1))
    before, after, readout, parts = _hidden(network, cells)
    after = after.reshape(shape)
    if parts is None:
        grid = before.reshape(shape)
        grid = grid - grid.mean(axis=(0, 1))
        one, two = grid.mean(axis=1), grid.mean(axis=0)
        variance = (grid**2).mean(axis=(0, 1))
    else:
        one, two = parts[0][a] - parts[0][a].mean(axis=0), parts[1][b] - parts[1][b].mean(axis=0)
        variance = None
    left, right = (_spectrum(x, law.tables[j][y], law.order, ks) for j, (x, y) in enumerate(((one, a), (two, b))))
    if variance is None:
        norms = [np.maximum((x**2).mean(axis=0), 1e-30) for x in (one, two)]
        shares = (np.abs(left) ** 2 / 2 / norms[0]) * (np.abs(right) ** 2 / 2 / norms[1])
    else:
        shares = (np.abs(left) ** 2 + np.abs(right) ** 2) / 2 / np.maximum(variance, 1e-30)
    best = shares.argmax(axis=0)
    unit = np.arange(len(best))
    frequency = best + 1
    classes = classes_of(law)
    kept = np.flatnonzero(classes >= 0)
    read = readout.T[kept]
    out = _spectrum(read - read.mean(axis=0), classes[kept], law.order, ks)
    turns = [np.exp(-2j * np.pi / law.order * np.outer(law.tables[j][x], frequency)) for j, x in ((0, a), (1, b))]
    half = np.einsum("abh,ah->bh", after, turns[0])
    of_sum = 2 * np.abs((half * turns[1]).sum(axis=0)) / (len(a) * len(b))
    of_difference = 2 * np.abs((half * np.conj(turns[1])).sum(axis=0)) / (len(a) * len(b))
    return Waves(
        frequency=frequency,
        share=shares[best, unit],
        phase_a=np.angle(left[best, unit]),
        phase_b=np.angle(right[best, unit]),
        phase_out=np.angle(out[best, unit]),
        amplitude_a=np.abs(left[best, unit]),
        amplitude_b=np.abs(right[best, unit]),
        amplitude_out=np.abs(out[best, unit]),
        of_sum=of_sum,
        of_difference=of_difference,
        agrees=np.abs(out).argmax(axis=0) == best,
        alive=after.std(axis=(0, 1)) > 1e-6 * max(float(after.std()), 1e-30),
    )


def turn(angles: Array) -> Array:
    """Angles brought to (-pi, pi]."""
    return -((-angles + np.pi) % (2 * np.pi) - np.pi)


def _spectrum(rows: Array, classes: IntArray, order: int, ks: Sequence[int]) -> npt.NDArray[np.complex128]:
    """z_k with rows = sum |z_k| cos(2 pi k x / order + arg z_k) for each column, shape (len(ks), columns)."""
    turning: npt.NDArray[np.complex128] = np.exp(-2j * np.pi / order * np.outer(ks, classes))
    twice = np.where(2 * np.asarray(ks) == order, 1.0, 2.0)[:, None]
    return (twice * (turning @ rows) / len(rows)).astype(np.complex128)


def _array(value: Tensor) -> Array:
    return value.detach().cpu().double().numpy()


def _hidden(network: Network, cells: IntArray) -> tuple[Array, Array, Array, tuple[Array, Array] | None]:
    """What enters and leaves the hidden units, both (n, h); their readout weights (h, m); a product's two tables."""
    found = units(network, cells)
    if found is None:
        raise ValueError(
            f"waves: {type(network.architecture).__name__} has no hidden layer known to be a product, square or ReLU"
        )
    parts: tuple[Array, Array] | None = None
    kind = network.architecture
    if computes_as(kind, Bilinear):
        shared = kind.shared
        one, two = (_array(network.weights[f"U{i}"] + shared * network.weights[f"u{i}"]) for i in (0, 1))
        parts = one, two
    return found.drive.astype(np.float64), found.activity.astype(np.float64), found.readout.astype(np.float64), parts
