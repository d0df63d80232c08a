"""The circuit of a network: its logits as a few cosines of the law's combination, and how far that explains them.

logits(a, b, c) = sum_k A_k cos(2 pi k (f(a) + g(b) - h(c)) / q + phi_k) + what depends on one input alone + the rest,
where f, g are the law's tables and h(c) is c's class, of q. A circuit is an explanation and no proof. It stands beside
the delta, alpha [c = program(a, b)], which says only which answer wins. A sum of most cosines can stand for that or for
anything else, so cosines are claimed only where they explain more than the delta and than as many numbers spent on
further peaks, alpha_s [h(c) = h(program(a, b)) + s].
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import comb, log2, pi
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nets.faithful import KEY_SHARE
from nets.models import FloatArray
from synth.carrier import IntArray
from synth.laws import Law

if TYPE_CHECKING:
    from synth.program import Program

Array = npt.NDArray[np.float64]
PRECISIONS = (0, 1, 2, 3, 4, 6, 8, 12)  # bits for each amplitude and each phase; 0: equal amplitudes, and a sign
_SWEEPS = 3


@dataclass(frozen=True, eq=False)
class Claim:
    """How well a function of the law's combination stands for the logits.

    Attributes:
        explained: share of the variance of the logits, centred cell by cell.
        interaction: the same after what depends on one input alone has been taken off.
        worst: the largest error of a centred logit over half the function's own margin; below 1 the function's
            argmax is the network's on every cell that was looked at.
        parameters: how many numbers it takes.
    """

    explained: float
    interaction: float
    worst: float
    parameters: int


@dataclass(frozen=True, eq=False)
class Circuit:
    """Cosines of a law's combination.

    Attributes:
        law: f, g, .. and the basis that h is of.
        frequencies: k, strongest first.
        amplitudes, phases: A_k above 0, and phi_k in (-pi, pi].
    """

    law: Law
    frequencies: tuple[int, ...]
    amplitudes: tuple[float, ...]
    phases: tuple[float, ...]

    @cached_property
    def classes(self) -> Array:
        """The logit of the class that is s above f(a) + g(b), shape (order,)."""
        s = np.arange(self.law.order)
        total: Array = np.zeros(self.law.order)
        for k, a, p in zip(self.frequencies, self.amplitudes, self.phases, strict=True):
            total += a * np.cos(2 * pi / self.law.order * (-k * s % self.law.order) + p)
        return total

    @property
    def exact(self) -> bool:
        """Whether its argmax is the law."""
        return bool((self.classes[1:] < self.classes[0]).all())

    def expression(self, program: Program | None = None, digits: int = 3) -> Any:
        """The circuit in sympy, as a function of the inputs and of c.

        Args:
            program: the law in closed form; without it f, g, .. stay names of tables.
            digits: significant ones, of amplitudes; phases are given to as many decimals.
        """
        import sympy

        from synth.symbolic import to_sympy

        inputs = sympy.symbols(" ".join("abcd"[: self.law.arity]), seq=True)
        answer = sympy.Symbol("c" if self.law.arity < 3 else "y")
        log: Any = sympy.Function("dlog") if self.law.basis == "dlog" else lambda x: x  # pyright: ignore
        if not np.array_equal(self.law.decode, Law.of(self.law.carrier, self.law.basis, self.law.tables).decode):
            program, log = None, sympy.Function("h")
        if program is not None:
            combination = log(to_sympy(program))
        else:
            combination = sum(sympy.Function(name)(x) for name, x in zip("fguv", inputs, strict=False))
        offset = combination - log(answer)
        terms: list[Any] = []
        for k, a, p in zip(self.frequencies, self.amplitudes, self.phases, strict=True):
            turned = sympy.Float(round(p, digits), digits) if round(p, digits) else 0
            wave = sympy.Mul(sympy.Rational(2 * k, self.law.order), sympy.pi, offset)
            terms.append(sympy.Float(a, digits) * sympy.cos(wave + turned))
        return sympy.Add(*terms)

    def bits(self, precision: int) -> float:
        """What it costs beyond its law and one common scale: K, which K frequencies, and ``precision`` bits for each
        amplitude and phase (one for a sign at precision 0)."""
        return _bits(len(self.frequencies), self.law.order // 2, precision)


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


@dataclass(frozen=True, eq=False)
class CircuitReading:
    """A network's circuit with its claim, the delta's beside it.

    Attributes:
        circuit: the key frequencies alone.
        claim, delta: on the cells that were looked at.
        peaks: the delta and further peaks, the largest, as many numbers as the circuit has.
        inputs_alone: share of the centred logits' variance in parts that depend on one input alone.
        profile: share that any function of the law's combination could explain.
        claimed: whether the cosines explain more than the delta and the peaks do.
        front: descriptions that no other beats in both bits and fidelity, by bits.
    """

    circuit: Circuit
    claim: Claim
    delta: Claim
    peaks: Claim
    inputs_alone: float
    profile: float
    claimed: bool
    front: list[Point]


def read_circuit(law: Law, cells: IntArray, logits: FloatArray, share: float = KEY_SHARE) -> CircuitReading:
    """The circuit in logits of shape (N, m) at ``cells`` of shape (N, arity).

    Cells with a zero factor (discrete-log basis) belong to no cosine and are left out, as is the logit of 0 there.

    Args:
        law: read from the same network.
        share: of the profile's energy, that the key frequencies must carry: the fewest that do are the circuit's.

    Raises:
        ValueError: no cell to which the law gives a class.
    """
    entries = np.stack([table[cells[:, j]] for j, table in enumerate(law.tables)])
    usual = np.flatnonzero((entries >= 0).all(axis=0))
    if not len(usual):
        raise ValueError("read_circuit: the law gives no class to any of the cells")
    total = entries[:, usual].sum(axis=0) % law.order
    values = logits[usual][:, law.decode].astype(np.float64)
    values -= values.mean(axis=1, keepdims=True)
    means, alone = _parts(cells[usual], values, total)
    inner = values - alone
    size, left = float((values**2).sum()), float((inner**2).sum())

    def claim(function: Array, parameters: int) -> Claim:
        said = _moved(function, total)
        margin = float(function[0] - function[1:].max())
        worst = float(np.abs(values - said).max()) / (margin / 2) if margin > 0 else float("inf")
        explained = 1 - float(((values - said) ** 2).sum()) / max(size, 1e-30)
        return Claim(explained, 1 - float(((inner - said) ** 2).sum()) / max(left, 1e-30), worst, parameters)

    spectrum = np.fft.rfft(means)
    weight = _weights(law.order)
    energy = (np.abs(spectrum[1:]) ** 2) * weight
    ranked = np.argsort(-energy, kind="stable")
    needed = int(np.searchsorted(np.cumsum(energy[ranked]), share * energy.sum()) + 1)
    keys = ranked[: min(needed, len(ranked))] + 1
    circuit = Circuit(
        law,
        tuple(int(k) for k in keys),
        tuple(float(x) for x in np.abs(spectrum[keys]) * weight[keys - 1] / law.order),
        tuple(float(x) for x in -np.angle(spectrum[keys])),
    )
    peak = np.full(law.order, -1 / law.order)
    peak[0] += 1
    delta = claim(peak * float(means @ peak) / float(peak @ peak), 1)
    found = claim(circuit.classes, 3 * len(keys))
    # A peak is two numbers, its place and its height, and the delta's place is known; all heights need no places.
    several = (3 * len(keys) + 1) // 2 if 3 * len(keys) < law.order - 1 else law.order
    highest = np.argsort(-np.abs(means), kind="stable")[:several]
    kept = np.where(np.isin(np.arange(law.order), highest), means, 0.0)
    peaks = claim(kept - kept.mean(), min(2 * len(highest) - 1, law.order - 1))
    return CircuitReading(
        circuit=circuit,
        claim=found,
        delta=delta,
        peaks=peaks,
        inputs_alone=1 - left / max(size, 1e-30),
        profile=len(total) * float((means**2).sum()) / max(size, 1e-30),
        claimed=found.explained > max(delta.explained, peaks.explained) + 1e-9,
        front=_front(spectrum, ranked + 1, law.order, len(total), left),
    )


def _parts(cells: IntArray, values: Array, total: IntArray) -> tuple[Array, Array]:
    """The mean profile over the law's combination, shape (order,), and what depends on one input alone, (N, order).

    By turns, each fitted to what the others leave: with some cells missing, means over them are not orthogonal.
    """
    size = int(cells.max()) + 1
    alone: list[Array] = [np.zeros_like(values) for _ in range(cells.shape[1])]
    order = [np.argsort(cells[:, j], kind="stable") for j in range(cells.shape[1])]
    counts = [np.maximum(np.bincount(cells[:, j], minlength=size), 1)[:, None] for j in range(cells.shape[1])]
    means: Array = np.zeros(values.shape[1])
    rest = values.copy()
    for _ in range(_SWEEPS):
        rest += _moved(means, total)
        means = _aligned(rest, total).mean(axis=0)
        rest -= _moved(means, total)
        for j, part in enumerate(alone):
            rest += part
            sums: Array = np.zeros((size, values.shape[1]))
            keys = cells[order[j], j]
            starts = np.flatnonzero(np.diff(keys, prepend=-1))
            sums[keys[starts]] = np.add.reduceat(rest[order[j]], starts, axis=0)
            alone[j] = (sums / counts[j])[cells[:, j]]
            rest -= alone[j]
    return means, np.sum(alone, axis=0)


def _moved(function: Array, total: IntArray) -> Array:
    """A function of s = h(c) - total as rows over classes, shape (N, order)."""
    doubled = np.concatenate([function, function])
    windows = np.lib.stride_tricks.sliding_window_view(doubled, len(function))
    return windows[-total % len(function)]


def _aligned(rows: Array, total: IntArray) -> Array:
    """Rows over classes as rows over s = h(c) - total."""
    order = rows.shape[1]
    doubled = np.concatenate([rows, rows], axis=1)
    return np.lib.stride_tricks.sliding_window_view(doubled, order, axis=1)[np.arange(len(rows)), total]


def _weights(order: int) -> Array:
    """2 for frequencies with a conjugate, 1 for order / 2; shape (order // 2,)."""
    weight = np.full(order // 2, 2.0)
    if order % 2 == 0:
        weight[-1] = 1.0
    return weight


def _bits(k: int, of: int, precision: int) -> float:
    return log2(of) + log2(comb(of, k)) + k * (2 * precision if precision else 1)


def _front(spectrum: npt.NDArray[np.complex128], ranked: IntArray, order: int, n: int, energy: float) -> list[Point]:
    """All numbers of frequencies at all precisions, those that are beaten left out."""
    weight = _weights(order)
    points: list[Point] = []
    for precision in PRECISIONS:
        said = _rounded(spectrum[1:], precision)
        for k in range(1, len(ranked) + 1):
            chosen = ranked[:k] - 1
            shape = np.zeros_like(said)
            shape[chosen] = said[chosen]
            overlap = float((weight * (spectrum[1:] * np.conj(shape)).real).sum())
            norm = float((weight * np.abs(shape) ** 2).sum())
            explained = overlap**2 / max(norm, 1e-30) / order * n / max(energy, 1e-30) if overlap > 0 else 0.0
            classes = np.fft.irfft(np.concatenate([[0], shape]), n=order)
            exact = bool((classes[1:] < classes[0]).all())
            points.append(Point(k, precision, _bits(k, order // 2, precision), explained, exact))
    points.sort(key=lambda x: (x.bits, -x.interaction))
    front: list[Point] = []
    for point in points:
        if not front or point.interaction > front[-1].interaction + 1e-9:
            front.append(point)
    return front


def _rounded(values: npt.NDArray[np.complex128], precision: int) -> npt.NDArray[np.complex128]:
    """Amplitudes, over the largest, and phases at so many bits each."""
    if precision == 0:
        return np.where(values.real >= 0, 1.0 + 0j, -1.0 + 0j)
    levels = 2**precision
    sizes = np.ceil(np.abs(values) / max(float(np.abs(values).max()), 1e-30) * levels) / levels
    turns = np.round(np.angle(values) / (2 * pi) * levels) / levels
    return sizes * np.exp(2j * pi * turns)


def cheapest(found: CircuitReading, fidelity: float) -> Point | None:
    """The fewest bits on the front that reach a share of the interaction's variance."""
    return next((x for x in found.front if x.interaction >= fidelity), None)


def evaluated(circuit: Circuit, cells: IntArray) -> IntArray:
    """The circuit's answers, shape (N,), at ``cells`` (N, arity): its argmax over c, 0 for a zero factor."""
    law = circuit.law
    entries = np.stack([table[cells[:, j]] for j, table in enumerate(law.tables)])
    best = law.decode[(entries.sum(axis=0) + int(circuit.classes.argmax())) % law.order]
    return np.where((entries >= 0).all(axis=0), best, 0)
