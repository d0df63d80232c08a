"""The length-prior mixture after some labels: what it says of other inputs, and what further labels cost it.

The measure of a list of labels is the mass of the programs that have them, divided by Z, the mass of all. It has three
parts: behaviours with all their derivations (synth/derivations.py), the programs of one production more
(synth/joins.py), and the **residual**, the mass of all other programs, of which nothing is known and which is spread
evenly over the labels. Where there is an exact mixture (synth/mixture.py) it gives the measure of the first few labels,
and what the other parts leave of it is the residual from there on. Which programs are counted does not depend on the
labels, so that

- a list of labels costs -log2 of its measure, and no more than the bits of any counted program that has them;
- without exact labels, no list costs more than its uniform code and -log2 of the residual's share.

Where labels are wrong with probability e, a program gives 1 - e to its own and e / (m - 1) to each other value; then
programs beyond the derivations are in the residual.

After a few labels (synth/opening.py) the programs that are left are listed (synth/listed.py): behaviours, and joins
under the cheapest program with their values at the probes. From there on a behaviour is its cheapest program, and if
too many are left, the lightest go to the residual.
"""

from __future__ import annotations

from copy import copy

import numpy as np

from synth.carrier import IntArray
from synth.derivations import Derivations
from synth.listed import Floats, Listed
from synth.opening import Opening
from synth.program import Program
from synth.twopart import TwoPart

_MOST_CELLS = 1 << 24  # values of programs in all, for one prediction
_MOST_ASKED = 64  # beginnings of further labels that are remembered


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
            joins: whether programs of one production more count, where labels are not noisy and there are inverses.

        Raises:
            ValueError: a noise outside [0, 1).
        """
        if not 0 <= noise < 1:
            raise ValueError(f"Posterior: noise must be a probability below 1, got {noise}")
        code = TwoPart(derivations.carrier.size, noise)
        self.derivations, self.noise = derivations, noise
        self.seen, self.log2_mass = 0, 0.0
        self._opening = Opening(derivations, code, exact_points=exact_points, joins=joins)
        self._listed: Listed | None = None
        self._left: Listed | None = None  # what would be listed now
        self._asked: dict[tuple[bytes, bytes], tuple[float, Opening]] = {}  # by further labels: the last one's cost
        self.exact_points = self._opening.exact_points
        self.joins = self._opening.joins is not None and len(self._opening.joins) > 0

    def observe(self, inputs: IntArray, labels: IntArray, *, each: bool = True) -> Floats:
        """Take in labels in their order; what each costs in bits, settled before it is seen.

        Args:
            inputs, labels: shapes (t, arity) and (t,).
            each: the cost of each label is wanted; else some of the first are reckoned together, which is quicker.

        Raises:
            ValueError: shapes that do not fit, or values outside the carrier.
        """
        self._asked = {}
        return self._observe(inputs, labels, each=each)

    def online(self, inputs: IntArray, labels: IntArray) -> Floats:
        """What further labels would cost, going on from here, without taking them in; see ``observe``.

        The first of them, which are dear, are remembered: lists that begin alike cost less time from the second on.
        """
        following = copy(self)  # its parts' arrays are never written to in place
        following._opening = copy(self._opening)
        if len(self._asked) > _MOST_ASKED:
            self._asked = {}
        return following._observe(inputs, labels, each=True, asked=self._asked)

    def _observe(
        self,
        inputs: IntArray,
        labels: IntArray,
        *,
        each: bool,
        asked: dict[tuple[bytes, bytes], tuple[float, Opening]] | None = None,
    ) -> Floats:
        inputs, labels = self._checked(inputs, labels)
        self._left = None
        costs, at = np.zeros(len(labels)), 0
        while at < len(labels) and self._listed is None:
            if self._opening.over:
                self._listed = self._opening.listed()
                break
            wanted = each or at == len(labels) - 1
            key = inputs[: at + 1].tobytes(), labels[: at + 1].tobytes()
            if asked is None:
                costs[at] = self._opening.add(inputs[at:], int(labels[at]), wanted=wanted)
            elif key in asked:
                costs[at], self._opening = asked[key]
            else:
                self._opening = copy(self._opening)
                costs[at] = self._opening.add(inputs[at:], int(labels[at]), wanted=wanted)
                asked[key] = float(costs[at]), self._opening
            at += 1
        if at < len(labels) and self._listed is not None:
            costs[at:], self._listed = self._listed.follow(inputs[at:], labels[at:])
        self.seen += len(labels)
        self.log2_mass -= float(costs.sum())
        return costs

    @property
    def residual(self) -> float:
        """The share of the measure of the labels so far of which nothing is known but that it is there."""
        return self._opening.residual if self._listed is None else float(np.exp(self._listed.residual))

    @property
    def programs(self) -> int:
        """How many programs of different behaviour it would follow from here."""
        return len(self._now())

    @property
    def map_program(self) -> Program | None:
        """The shortest program of the most probable behaviour; None where none that is counted is left."""
        listed = self._now()
        return listed.program(int(np.argmax(listed.weights))) if len(listed) else None

    def predictive(self, inputs: IntArray) -> Floats:
        """Natural logarithms of the probabilities of the true values, shape (t, size), at inputs of shape (t, arity).

        Each input by itself, given the labels so far. Under noise labels are less certain than values. Among very many
        programs the lightest are left to the residual, which is spread evenly.
        """
        inputs, _ = self._checked(inputs, np.zeros(len(inputs), dtype=np.int64))
        return self._now().heaviest(max(1, _MOST_CELLS // max(1, len(inputs)))).predictive(inputs)

    def predictions(self, inputs: IntArray) -> IntArray:
        """The most probable value at each input, shape (t,), without a table of all; the least of equals."""
        inputs, _ = self._checked(inputs, np.zeros(len(inputs), dtype=np.int64))
        return self._now().heaviest(max(1, _MOST_CELLS // max(1, len(inputs)))).predictions(inputs)

    def _now(self) -> Listed:
        if self._left is None:
            self._left = self._opening.listed() if self._listed is None else self._listed
        return self._left

    def _checked(self, inputs: IntArray, labels: IntArray) -> tuple[IntArray, IntArray]:
        inputs, labels = np.asarray(inputs, dtype=np.int64), np.asarray(labels, dtype=np.int64)
        arity, size = self.derivations.language.arity, self.derivations.carrier.size
        if inputs.ndim != 2 or inputs.shape[1] != arity or labels.shape != inputs.shape[:1]:
            raise ValueError(
                f"Posterior: inputs of shape (t, {arity}) and labels of shape (t,) are expected, "
                f"got {inputs.shape} and {labels.shape}"
            )
        for what, values in (("input", inputs), ("label", labels)):
            if values.size and (values.min() < 0 or values.max() >= size):
                raise ValueError(f"Posterior: every {what} must be one of 0..{size - 1}")
        return inputs, labels
