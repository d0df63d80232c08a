"""Labelled examples, and the few of them that a search tells behaviours apart by."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import ceil, log2
from typing import Any

import numpy as np

from synth.carrier import Carrier, IntArray
from synth.language import Language
from synth.program import Program

_BITS = 44  # two unrelated behaviours should agree on a fingerprint with probability below 2^-44
MOST_POINTS = 16


class Contradiction(ValueError):
    """The examples give one input two labels, so that no program agrees with them."""


@dataclass(frozen=True, eq=False)
class Examples:
    """n labelled points.

    Attributes:
        carrier: what inputs and outputs are elements of.
        inputs: shape (n, arity).
        outputs: shape (n,).

    Raises:
        ValueError: shapes that do not fit or a value outside the carrier.
        Contradiction: one input has two labels.
    """

    carrier: Carrier
    inputs: IntArray
    outputs: IntArray

    def __post_init__(self) -> None:
        inputs, outputs = np.asarray(self.inputs, dtype=np.int64), np.asarray(self.outputs, dtype=np.int64)
        if inputs.ndim != 2 or outputs.shape != inputs.shape[:1]:
            raise ValueError(
                f"examples: inputs of shape (n, arity) and outputs of shape (n,) are expected, "
                f"got {inputs.shape} and {outputs.shape}"
            )
        for what, values in (("input", inputs), ("output", outputs)):
            if values.size and (values.min() < 0 or values.max() >= self.carrier.size):
                raise ValueError(
                    f"examples: every {what} must be an element 0..{self.carrier.size - 1} of {self.carrier.name}, "
                    f"got {values.min()}..{values.max()}"
                )
        object.__setattr__(self, "inputs", inputs)
        object.__setattr__(self, "outputs", outputs)
        if len(self.distinct) < len(outputs):
            self._check_repeats()

    def _check_repeats(self) -> None:
        first: dict[tuple[int, ...], int] = {}
        for point, label in zip(self.inputs.tolist(), self.outputs.tolist(), strict=True):
            if first.setdefault(tuple(point), label) != label:
                raise Contradiction(
                    f"examples: the input {tuple(point)} has the labels {first[tuple(point)]} and {label}, "
                    "so that no program agrees with them"
                )

    @property
    def n(self) -> int:
        return len(self.outputs)

    @cached_property
    def distinct(self) -> IntArray:
        """Positions of the first example with each input, in order."""
        weights = self.carrier.size ** np.arange(self.inputs.shape[1], dtype=np.int64)  # 65521^4 < 2^64: one to one
        codes = self.inputs @ weights
        if len(set(codes.tolist())) == self.n:
            return np.arange(self.n)
        return np.sort(np.unique(codes, return_index=True)[1])

    def fingerprint(self, *, conditional: bool) -> IntArray:
        """Positions of at most 16 distinct examples, those with the fewest zeros first, then in order.

        A zero says less: products hide what it meets, and nothing divides by it. Eight points are enough for carriers
        of 46 elements or more; searches through conditions, which see one bit of each point, get all 16.
        """
        size = 8 * ceil(_BITS / (8 * log2(self.carrier.size)))
        count = MOST_POINTS if conditional else min(MOST_POINTS, size)
        candidates = self.distinct
        if len(candidates) > 4 * MOST_POINTS:
            candidates = candidates[: 4 * MOST_POINTS]
        if len(candidates) <= count:
            return candidates
        zeros = (self.inputs[candidates] == 0).sum(axis=1) + 2 * (self.outputs[candidates] == 0)
        return np.sort(candidates[np.argsort(zeros, kind="stable")[:count]])

    def disagreements(self, program: Program) -> IntArray:
        """Positions of the examples that the program gets wrong."""
        return (self._values(program) != self.outputs).nonzero()[0]

    def _values(self, program: Program) -> Any:
        # As Program.evaluate, but constants stay scalars until something broadcasts them: a search asks this often.
        rule = program.production
        if rule.variable is not None:
            return self.inputs[:, rule.variable]
        return rule.semantics(self.carrier, *(self._values(x) for x in program.arguments))

    def refined(self, points: IntArray, wrong: IntArray) -> IntArray:
        """A fingerprint of twice as many points, with the first examples among ``wrong`` in it."""
        more = np.concatenate([wrong, self.distinct])
        fresh = more[~np.isin(more, points)]
        _, first = np.unique(fresh, return_index=True)
        return np.concatenate([points, fresh[np.sort(first)][: len(points)]])


def is_conditional(language: Language) -> bool:
    """Whether the language has programs that choose by a condition."""
    return any("condition" in x.arguments for x in language.of_sort("value"))
