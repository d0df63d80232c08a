"""The circuit of a network: its logits as a few cosines of the law's combination, and how far that explains them.

logits(a, b, c) = sum_k A_k cos(2 pi k (f(a) + g(b) - h(c)) / q + phi_k) + what depends on one input alone + the rest,
where f, g are the law's tables and h(c) is c's class, of q. A circuit is an explanation and no proof. It stands beside
the delta, alpha [c = program(a, b)], which says only which answer wins. A sum of most cosines can stand for that or for
anything else, so cosines are claimed only where they beat two rivals in two measures. The rivals: the delta, and
further peaks, alpha_s [h(c) = h(program(a, b)) + s], as many as take the cosines' number of parameters. The measures:
the share of variance explained, and the worst error over half the network's margin. All three have least squares'
amplitudes, and what depends on one input alone is taken off for all three.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import pi
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nets.claims import Claim, Seen, failed_in, parts
from nets.front import Point, circuit_bits, front, weights
from nets.keys import key_frequencies
from nets.models import FloatArray
from synth.carrier import IntArray
from synth.laws import Law

if TYPE_CHECKING:
    from synth.program import Program

Array = npt.NDArray[np.float64]


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
        return circuit_bits(len(self.frequencies), self.law.order // 2, precision)


@dataclass(frozen=True, eq=False)
class CircuitReading:
    """A network's circuit with its claim, the delta's beside it.

    Attributes:
        circuit: the key frequencies alone.
        claim, delta: on the cells that were looked at.
        peaks: the delta and further peaks, the largest, as many numbers as the circuit has.
        inputs_alone: share of the centred logits' variance in parts that depend on one input alone.
        profile: share that any function of the law's combination could explain.
        failed: in what the delta or the peaks are as good: "variance", "worst error", both or neither.
        claimed_from: the fewest frequencies, strongest first, of which the claim can be made; 0 for no number of them.
        front: descriptions that no other beats in both bits and fidelity, by bits.
    """

    circuit: Circuit
    claim: Claim
    delta: Claim
    peaks: Claim
    inputs_alone: float
    profile: float
    failed: tuple[str, ...]
    claimed_from: int
    front: list[Point]

    @property
    def claimed(self) -> bool:
        """Whether the cosines beat the delta and the peaks in both measures."""
        return not self.failed


def read_circuit(law: Law, cells: IntArray, logits: FloatArray, keys: Sequence[int] | None = None) -> CircuitReading:
    """The circuit in logits of shape (N, m) at ``cells`` of shape (N, arity).

    Cells with a zero factor (discrete-log basis) belong to no cosine and are left out, as is the logit of 0 there.

    Args:
        law: read from the same network.
        keys: the circuit's frequencies; None for the key frequencies of these logits (nets/keys.py).

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
    means, alone = parts(cells[usual], values, total)
    second, first = np.partition(logits[usual].astype(np.float64), -2, axis=1)[:, -2:].T
    seen, apart = (Seen.of(x, total, (first - second) / 2) for x in (values, values - alone))
    spectrum = np.fft.rfft(means)
    weight = weights(law.order)
    energy = (np.abs(spectrum[1:]) ** 2) * weight
    ranked = np.argsort(-energy, kind="stable") + 1
    key = ranked[np.isin(ranked, key_frequencies(law, cells, logits) if keys is None else list(keys))]
    circuit = Circuit(
        law,
        tuple(int(k) for k in key),
        tuple(float(x) for x in np.abs(spectrum[key]) * weight[key - 1] / law.order),
        tuple(float(x) for x in -np.angle(spectrum[key])),
    )
    peak = np.full(law.order, -1 / law.order)
    peak[0] += 1

    def claim(function: Array, parameters: int) -> Claim:
        return Claim(
            seen.explained(function), apart.explained(function), seen.worst(function), apart.worst(function), parameters
        )

    def cosines(chosen: IntArray) -> Array:
        kept = np.zeros_like(spectrum)
        kept[chosen] = spectrum[chosen]
        return np.fft.irfft(kept, n=law.order)

    def highest(count: int) -> tuple[Array, int]:
        """The peaks that take as many numbers as ``count`` cosines, and how many they do take."""
        # A peak is two numbers, its place and its height, and the delta's place is known; all heights need no places.
        several = max(1, (3 * count + 1) // 2) if 3 * count < law.order - 1 else law.order
        chosen = np.argsort(-np.abs(means), kind="stable")[:several]
        heights = np.where(np.isin(np.arange(law.order), chosen), means, 0.0)
        return heights - heights.mean(), min(2 * len(chosen) - 1, law.order - 1)

    def claimable(count: int) -> bool:
        """Whether so many cosines beat both rivals, the cheaper measure first."""
        one, other = cosines(ranked[:count]), highest(count)[0]
        if apart.explained(one) <= max(delta.interaction, apart.explained(other)) + 1e-9:
            return False
        worst = apart.worst(one)
        return worst < delta.rest - 1e-9 and worst < apart.worst(other) - 1e-9

    delta = claim(peak * float(means @ peak) / float(peak @ peak), 1)
    found, peaks = claim(cosines(key), 3 * len(key)), claim(*highest(len(key)))
    return CircuitReading(
        circuit=circuit,
        claim=found,
        delta=delta,
        peaks=peaks,
        inputs_alone=1 - apart.size / max(seen.size, 1e-30),
        profile=len(total) * float((means**2).sum()) / max(seen.size, 1e-30),
        failed=failed_in(found, peaks, delta),
        claimed_from=next((k for k in range(1, len(ranked) + 1) if claimable(k)), 0),
        front=front(spectrum, ranked, law.order, len(total), apart.size),
    )


def evaluated(circuit: Circuit, cells: IntArray) -> IntArray:
    """The circuit's answers, shape (N,), at ``cells`` (N, arity): its argmax over c, 0 for a zero factor."""
    law = circuit.law
    entries = np.stack([table[cells[:, j]] for j, table in enumerate(law.tables)])
    best = law.decode[(entries.sum(axis=0) + int(circuit.classes.argmax())) % law.order]
    return np.where((entries >= 0).all(axis=0), best, 0)
