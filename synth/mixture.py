"""The length-prior mixture, exactly: the mass 2^-bits of all programs at once, on the vectors of their outputs.

Solomonoff's predictor (1964) restricted to a language. On n inputs the masses of all output vectors solve

    M = leaves + sum over productions of 2^-bits (M op M),

a fixed point on Z_p^n that holds every program of every length; no program is enumerated. Each convolution is a product
under its own transform (synth/measures.py). Neither sum nor product alone makes the whole diagonal, so that they take
turns: with all else held, the sums are solved for frequency by frequency, and then the products. For ring a turn of
both leaves a fiftieth of what was missing.

The probabilities at each nonterminal sum to less than 1, and so does the total mass Z, that of all finite programs: the
least solution of the same equation for numbers, by which the mixture is normalised. For ring it is a quadratic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from math import log2

import numpy as np
import numpy.typing as npt

from synth.carrier import Carrier, IntArray, Residues
from synth.grammar import SORTS
from synth.integers import literal_mass
from synth.language import Language
from synth.language import language as named_language
from synth.measures import Measure, Measures, settle
from synth.program import Production, Sort

MOST_STATES = 1 << 22  # p^n at most, unless asked for: 59^3 is 2^17.6
_TOLERANCE = 1e-13  # of the masses' sum, between two turns
_ROUNDING = 1e-9  # below this, a change that no longer halves is rounding
_MOST_TURNS = 200
_CONVOLVED = ("+", "-", "*", "/", "min", "max", "if", "==", "<")


@lru_cache(maxsize=64)
def total_masses(language: Language) -> dict[Sort, float]:
    """The sum of 2^-bits over all programs of each sort: the least solution of the grammar's equations."""
    masses: dict[Sort, float] = dict.fromkeys(SORTS, 0.0)
    while True:
        following: dict[Sort, float] = dict.fromkeys(SORTS, 0.0)
        if language.integers:
            following["value"] = literal_mass()
        for x in language.productions:
            following[x.sort] += 2.0**-x.bits * float(np.prod([masses[s] for s in x.arguments]))
        if all(following[s] - masses[s] <= 1e-16 for s in SORTS):  # from below, so that it ends
            return following
        masses = following


def total_mass(language: Language) -> float:
    """Z, the sum of 2^-bits over all programs: .723 for ring with two inputs."""
    return total_masses(language)["value"]


def obstacle(language: Language, carrier: Carrier) -> str | None:
    """Why there is no exact mixture of the language's programs on the carrier; None where there is one."""
    if not isinstance(carrier, Residues) or language.kind != "residues":
        return f"the exact mixture needs a language on residues, got {language.name} on {carrier.name}"
    for x in language.productions:
        kind = _kind(x)
        if kind is None:
            return f"the exact mixture knows no transform for the production {x.name}"
        if kind in ("*", "/") and not carrier.is_prime:
            return f"the exact mixture needs a prime modulus for {x.name}, got {carrier.modulus}"
    return None


@dataclass(frozen=True, eq=False)
class Prior:
    """The mass of all programs on the output vectors at some points, for a batch of sets of points.

    Attributes:
        masses: shape (batch, p, .., p), one axis a point; what is negative by rounding is set to 0.
        total: Z, from the grammar alone.
        rounding: the most that masses were seen to be off: the largest negative one, and the difference of their sum
            from Z. Masses that are not far above it say nothing, and ratios of them are uncertain by as much.
        turns: how many it took.
    """

    masses: Measure
    total: float
    rounding: float
    turns: int

    def log2_mass(self, outputs: IntArray) -> float:
        """log2 of the share of the mass on a prefix: shape (t,) outputs at the first t points of a batch of one."""
        outputs = np.asarray(outputs, dtype=np.int64)
        if len(self.masses) != 1 or len(outputs) >= self.masses.ndim:
            raise ValueError(f"Prior.log2_mass: expected at most {self.masses.ndim - 1} outputs and a batch of one")
        mass = float(self.masses[(0, *outputs.tolist())].sum())
        return log2(mass / self.total) if mass > 0 else -np.inf

    def predictive(self, outputs: IntArray) -> Measure:
        """Probabilities at the last point given outputs at those before, shape (n - 1,); the result is (batch, p).

        Raises:
            ValueError: a wrong number of outputs, or outputs on which the mass is no more than rounding.
        """
        outputs = np.asarray(outputs, dtype=np.int64)
        if len(outputs) != self.masses.ndim - 2:
            raise ValueError(f"Prior.predictive: expected {self.masses.ndim - 2} outputs, got {len(outputs)}")
        rows = self.masses[(slice(None), *outputs.tolist())]
        sums = rows.sum(axis=1, keepdims=True)
        if (sums <= self.rounding).any():
            raise ValueError("Prior.predictive: the mass on these outputs is no more than rounding")
        return rows / sums


def prior(language: Language, carrier: Carrier, inputs: IntArray, *, most_states: int = MOST_STATES) -> Prior:
    """The masses of all programs of a language on the output vectors at n points.

    Args:
        inputs: shape (n, arity), or (batch, n, arity) for several sets of points; n is at least 1.
        most_states: how many masses may be held; a few times as many complex numbers are held besides.

    Raises:
        ValueError: there is no exact mixture (see ``obstacle``), inputs of another shape, or too many states.
    """
    if (why := obstacle(language, carrier)) is not None:
        raise ValueError(f"prior: {why}")
    assert isinstance(carrier, Residues)
    inputs = np.asarray(inputs, dtype=np.int64)
    inputs = inputs[None] if inputs.ndim == 2 else inputs
    if inputs.ndim != 3 or 0 in inputs.shape or inputs.shape[2] != language.arity:
        raise ValueError(f"prior: inputs must have shape (n, {language.arity}), n at least 1, got {inputs.shape}")
    states = len(inputs) * carrier.modulus ** inputs.shape[1]
    if states > most_states:
        raise ValueError(f"prior: {states} masses are more than most_states={most_states}")
    return _Equation(language, carrier, inputs).solve()


def _kind(rule: Production) -> str | None:
    """What kind of term a production makes: "leaf", "table", or the name of a built-in one; None for others."""
    if not rule.arity:
        return "leaf"
    if rule.arguments == ("value",):
        return "table"
    built_in = named_language("full", 1)
    known = rule.name in _CONVOLVED and built_in[rule.name].semantics is rule.semantics
    return rule.name if known else None


@dataclass(frozen=True, eq=False)
class _Equation:
    """M = leaves + sum over productions of 2^-bits (M op M), at points of shape (batch, n, arity)."""

    language: Language
    carrier: Residues
    inputs: IntArray
    weights: dict[str, float] = field(default_factory=dict[str, float])

    def solve(self) -> Prior:
        for x in self.language.productions:
            if (kind := _kind(x)) not in ("leaf", "table", None):
                self.weights[kind] = self.weights.get(kind, 0.0) + 2.0**-x.bits
        measures = Measures(self.carrier, self.inputs.shape[1])
        leaves = self._leaves(measures)
        rest = self._rest(measures)
        sums = _Half(measures.additive, measures.from_additive, self._of("+"), self._of("-"))
        products = _Half(measures.multiplicative, measures.from_multiplicative, self._of("*"), self._of("/"))
        made = np.zeros_like(leaves)  # by products
        current, last = leaves, np.inf
        for turn in range(1, _MOST_TURNS + 1):
            before, known = current, leaves + rest(current)
            current = sums.solve(known + made)
            added = current - known - made
            current = products.solve(known + added)
            made = current - known - added
            change = float(np.abs(current - before).sum(axis=measures.axes).max())
            if change <= _TOLERANCE or (change < _ROUNDING and change > last / 2):
                return self._finished(current, measures, turn)
            last = change
        raise ArithmeticError(f"prior: the masses still change by {last:g} after {_MOST_TURNS} turns")

    def _of(self, name: str) -> float:
        return self.weights.get(name, 0.0)

    def _finished(self, current: Measure, measures: Measures, turns: int) -> Prior:
        total = total_mass(self.language)
        off = float(np.abs(current.sum(axis=measures.axes) - total).max())
        rounding = max(-float(current.min()), off, np.finfo(float).eps)
        return Prior(np.maximum(current, 0.0), total, rounding, turns)

    def _leaves(self, measures: Measures) -> Measure:
        batch, points, _ = self.inputs.shape
        result = np.zeros((batch, *measures.shape))
        for x in self.language.productions:
            if x.arity:
                continue
            if x.variable is not None:
                values = self.inputs[:, :, x.variable]
            else:
                values = np.broadcast_to(np.asarray(x.semantics(self.carrier)), (batch, points))
            np.add.at(result, (np.arange(batch), *values.T), 2.0**-x.bits)
        return result

    def _rest(self, measures: Measures) -> Callable[[Measure], Measure]:
        """All terms but leaves, sums and products."""
        domain, size = np.arange(self.carrier.modulus), self.carrier.modulus
        tables = {"value": list[tuple[IntArray, float]](), "condition": list[tuple[IntArray, float]]()}
        for x in self.language.productions:
            if x.arguments == ("value",):
                table = np.asarray(x.semantics(self.carrier, domain)).astype(np.int64)
                tables[x.sort].append((table, 2.0**-x.bits))

        def conditions(measure: Measure) -> Measure:
            result = np.zeros((len(measure), *(2,) * measures.points))
            for table, weight in tables["condition"]:
                result += weight * measures.mapped(measure, table, 2)
            for name, where in (("==", measures.equal), ("<", measures.less)):
                if weight := self._of(name):
                    result += weight * where(measure)
            return result

        def rest(measure: Measure) -> Measure:
            result = np.zeros_like(measure)
            for table, weight in tables["value"]:
                result += weight * measures.mapped(measure, table, size)
            for name, convolved in (("max", measures.largest), ("min", measures.smallest)):
                if weight := self._of(name):
                    result += weight * convolved(measure)
            if weight := self._of("if"):
                result += weight * measures.chosen(conditions(measure), measure)
            return result

        return rest


@dataclass(eq=False)
class _Half:
    """The equation M = known + plain (M op M) + inverted (M op M'), solved under one transform."""

    forward: Callable[[Measure], npt.NDArray[np.complex128]]
    backward: Callable[[npt.NDArray[np.complex128]], Measure]
    plain: float
    inverted: float
    guess: npt.NDArray[np.complex128] | None = None

    def solve(self, known: Measure) -> Measure:
        if not self.plain and not self.inverted:
            return known
        spectrum = self.forward(known)
        self.guess = settle(spectrum, self.plain, self.inverted, spectrum if self.guess is None else self.guess)
        return self.backward(self.guess)
