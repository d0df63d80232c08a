"""Programs followed one by one: the few that are left after some labels, with their shares of what they all weigh."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import log

import numpy as np
import numpy.typing as npt

from synth.carrier import IntArray
from synth.derivations import Derivations
from synth.program import Program
from synth.twopart import TwoPart

Floats = npt.NDArray[np.float64]
_FIRST = 8  # labels that are looked at together to begin with
_CELLS = 1 << 20  # values of listed programs at a time
_LIGHT = 46.0  # natural logarithm: under noise, programs so much lighter than all join the residual
_LEAST_CHANCE = 1e-300  # of a value, where it is none in floating-point numbers


@dataclass(frozen=True, eq=False)
class Listed:
    """Programs, and the residual beside them, which is spread evenly over all values.

    Attributes:
        derivations: that the programs are made of.
        code: what a label costs under a program that predicts it or not.
        positions: of the production that joins behaviours, -1 for a behaviour itself; shape (count,).
        arguments: behaviours' indices, shape (2, count): the behaviour itself or the first argument, and the second; -1
            for none.
        weights: natural logarithms of the programs' shares, shape (count,).
        residual: that of the residual's.
    """

    derivations: Derivations
    code: TwoPart
    positions: IntArray
    arguments: IntArray
    weights: Floats
    residual: float

    def __len__(self) -> int:
        return len(self.weights)

    @property
    def _size(self) -> int:
        return self.derivations.carrier.size

    def take(self, chosen: IntArray, weights: Floats, residual: float) -> Listed:
        """Some of the programs, with other weights."""
        arguments = self.arguments[:, chosen]
        return replace(self, positions=self.positions[chosen], arguments=arguments, weights=weights, residual=residual)

    def heaviest(self, most: int) -> Listed:
        """At most so many programs; the others' shares are the residual's."""
        if len(self) <= most:
            return self
        order = np.argsort(-self.weights, kind="stable")
        rest = np.concatenate([self.weights[order[most:]], [self.residual]])
        return self.take(order[:most], self.weights[order[:most]], float(np.logaddexp.reduce(rest)))

    def program(self, index: int) -> Program:
        """A program by its place in the list."""
        position, arguments = int(self.positions[index]), self.arguments[:, index].tolist()
        if position < 0:
            return self.derivations.program(arguments[0])
        rule = self.derivations.language.productions[position]
        return Program(rule, tuple(self.derivations.program(i) for i in arguments[: rule.arity]))

    def values(self, inputs: IntArray) -> npt.NDArray[np.int64]:
        """The programs' values, shape (count, t), at inputs of shape (t, arity)."""
        if not len(self):
            return np.empty((0, len(inputs)), dtype=np.int64)
        needed, place = np.unique(self.arguments, return_inverse=True)
        spare = int(needed[0] < 0)
        packed, words = self.derivations.evaluate(needed[spare:], inputs)
        first, second = place.reshape(self.arguments.shape) - spare
        result = packed.room(len(self))
        for position in np.unique(self.positions).tolist():
            here = np.flatnonzero(self.positions == position)
            made = words.take(first[here], axis=1)
            if position >= 0:
                rule = self.derivations.language.productions[position]
                parts = [made] if rule.arity == 1 else [made, words.take(second[here], axis=1)]
                made = packed.apply(rule, *parts)
            result[:, here] = made
        return packed.values(result)

    # Learning

    def follow(self, inputs: IntArray, labels: IntArray) -> tuple[Floats, Listed]:
        """What each label costs in bits, settled before it is seen, and what is left after all.

        A program whose value is no label (on integers) drops out there, and what is left is normalised.
        """
        costs: list[Floats] = [np.zeros(0)]
        now, at = self, 0
        while at < len(labels):
            step = min(max(_FIRST, _CELLS // max(1, len(now))), 4 * max(_FIRST, at))
            cost, now = now._block(inputs[at : at + step], labels[at : at + step])
            costs.append(cost)
            at += step
        return np.concatenate(costs), now

    def _block(self, inputs: IntArray, labels: IntArray) -> tuple[Floats, Listed]:
        values = self.values(inputs)
        gains = np.where(values == labels, -self.code.hit * log(2), -self.code.miss * log(2))
        outside = outside_of(self.derivations, values)
        if outside is not None:
            gains[outside] = -np.inf
        weights = self.weights[:, None] + np.cumsum(gains, axis=1)
        spread = self.residual - log(self._size) * np.arange(1, len(labels) + 1)
        after = np.logaddexp.reduce(np.concatenate([weights, spread[None]]), axis=0)
        if outside is None:
            before = np.concatenate([[0.0], after[:-1]])
        else:
            earlier = np.concatenate([self.weights[:, None], weights[:, :-1]], axis=1)
            earlier = np.concatenate([np.where(outside, -np.inf, earlier), spread[None] + log(self._size)])
            before = np.logaddexp.reduce(earlier, axis=0)
        weights, left = weights[:, -1] - after[-1], spread[-1] - after[-1]
        light = weights < (-_LIGHT if self.code.noise else -np.inf)
        kept = np.flatnonzero(~(light | np.isneginf(weights)))
        left = float(np.logaddexp.reduce(np.concatenate([weights[light], [left]])))
        return np.maximum((before - after) / log(2), 0.0), self.take(kept, weights[kept], left)

    # Predicting

    def predictive(self, inputs: IntArray) -> Floats:
        """Natural logarithms of the probabilities of true values, shape (t, size)."""
        weights, residual = np.exp(self.weights), max(float(np.exp(self.residual)), _LEAST_CHANCE)
        result = np.empty((len(inputs), self._size))
        for start, values in self._blocks(inputs):
            result[start : start + values.shape[1]] = self._votes(values, weights) + residual / self._size
        return np.log(result / result.sum(axis=1, keepdims=True))

    def predictions(self, inputs: IntArray) -> IntArray:
        """The most probable value at each input, shape (t,); the least of equals."""
        weights, now = np.exp(self.weights), self
        if len(self) and 2 * weights.max() > weights.sum() and not self.derivations.language.integers:
            now = self.heaviest(1)  # it outvotes all others
        result = np.zeros(len(inputs), dtype=np.int64)
        for start, values in now._blocks(inputs):
            best = values[0] if len(now) == 1 else self._votes(values, weights).argmax(axis=1)
            result[start : start + values.shape[1]] = best
        return np.where((result >= 0) & (result < self._size), result, 0)

    def _blocks(self, inputs: IntArray) -> Iterator[tuple[int, IntArray]]:
        """The values at some of the inputs at a time, and the first one's place."""
        step = max(1, _CELLS // max(self._size, len(self)))
        for start in range(0, len(inputs), step):
            yield start, self.values(inputs[start : start + step])

    def _votes(self, values: IntArray, weights: Floats) -> Floats:
        """The weights on each value, shape (t, size)."""
        count = values.shape[1]
        places = values.astype(np.int64) + np.arange(count) * self._size
        spread = np.broadcast_to(weights[:, None], values.shape)
        if (outside := outside_of(self.derivations, values)) is not None:
            places, spread = places[~outside], spread[~outside]
        votes = np.bincount(places.reshape(-1), spread.reshape(-1), count * self._size)
        return np.asarray(votes, dtype=np.float64).reshape(count, self._size)


def outside_of(derivations: Derivations, values: IntArray) -> npt.NDArray[np.bool_] | None:
    """Which values are no label: integers outside the carrier; None where all are labels."""
    if not derivations.language.integers:
        return None
    return (values < 0) | (values >= derivations.carrier.size)
