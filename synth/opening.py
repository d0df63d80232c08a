"""The first few labels: under all behaviours at once, joins by look-ups, and the exact mixture where there is one.

Programs that agree with none, one or two labels are too many to follow. Their mass is known all the same: that of
behaviours by evaluating each at these inputs, that of joins by look-ups, and that of all programs exactly.
"""

from __future__ import annotations

from math import ceil, log, log2

import numpy as np

from synth.behaviours import Masses
from synth.carrier import IntArray
from synth.derivations import Derivations
from synth.joins import Joins, Pairs
from synth.listed import Floats, Listed, outside_of
from synth.mixture import Prior, obstacle, prior, total_mass
from synth.twopart import TwoPart
from synth.vectors import vectors

_MOST_EXACT = 1 << 14  # states of the exact mixture
_MOST_EXACT_POINTS = 3
_MOST_LISTED = 1 << 13  # programs that are followed one by one
_FEW = 1e-6  # of the measure may be unlisted; where it is more, and a light program may be meant, more labels tell ...
_WAIT_BITS = 12  # ... unless labels with so much information did not
_MOST_PAIRS = 1 << 18  # joins that are looked at for that
_MOST_STEPS = 16  # labels after which programs are listed in any case: the lightest of too many are given up
_AHEAD = 8  # inputs at which all behaviours are evaluated together
_LEAST_SHARE = 1e-12  # that is left to the residual where rounding leaves nothing


class Opening:
    """The masses of programs that have the first labels. Its arrays are never written to in place.

    Attributes:
        derivations, joins: what is counted; joins are None where they are not.
        exact_points: of how many labels the measure is the exact mixture's.
        labels: those so far.
        measure: the mass of all programs that have them, as far as it is known and spread evenly beyond.
    """

    def __init__(self, derivations: Derivations, code: TwoPart, *, exact_points: int | None, joins: bool) -> None:
        language, carrier = derivations.language, derivations.carrier
        self.derivations, self.code = derivations, code
        self.joins = Joins(derivations) if joins and not code.noise else None
        if exact_points is None:
            exact_points = sum(carrier.size**n <= _MOST_EXACT for n in range(1, _MOST_EXACT_POINTS + 1))
        self.exact_points = exact_points if obstacle(language, carrier) is None else 0
        self.labels: IntArray = np.empty(0, dtype=np.int64)
        self.measure = total_mass(language)
        self._inputs: IntArray = np.empty((0, language.arity), dtype=np.int64)  # theirs, and perhaps some after
        self._values: IntArray | None = None  # of all behaviours there
        self._mass = 0.0  # of joins that have the labels, where the measure was wanted
        self._pairs: list[Pairs] | None = None  # those joins, where they are few
        self._left: Listed | None = None  # what is left
        self._priors: dict[bytes, Prior] = {}
        counted = derivations.total + (self.joins.total if self.joins else 0.0)
        self._residual = max(self.measure - counted, _LEAST_SHARE * self.measure)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def steps(self) -> int:
        """After how many labels programs may be few enough to be listed, if the labels tell enough."""
        if self.code.noise:
            return _MOST_STEPS
        count, steps = max(len(self.derivations), len(self.joins) if self.joins else 0), 1
        while count > _MOST_LISTED * self.code.size**steps and steps < _MOST_STEPS:
            steps += 1
        return max(steps, self.exact_points)

    @property
    def over(self) -> bool:
        """Whether it is time to follow programs one by one; which depends on the labels so far."""
        if len(self) < self.steps:
            return False
        extra = ceil(_WAIT_BITS / log2(max(self.code.size, 2)))
        if len(self) >= min(self.steps + extra, _MOST_STEPS):
            return True
        return np.exp(self.listed().residual) - self.residual <= _FEW

    @property
    def residual(self) -> float:
        """The share of the measure of programs that are not counted."""
        if 0 < len(self) < self.exact_points:
            joined = self.joins.mass(self._table(), self.labels) if self.joins else 0.0
            return max(1 - (self._counted() + joined) / self.measure, _LEAST_SHARE)
        return self._residual / self.measure

    def add(self, inputs: IntArray, label: int, *, wanted: bool) -> float:
        """Take in a label, that of the first input; the inputs after it may be evaluated with it.

        Returns:
            What it costs in bits; 0 where that is not wanted and is left to a later label.
        """
        before = self.measure
        self._extend(inputs, label)
        step = len(self)
        if step > self.exact_points:
            before -= self._unlabelled()
            self._residual /= self.code.size
        last = step >= self.steps
        if not (wanted or last or step == self.exact_points or self.derivations.language.integers):
            return 0.0
        if self.joins and step >= self.exact_points:
            most = _MOST_PAIRS if last else 0
            self._mass, self._pairs = self.joins.look_up(self._table(), self.labels, most)
        if step <= self.exact_points:
            self.measure = self._exact()
        if step >= self.exact_points:
            counted = self._counted() + self._mass
            if step == self.exact_points:
                self._residual = max(self.measure - counted, _LEAST_SHARE * self.measure)
            self.measure = counted + self._residual
        return max(0.0, log2(before) - log2(self.measure))

    def _extend(self, inputs: IntArray, label: int) -> None:
        known = len(self)
        if len(self._inputs) <= known or not np.array_equal(self._inputs[known], inputs[0]):
            self._inputs = np.concatenate([self._inputs[:known], inputs[:_AHEAD]])
            self._values = None
        self.labels = np.append(self.labels, label)
        self._left = None

    def _table(self) -> IntArray:
        """Of all behaviours at the labels' inputs, shape (behaviours, t)."""
        if self._values is None:
            packed, words = self.derivations.evaluate(np.arange(len(self.derivations)), self._inputs)
            self._values = packed.values(words)
        return self._values[:, : len(self)]

    # Masses

    @property
    def _masses(self) -> Masses:
        return self.derivations.behaviours["value"].masses

    def _likelihoods(self, steps: int) -> Floats:
        """Of the first labels under each behaviour, shape (behaviours,)."""
        if not steps:
            return np.ones(len(self.derivations))
        table, labels = self._table()[:, :steps], self.labels[:steps]
        if not self.code.noise:
            return (table == labels).all(axis=1).astype(np.float64)
        hits = (table == labels).sum(axis=1)
        misses = (steps - hits) * self.code.miss if self.code.size > 1 else 0.0
        likely = np.exp2(-hits * self.code.hit - misses)
        outside = outside_of(self.derivations, table)
        return likely if outside is None else np.where(outside.any(axis=1), 0.0, likely)

    def _counted(self) -> float:
        return float(self._masses @ self._likelihoods(len(self)))

    def _unlabelled(self) -> float:
        """The mass that has all labels but the last and no label at its input."""
        if not self.derivations.language.integers:
            return 0.0
        outside = outside_of(self.derivations, self._table()[:, -1])
        assert outside is not None
        return float(self._masses @ (self._likelihoods(len(self) - 1) * outside))

    def _exact(self) -> float:
        """The mass of all programs with the labels.

        Labels that no program has cost what the residual's least share is worth, and every label after them the
        uniform code: masses below rounding say nothing.
        """
        inputs = self._inputs[: len(self)]
        if (key := inputs.tobytes()) not in self._priors:
            self._priors[key] = prior(self.derivations.language, self.derivations.carrier, inputs)
        found, size = self._priors[key], self.code.size
        masses, wrong = found.masses[0], self.code.noise / (size - 1) if size > 1 else 0.0
        mass = float(masses.sum())
        for at, label in enumerate(self.labels.tolist()):
            masses = (1 - self.code.noise - wrong) * masses[label] + (wrong * masses.sum(axis=0) if wrong else 0.0)
            if float(masses.sum()) <= found.rounding:
                return mass * _LEAST_SHARE / float(size) ** (len(self) - at)
            mass = float(masses.sum())
        return mass

    # What is left

    def listed(self) -> Listed:
        """The programs that are left, the heaviest of them: behaviours, and joins where they are few enough.

        Joins with one behaviour are listed under the cheapest, or with the behaviour itself where that is left.
        """
        return self._whole().heaviest(_MOST_LISTED)

    def _whole(self) -> Listed:
        if self._left is None:
            self._left = self._list()
        return self._left

    def _list(self) -> Listed:
        found = self.derivations.behaviours["value"]
        masses = found.masses * self._likelihoods(len(self))
        positions, arguments, weights = self._new_joins(masses)
        kept = np.flatnonzero(masses)
        shares = np.concatenate([masses[kept], weights]) / self.measure
        return Listed(
            self.derivations,
            self.code,
            np.concatenate([np.full(len(kept), -1), positions]),
            np.concatenate([np.array([kept, np.full(len(kept), -1)]), arguments], axis=1),
            np.log(shares),
            log(max(1 - float(shares.sum()), self.residual)),
        )

    def _new_joins(self, masses: Masses) -> tuple[IntArray, IntArray, Masses]:
        """Joins that are left, one for each behaviour that is new: productions' positions, arguments, and masses.

        The masses of others are added to ``masses``. None are found where they are too many.
        """
        derivations, pairs = self.derivations, self._pairs
        nothing = np.empty(0, dtype=np.int64), np.empty((2, 0), dtype=np.int64), np.empty(0)
        few = self.joins and len(self) and len(self.joins) <= 4 * _MOST_PAIRS * self.code.size ** len(self)
        if pairs is None and self.joins and few and len(self) < self.steps:
            pairs = self.joins.look_up(self._table(), self.labels, _MOST_PAIRS)[1]
        if not pairs:
            return nothing
        found = derivations.behaviours["value"]
        packed = vectors(derivations.language, derivations.carrier, len(derivations.inputs))
        places = {x.name: i for i, x in enumerate(derivations.language.productions)}
        words = [packed.apply(x.rule, *(found.values.take(i, axis=1) for i in x.arguments)) for x in pairs]
        keys = np.concatenate([packed.keys(x) for x in words])
        weights = np.concatenate([x.masses for x in pairs])
        bits = np.concatenate([x.rule.bits + found.bits[x.arguments].sum(axis=0) for x in pairs])
        known = found.find(keys)
        old = (known >= 0) & (masses[known] > 0)  # one that is not left merely looks like it at the probes
        np.add.at(masses, known[old], weights[old])
        new = np.flatnonzero(~old)
        order = new[np.lexsort((bits[new], keys[new]))]  # of each behaviour the cheapest first
        _, first, which = np.unique(keys[order], return_index=True, return_inverse=True)
        chosen = order[first]
        positions = np.concatenate([np.full(len(x.masses), places[x.rule.name]) for x in pairs])
        arguments = [np.concatenate([x.arguments, np.full((2 - len(x.arguments), len(x.masses)), -1)]) for x in pairs]
        summed = np.asarray(np.bincount(which, weights[order], len(first)), dtype=np.float64)
        return positions[chosen], np.concatenate(arguments, axis=1)[:, chosen], summed
