"""The circuit of a network: its logits as a few cosines of the law's combination, and how far that explains them.

logits(a, b, c) = sum_k A_k cos(2 pi k (f(a) + g(b) - h(c)) / q + phi_k) + what depends on one input alone + the rest,
where f, g are the law's tables and h(c) is c's class, of q; a product law's classes are of several cyclic groups, and
the cosine is of the sum of k_i (f_i(a) + g_i(b) - h_i(c)) / q_i. A circuit is an explanation and no proof. It stands
beside the delta, alpha [c = program(a, b)], which says only which answer wins. A sum of most cosines can stand for that
or for anything else, so cosines are claimed only where they beat two rivals in two measures. The rivals: the delta, and
further peaks, alpha_s [h(c) = h(program(a, b)) + s], as many as take the cosines' number of parameters. The measures:
the share of variance explained, and the worst error over half the network's margin. All three have least squares'
amplitudes, and what depends on one input alone is taken off for all three.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nets.claims import Claim, Seen, failed_in, parts
from nets.cycles import Cycles
from nets.formula import offsets_of
from nets.front import Point, circuit_bits, front
from nets.keys import loudest_keys
from nets.models import FloatArray
from synth.carrier import IntArray
from synth.laws import Law
from synth.products import ProductLaw

if TYPE_CHECKING:
    from synth.program import Program

Array = npt.NDArray[np.float64]
Frequency: TypeAlias = int | tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Circuit:
    """Cosines of a law's combination.

    Attributes:
        law: f, g, .. and the basis that h is of.
        frequencies: k, strongest first; of a product law one number for each cyclic factor of its classes.
        amplitudes, phases: A_k above 0, and phi_k in (-pi, pi].
    """

    law: Law | ProductLaw
    frequencies: tuple[Frequency, ...]
    amplitudes: tuple[float, ...]
    phases: tuple[float, ...]

    @cached_property
    def cycles(self) -> Cycles:
        """The law's classes."""
        return Cycles.of(self.law)

    @cached_property
    def classes(self) -> Array:
        """The logit of the class that is s above f(a) + g(b), shape (size,)."""
        known = [tuple(k) for k in self.cycles.keys.tolist()]
        total: Array = np.zeros(self.cycles.size)
        for k, a, p in zip(self.frequencies, self.amplitudes, self.phases, strict=True):
            total += a * (np.conj(self.cycles.turns[:, known.index(_tuple(k))]) * np.exp(1j * p)).real
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

        offsets = offsets_of(self.law, program)
        terms: list[Any] = []
        for k, a, p in zip(self.frequencies, self.amplitudes, self.phases, strict=True):
            turned = sympy.Float(round(p, digits), digits) if round(p, digits) else 0
            parts = zip(_tuple(k), self.cycles.orders, offsets, strict=True)
            wave = sympy.Add(*(sympy.Mul(sympy.Rational(2 * x, n), sympy.pi, offset) for x, n, offset in parts))
            # Evaluation looks for multiples of pi, at some milliseconds a cosine.
            terms.append(sympy.Float(a, digits) * sympy.cos(wave + turned, evaluate=False))
        return sympy.Add(*terms)

    def bits(self, precision: int) -> float:
        """What it costs beyond its law and one common scale: K, which K frequencies, and ``precision`` bits for each
        amplitude and phase (one for a sign at precision 0)."""
        return circuit_bits(len(self.frequencies), len(self.cycles.keys), precision)


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
        kept, removed: the share of the cells whose answer, among those with a class, is the law's with only the cosines
            (and each answer's mean) kept in the logits, and with them removed.
        claimed_from: the fewest frequencies, strongest first, of which the claim can be made; 0 for no number of them.
        front: descriptions that no other beats in both bits and fidelity, by bits.
    """

    circuit: Circuit
    claim: Claim
    delta: Claim
    peaks: Claim
    inputs_alone: float
    profile: float
    kept: float
    removed: float
    failed: tuple[str, ...]
    claimed_from: int
    front: list[Point]

    @property
    def claimed(self) -> bool:
        """Whether the cosines beat the delta and the peaks in both measures."""
        return not self.failed


def read_circuit(
    law: Law | ProductLaw, cells: IntArray, logits: FloatArray, keys: Sequence[Frequency] | None = None
) -> CircuitReading:
    """The circuit in logits of shape (N, m) at ``cells`` of shape (N, arity).

    Cells with a factor that has no class (zero in the discrete-log basis, non-units of a product law) belong to no
    cosine and are left out, as are the logits of answers without one there.

    Args:
        law: read from the same network.
        keys: the circuit's frequencies; None for the key frequencies of these logits (nets/keys.py).

    Raises:
        ValueError: a law without frequencies, or no cell to which it gives a class.
    """
    cycles = Cycles.of(law)
    entries, known = cycles.entries(cells)
    if not len(cycles.keys):
        raise ValueError("read_circuit: the law has no frequencies, all its classes being one")
    if not known.any():
        raise ValueError("read_circuit: the law gives no class to any of the cells")
    usual = np.flatnonzero(known)
    total = cycles.number(entries[:, :, usual].sum(axis=0))
    values = logits[usual][:, cycles.decode].astype(np.float64)
    values -= values.mean(axis=1, keepdims=True)
    means, alone = parts(cycles, cells[usual], values, total)
    second, first = np.partition(logits[usual].astype(np.float64), -2, axis=1)[:, -2:].T
    seen, apart = (Seen.of(cycles, x, total, (first - second) / 2) for x in (values, values - alone))
    spectrum = cycles.spectrum(means)
    ranked = np.argsort(-(np.abs(spectrum) ** 2) * cycles.weights, kind="stable")
    names = [tuple(k) for k in cycles.keys.tolist()]
    loud = loudest_keys(cycles, cells, logits) if keys is None else [names.index(_tuple(k)) for k in keys]
    key = ranked[np.isin(ranked, loud)]
    circuit = Circuit(
        law,
        tuple(names[k] if len(cycles.orders) > 1 else names[k][0] for k in key),
        tuple((np.abs(spectrum[key]) * cycles.weights[key] / cycles.size).tolist()),
        tuple((-np.angle(spectrum[key])).tolist()),
    )
    peak = np.full(cycles.size, -1 / cycles.size)
    peak[0] += 1

    def claim(function: Array, parameters: int) -> Claim:
        return Claim(
            seen.explained(function), apart.explained(function), seen.worst(function), apart.worst(function), parameters
        )

    def cosines(chosen: IntArray) -> Array:
        kept = np.zeros_like(spectrum)
        kept[chosen] = spectrum[chosen]
        return cycles.function(kept)

    def highest(count: int) -> tuple[Array, int]:
        """The peaks that take as many numbers as ``count`` cosines, and how many they do take."""
        # A peak is two numbers, its place and its height, and the delta's place is known; all heights need no places.
        several = max(1, (3 * count + 1) // 2) if 3 * count < cycles.size - 1 else cycles.size
        chosen = np.argsort(-np.abs(means), kind="stable")[:several]
        heights = np.where(np.isin(np.arange(cycles.size), chosen), means, 0.0)
        return heights - heights.mean(), min(2 * len(chosen) - 1, cycles.size - 1)

    def claimable(count: int) -> bool:
        """Whether so many cosines beat both rivals, the cheaper measure first."""
        one, other = cosines(ranked[:count]), highest(count)[0]
        if apart.explained(one) <= max(delta.interaction, apart.explained(other)) + 1e-9:
            return False
        worst = apart.worst(one)
        return worst < delta.rest - 1e-9 and worst < apart.worst(other) - 1e-9

    delta = claim(peak * float(means @ peak) / float(peak @ peak), 1)
    found, peaks = claim(cosines(key), 3 * len(key)), claim(*highest(len(key)))
    waves = cycles.moved(cosines(key), total)
    return CircuitReading(
        circuit=circuit,
        claim=found,
        delta=delta,
        peaks=peaks,
        inputs_alone=1 - apart.size / max(seen.size, 1e-30),
        profile=len(total) * float((means**2).sum()) / max(seen.size, 1e-30),
        kept=float(((waves + values.mean(axis=0)).argmax(axis=1) == total).mean()),
        removed=float(((values - waves).argmax(axis=1) == total).mean()),
        failed=failed_in(found, peaks, delta),
        claimed_from=next((k for k in range(1, len(ranked) + 1) if claimable(k)), 0),
        front=front(cycles, spectrum, ranked, len(total), apart.size),
    )


def evaluated(circuit: Circuit, cells: IntArray) -> IntArray:
    """The circuit's answers, shape (N,), at ``cells`` (N, arity): its argmax over c, and the law's where that has no
    class."""
    cycles = circuit.cycles
    entries, usual = cycles.entries(cells)
    answers = circuit.law.predict(cells)
    best = np.array(np.unravel_index(int(circuit.classes.argmax()), cycles.orders))
    answers[usual] = cycles.decode[cycles.number(entries[:, :, usual].sum(axis=0) + best[:, None])]
    return answers


def _tuple(frequency: Frequency) -> tuple[int, ...]:
    return frequency if isinstance(frequency, tuple) else (frequency,)
