"""The length-prior mixture after some labels: what it says of other inputs, and what further labels cost it.

The measure of a list of labels is the mass of the programs that have them, divided by Z, the mass of all. It has three
parts: behaviours with all their derivations (synth/derivations.py), the programs of one production more
(synth/joins.py), and the **residual**, the mass of all other programs, of which nothing is known and which is spread
evenly over the labels. Where there is an exact mixture (synth/mixture.py) it gives the measure of the first few labels,
and what the other parts leave of it is the residual from there on. Which programs are counted does not depend on the
labels, so that

- a list of labels costs -log2 of its measure, and no more than the bits of any counted program that has them;
- no list costs more than its uniform code and -log2 of the residual's share.

Where labels are wrong with probability e, a program gives 1 - e to its own and e / (m - 1) to each other value; then
programs beyond the derivations are in the residual.

After a few labels the programs that are left are listed: behaviours, and joins under the cheapest program with their
values at the probes. From there on a behaviour is its cheapest program, and if too many are left, the lightest go to
the residual. On integers a program whose value is no label drops out, and what is left is normalised.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from math import log, log2

import numpy as np
import numpy.typing as npt

from synth.carrier import IntArray
from synth.derivations import Derivations, Masses
from synth.joins import Joins, Pairs
from synth.mixture import Prior, obstacle, prior, total_mass
from synth.program import Program
from synth.vectors import vectors

Floats = npt.NDArray[np.float64]
_MOST_EXACT = 1 << 14  # states of the exact mixture
_MOST_EXACT_POINTS = 3
_MOST_LISTED = 1 << 12  # programs that are followed one by one
_MOST_PAIRS = 1 << 18  # joins that are looked at for that
_NOISY_POINTS = 16  # labels after which the lightest programs are given up, where labels may be wrong
_EARLY = 8  # inputs at which all behaviours are evaluated together
_CELLS = 1 << 20  # values of listed programs at a time
_MOST_CELLS = 1 << 24  # in all, for one prediction
_LIGHT = 46.0  # natural logarithm: under noise, listed programs so much lighter than all join the residual
_LEAST_CHANCE = 1e-300  # of a value, where it is none in floating-point numbers
_LEAST_SHARE = 1e-12  # that is left to the residual where rounding leaves nothing


@dataclass(frozen=True, eq=False)
class Listed:
    """Programs followed one by one.

    Attributes:
        positions: of the production that joins two behaviours, -1 for a behaviour itself; shape (count,).
        arguments: behaviours' indices, shape (2, count), the first being the behaviour itself or an argument.
        bits: of each, shape (count,).
        weights: natural logarithms of the shares of the measure, shape (count,).
    """

    positions: IntArray
    arguments: IntArray
    bits: IntArray
    weights: Floats

    def __len__(self) -> int:
        return len(self.bits)

    def take(self, chosen: IntArray, weights: Floats | None = None) -> Listed:
        kept = self.weights[chosen] if weights is None else weights
        return Listed(self.positions[chosen], self.arguments[:, chosen], self.bits[chosen], kept)


class Posterior:
    """The mixture after some labels.

    Attributes:
        derivations: whose programs are counted.
        noise: the declared share of wrong labels.
        exact_points: how many of the first labels are coded by the exact mixture.
        joins: whether programs of one production more are counted.
        seen: how many labels it has seen.
        log2_mass: log2 of the share of the measure that has them.
    """

    def __init__(
        self, derivations: Derivations, *, noise: float = 0.0, exact_points: int | None = None, joins: bool = True
    ) -> None:
        """Before any label.

        Args:
            exact_points: where there is an exact mixture; by default as many, up to three, as it is quick for.
            joins: whether programs of one production more count.

        Raises:
            ValueError: a noise outside [0, 1).
        """
        if not 0 <= noise < 1:
            raise ValueError(f"Posterior: noise must be a probability below 1, got {noise}")
        language, carrier = derivations.language, derivations.carrier
        self.derivations, self.noise = derivations, noise
        self.seen, self.log2_mass = 0, 0.0
        possible = obstacle(language, carrier) is None
        if exact_points is None:
            exact_points = sum(carrier.size**n <= _MOST_EXACT for n in range(1, _MOST_EXACT_POINTS + 1))
        self.exact_points = exact_points if possible else 0
        self._joins = Joins(derivations) if joins and not noise else None
        self.joins = self._joins is not None and len(self._joins) > 0
        self._total = total_mass(language)
        size = carrier.size
        self._hit = log(1 - noise)
        self._miss = log(noise / (size - 1)) if noise and size > 1 else -np.inf
        self._priors: dict[bytes, Prior] = {}
        self._early_inputs: IntArray = np.empty((0, language.arity), dtype=np.int64)
        self._early_labels: IntArray = np.empty(0, dtype=np.int64)
        self._ahead = self._early_inputs  # and perhaps some inputs after
        self._values: IntArray | None = None  # of all behaviours at the early inputs and perhaps some after
        self._measure = self._total  # of the early labels
        self._residual = 0.0  # of it
        self._pairs: list[Pairs] | None = None  # joins that have them
        self._listed: Listed | None = None
        self._log_residual = -np.inf  # of the residual's share, once programs are listed
        if not self.exact_points:
            self._residual = self._without(derivations.total + (self._joins.total if self._joins else 0.0))

    # Learning

    @property
    def size(self) -> int:
        return self.derivations.carrier.size

    def observe(self, inputs: IntArray, labels: IntArray, *, each: bool = True) -> Floats:
        """Take in labels in their order; what each costs in bits, settled before it is seen.

        Args:
            inputs, labels: shapes (t, arity) and (t,).
            each: the cost of each label is wanted; else some of the first are reckoned together, which is quicker.

        Raises:
            ValueError: shapes that do not fit, or values outside the carrier.
        """
        inputs, labels = self._checked(inputs, labels)
        costs = np.zeros(len(labels))
        at = 0
        while at < len(labels) and self._listed is None:
            if self.seen >= self._early_steps:
                self._list()
                break
            costs[at] = self._early(inputs[at:], int(labels[at]), each or at == len(labels) - 1)
            at += 1
        if at < len(labels):
            costs[at:] = self._follow(inputs[at:], labels[at:])
        self.log2_mass -= float(costs.sum())
        return costs

    def online(self, inputs: IntArray, labels: IntArray) -> Floats:
        """What further labels would cost, going on from here, without taking them in; see ``observe``."""
        return self.copy().observe(inputs, labels)

    def copy(self) -> Posterior:
        """Its arrays are never written to in place, so that a shallow copy is one."""
        return copy(self)

    def _checked(self, inputs: IntArray, labels: IntArray) -> tuple[IntArray, IntArray]:
        inputs, labels = np.asarray(inputs, dtype=np.int64), np.asarray(labels, dtype=np.int64)
        arity = self.derivations.language.arity
        if inputs.ndim != 2 or inputs.shape[1] != arity or labels.shape != inputs.shape[:1]:
            raise ValueError(
                f"Posterior: inputs of shape (t, {arity}) and labels of shape (t,) are expected, "
                f"got {inputs.shape} and {labels.shape}"
            )
        for what, values in (("input", inputs), ("label", labels)):
            if values.size and (values.min() < 0 or values.max() >= self.size):
                raise ValueError(f"Posterior: every {what} must be one of 0..{self.size - 1}")
        return inputs, labels

    @property
    def _early_steps(self) -> int:
        """How many labels are taken in before programs are listed: until what is left of the joins is few."""
        if self.noise:
            return _NOISY_POINTS
        count = max(len(self.derivations), len(self._joins) if self._joins else 0)
        steps = 1
        while count > _MOST_LISTED * self.size**steps and steps < _NOISY_POINTS:
            steps += 1
        return max(steps, self.exact_points)

    # A few labels: behaviours all together

    def _early(self, inputs: IntArray, label: int, wanted: bool) -> float:
        """Take in the first label; the inputs after it may be evaluated with it."""
        before, step = self._measure, self.seen + 1
        self._extend(inputs, label)
        self.seen = step
        if step > self.exact_points:
            before -= self._unlabelled(step - 1)
            self._residual /= self.size
        last = step == self._early_steps
        if step == self.exact_points or last or wanted or self.derivations.language.integers:
            self._pairs = (
                self._joins.pairs(self._table(), self._early_labels, _MOST_PAIRS) if self._joins and last else None
            )
            if step <= self.exact_points:
                self._measure = self._exact_mass()
            if step >= self.exact_points:
                counted = self._counted() + self._joined()
                if step == self.exact_points:
                    self._residual = max(self._measure - counted, _LEAST_SHARE * self._measure)
                self._measure = counted + self._residual
        else:
            self._measure = before
        return max(0.0, log2(before) - log2(self._measure))

    def _extend(self, inputs: IntArray, label: int) -> None:
        known = len(self._early_labels)
        if self._values is not None and self._values.shape[1] <= known:
            self._values = None
        if self._values is None or not np.array_equal(self._ahead[known], inputs[0]):
            self._ahead = np.concatenate([self._early_inputs[:known], inputs[:_EARLY]])
            self._values = None
        self._early_inputs = self._ahead[: known + 1]
        self._early_labels = np.append(self._early_labels, label)

    def _table(self) -> IntArray:
        """Of all behaviours at the early inputs, shape (behaviours, t)."""
        if self._values is None:
            packed, words = self.derivations.evaluate(np.arange(len(self.derivations)), self._ahead)
            self._values = packed.values(words)
        return self._values[:, : len(self._early_labels)]

    def _likelihoods(self, steps: int | None = None) -> Floats:
        """Of the early labels, or so many of them, under each behaviour, shape (behaviours,)."""
        labels = self._early_labels[:steps]
        table = self._table()[:, : len(labels)]
        right = table == labels
        if not self.noise:
            return right.all(axis=1).astype(np.float64)
        hits = right.sum(axis=1)
        likely = np.exp(hits * self._hit + (len(labels) - hits) * self._miss)
        return np.where(self._outside(table).any(axis=1), 0.0, likely)

    def _outside(self, values: IntArray) -> npt.NDArray[np.bool_]:
        """Which values are no label: integers outside the carrier."""
        if not self.derivations.language.integers:
            return np.zeros(values.shape, dtype=np.bool_)
        return (values < 0) | (values >= self.size)

    def _counted(self) -> float:
        return float(self.derivations.behaviours["value"].masses @ self._likelihoods())

    def _joined(self) -> float:
        if self._pairs is not None:
            return sum(float(x.masses.sum()) for x in self._pairs)
        return self._joins.mass(self._table(), self._early_labels) if self._joins else 0.0

    def _unlabelled(self, step: int) -> float:
        """The mass that has the labels so far and no label at the next input."""
        if not self.derivations.language.integers:
            return 0.0
        outside = self._outside(self._table()[:, step])
        return float(self.derivations.behaviours["value"].masses @ (self._likelihoods(step) * outside))

    def _exact_mass(self) -> float:
        key = self._early_inputs.tobytes()
        if key not in self._priors:
            language, carrier = self.derivations.language, self.derivations.carrier
            self._priors[key] = prior(language, carrier, self._early_inputs)
        found = self._priors[key]
        masses = found.masses[0]
        for label in self._early_labels.tolist():
            wrong = self.noise / (self.size - 1) if self.size > 1 else 0.0
            masses = (1 - self.noise - wrong) * masses[label] + (wrong * masses.sum(axis=0) if wrong else 0.0)
        return max(float(masses), found.rounding)

    def _without(self, counted: float) -> float:
        return max(self._total - counted, _LEAST_SHARE * self._total)

    # Listing what is left

    def _list(self) -> None:
        """Go over from all behaviours to those that are left, one by one."""
        self._listed, residual = self._survivors()
        self._log_residual = log(residual)

    def _survivors(self) -> tuple[Listed, float]:
        """What is left, the heaviest of it, and the share of the measure that is not listed."""
        found = self.derivations.behaviours["value"]
        masses = found.masses * self._likelihoods() if self.seen else found.masses.copy()
        joined = self._new_joins(masses)
        kept = np.flatnonzero(masses)
        positions = np.concatenate([np.full(len(kept), -1), joined.positions])
        arguments = np.concatenate([np.array([kept, np.full(len(kept), -1)]), joined.arguments], axis=1)
        bits = np.concatenate([found.bits[kept], joined.bits])
        shares = np.concatenate([masses[kept], joined.weights]) / self._measure
        if len(shares) > _MOST_LISTED:
            heaviest = np.sort(np.argpartition(shares, -_MOST_LISTED)[-_MOST_LISTED:])
            positions, arguments = positions[heaviest], arguments[:, heaviest]
            bits, shares = bits[heaviest], shares[heaviest]
        residual = max(1 - float(shares.sum()), self._residual / self._measure)
        return Listed(positions, arguments, bits, np.log(shares)), residual

    def _new_joins(self, masses: Masses) -> Listed:
        """Joins that are left, one for each behaviour that is new; the masses of others are added to ``masses``.

        The weights are masses. None where they are too many.
        """
        derivations = self.derivations
        none = np.empty(0, dtype=np.int64)
        nothing = Listed(none, np.empty((2, 0), dtype=np.int64), none, np.empty(0))
        if self._joins is None or not self.seen or len(self._joins) > 4 * _MOST_PAIRS * self.size**self.seen:
            return nothing
        pairs = self._pairs
        if pairs is None:
            pairs = self._joins.pairs(self._table(), self._early_labels, _MOST_PAIRS)
        if pairs is None:
            return nothing
        found = derivations.behaviours["value"]
        packed = vectors(derivations.language, derivations.carrier, len(derivations.inputs))
        places = {x.name: i for i, x in enumerate(derivations.language.productions)}
        keys, positions, arguments, bits, weights = [], [], [], [], []
        for x in pairs:
            words = packed.apply(x.rule, *(found.values.take(i, axis=1) for i in x.arguments))
            keys.append(packed.keys(words))
            positions.append(np.full(len(x.masses), places[x.rule.name]))
            arguments.append(np.concatenate([x.arguments, np.full((2 - len(x.arguments), len(x.masses)), -1)]))
            bits.append(x.rule.bits + found.bits[x.arguments].sum(axis=0))
            weights.append(x.masses)
        if not keys:
            return nothing
        key, weight, cost = np.concatenate(keys), np.concatenate(weights), np.concatenate(bits)
        known = found.find(key)
        old = (known >= 0) & (masses[known] > 0)  # one that is not left merely looks like it at the probes
        np.add.at(masses, known[old], weight[old])
        new = np.flatnonzero(~old)
        order = new[np.lexsort((cost[new], key[new]))]  # of each behaviour the cheapest first
        _, first, which = np.unique(key[order], return_index=True, return_inverse=True)
        chosen = order[first]
        return Listed(
            np.concatenate(positions)[chosen],
            np.concatenate(arguments, axis=1)[:, chosen],
            cost[chosen],
            np.asarray(np.bincount(which, weight[order], len(first)), dtype=np.float64),
        )

    # Following what is left

    def _follow(self, inputs: IntArray, labels: IntArray) -> Floats:
        costs: list[Floats] = []
        at = 0
        while at < len(labels):
            assert self._listed is not None
            step = min(max(_EARLY, _CELLS // max(1, len(self._listed))), 4 * max(_EARLY, at))
            costs.append(self._follow_block(inputs[at : at + step], labels[at : at + step]))
            at += step
        self.seen += len(labels)
        return np.concatenate(costs)

    def _follow_block(self, inputs: IntArray, labels: IntArray) -> Floats:
        assert self._listed is not None
        values = self._evaluate(self._listed, inputs)
        start = self._listed.weights
        gains = np.where(values == labels, self._hit, self._miss)
        outside = self._outside(values) if self.derivations.language.integers else None
        if outside is not None:
            gains[outside] = -np.inf
        weights = start[:, None] + np.cumsum(gains, axis=1)
        spread = self._log_residual - log(self.size) * np.arange(1, len(labels) + 1)
        after = np.logaddexp.reduce(np.concatenate([weights, spread[None]]), axis=0)
        if outside is None:
            before = np.concatenate([[0.0], after[:-1]])
        else:
            earlier = np.concatenate([start[:, None], weights[:, :-1]], axis=1)
            earlier = np.concatenate([np.where(outside, -np.inf, earlier), spread[None] + log(self.size)])
            before = np.logaddexp.reduce(earlier, axis=0)
        weights, spread = weights[:, -1] - after[-1], spread[-1] - after[-1]
        light = weights < (-_LIGHT if self.noise else -np.inf)
        light |= np.isneginf(weights)
        kept = np.flatnonzero(~light)
        self._log_residual = float(np.logaddexp.reduce(np.concatenate([weights[light], [spread]])))
        self._listed = self._listed.take(kept, weights[kept])
        return np.maximum((before - after) / log(2), 0.0)

    def _evaluate(self, listed: Listed, inputs: IntArray) -> npt.NDArray[np.int64]:
        """The values of listed programs, shape (count, t)."""
        if not len(listed):
            return np.empty((0, len(inputs)), dtype=np.int64)
        needed, place = np.unique(listed.arguments, return_inverse=True)
        place = place.reshape(listed.arguments.shape)
        spare = int(len(needed) > 0 and needed[0] < 0)
        packed, words = self.derivations.evaluate(needed[spare:], inputs)
        first, second = place - spare
        result = packed.room(len(listed))
        for position in np.unique(listed.positions).tolist():
            here = np.flatnonzero(listed.positions == position)
            made = words.take(first[here], axis=1)
            if position >= 0:
                rule = self.derivations.language.productions[position]
                parts = [made] if rule.arity == 1 else [made, words.take(second[here], axis=1)]
                made = packed.apply(rule, *parts)
            result[:, here] = made
        return packed.values(result)

    # Reading

    @property
    def residual(self) -> float:
        """The share of the measure of the labels so far of which nothing is known but that it is there."""
        if self._listed is not None:
            return float(np.exp(self._log_residual))
        if self.seen < self.exact_points:
            joined = self._joins.total if self._joins and not self.seen else self._joined() if self.seen else 0.0
            counted = self._counted() if self.seen else self.derivations.total
            return max(_LEAST_SHARE, 1 - (counted + joined) / self._measure)
        return self._residual / self._measure

    @property
    def programs(self) -> int:
        """How many programs of different behaviour are followed."""
        return len(self._now()[0])

    @property
    def map_program(self) -> Program | None:
        """The shortest program of the most probable behaviour; None where none that is counted is left."""
        listed = self._now()[0]
        return self.program(listed, int(np.argmax(listed.weights))) if len(listed) else None

    def program(self, listed: Listed, index: int) -> Program:
        """A listed program."""
        position, arguments = int(listed.positions[index]), listed.arguments[:, index].tolist()
        if position < 0:
            return self.derivations.program(arguments[0])
        rule = self.derivations.language.productions[position]
        return Program(rule, tuple(self.derivations.program(i) for i in arguments[: rule.arity]))

    def _now(self) -> tuple[Listed, float]:
        if self._listed is not None:
            return self._listed, float(np.exp(self._log_residual))
        if self.seen < self.exact_points:
            masses = self.derivations.behaviours["value"].masses
            if self.seen:
                masses = masses * self._likelihoods()
            kept = np.flatnonzero(masses)
            kept = kept[np.argsort(-masses[kept], kind="stable")[:_MOST_LISTED]]
            shares = masses[kept] / self._measure
            none, bits = np.full(len(kept), -1), self.derivations.behaviours["value"].bits[kept]
            listed = Listed(none, np.array([kept, none]), bits, np.log(shares))
            return listed, max(1 - float(shares.sum()), _LEAST_SHARE)
        return self._survivors()

    def predictive(self, inputs: IntArray) -> Floats:
        """Natural logarithms of the probabilities of the true values, shape (t, size), at inputs of shape (t, arity).

        Each input by itself, given the labels so far. Under noise labels are less certain than values. Among very many
        programs the lightest are left to the residual, which is spread evenly.
        """
        inputs = self._checked(inputs, np.zeros(len(inputs), dtype=np.int64))[0]
        listed, residual = self._heaviest(len(inputs))
        weights, residual = np.exp(listed.weights), max(residual, _LEAST_CHANCE)
        result = np.empty((len(inputs), self.size))
        for start, values in self._blocks(listed, inputs):
            result[start : start + values.shape[1]] = self._votes(values, weights) + residual / self.size
        return np.log(result / result.sum(axis=1, keepdims=True))

    def predictions(self, inputs: IntArray) -> IntArray:
        """The most probable value at each input, shape (t,), without a table of all; the least of equals."""
        inputs = self._checked(inputs, np.zeros(len(inputs), dtype=np.int64))[0]
        listed = self._heaviest(len(inputs))[0]
        weights = np.exp(listed.weights)
        if len(listed) and 2 * weights.max() > weights.sum() and not self.derivations.language.integers:
            listed = listed.take(np.array([np.argmax(weights)]))  # it outvotes all others
            weights = np.ones(1)
        result = np.zeros(len(inputs), dtype=np.int64)
        for start, values in self._blocks(listed, inputs):
            best = values[0] if len(listed) == 1 else self._votes(values, weights).argmax(axis=1)
            result[start : start + values.shape[1]] = best
        return np.where((result >= 0) & (result < self.size), result, 0)

    def _heaviest(self, cells: int) -> tuple[Listed, float]:
        """As many of the programs as there is time to evaluate at so many inputs, and the rest's share."""
        listed, residual = self._now()
        most = max(1, _MOST_CELLS // max(1, cells))
        if len(listed) > most:
            chosen = np.argsort(-listed.weights, kind="stable")[:most]
            residual += float(np.exp(listed.weights).sum() - np.exp(listed.weights[chosen]).sum())
            listed = listed.take(chosen)
        return listed, residual

    def _blocks(self, listed: Listed, inputs: IntArray) -> Iterator[tuple[int, IntArray]]:
        """The listed programs' values at some of the inputs at a time, and the first one's place."""
        step = max(1, _CELLS // max(self.size, len(listed)))
        for start in range(0, len(inputs), step):
            yield start, self._evaluate(listed, inputs[start : start + step])

    def _votes(self, values: IntArray, weights: Floats) -> Floats:
        """The weights on each value, shape (t, size)."""
        count = values.shape[1]
        places = values.astype(np.int64) + np.arange(count) * self.size
        spread = np.broadcast_to(weights[:, None], values.shape)
        if self.derivations.language.integers:
            inside = ~self._outside(values)
            places, spread = places[inside], spread[inside]
        votes = np.bincount(places.reshape(-1), spread.reshape(-1), count * self.size)
        return np.asarray(votes, dtype=np.float64).reshape(count, self.size)
