"""Keeping, removing and disturbing a law's frequencies in an array that has an axis of tokens, or of classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from nets.fourier import characters, constants, frequencies, law_projectors, projector
from synth.carrier import IntArray
from synth.laws import Law

Matrix = npt.NDArray[np.float64]
Values = npt.NDArray[np.floating[Any]]


def classes_of(law: Law) -> IntArray:
    """h(c) for each element of the carrier, shape (m,); negative where it has none."""
    classes = np.full(law.carrier.modulus, -1, dtype=np.int64)
    classes[law.decode] = np.arange(law.order)
    return classes


@dataclass(frozen=True, eq=False)
class Side:
    """The leading axes of an array, each indexed by tokens or by classes.

    Attributes:
        still: for each axis the projection (m, m) onto what belongs to no frequency: the constant, and elements
            without a class.
        waves: for some frequencies the projections onto their characters, one for each axis.
        all: the frequencies that there are.
    """

    still: tuple[Matrix, ...]
    waves: Callable[[Sequence[int]], tuple[Matrix, ...]]
    all: range

    @classmethod
    def of_tokens(cls, law: Law, *axes: Sequence[int]) -> Side:
        """Each axis is of tokens, and belongs to the inputs that read it: a table's one axis to all its readers."""

        def waves(keys: Sequence[int]) -> tuple[Matrix, ...]:
            return tuple(law_projectors(law, readers, keys)[1] for readers in axes)

        return cls(tuple(law_projectors(law, readers, [])[0] for readers in axes), waves, frequencies(law.order))

    @classmethod
    def of_classes(cls, law: Law) -> Side:
        """One axis, of output classes."""
        classes = classes_of(law)
        return cls((projector(constants(classes)),), partial(_of_classes, classes, law.order), frequencies(law.order))

    def moving(self, values: Values) -> Values:
        """What is not constant along every axis."""
        return values - _along(self.still, values)

    def keep(self, values: Values, keys: Sequence[int]) -> Values:
        """Only the frequencies named, and the constants, along every axis."""
        return _along([s + w for s, w in zip(self.still, self.waves(keys), strict=True)], values)

    def remove(self, values: Values, keys: Sequence[int]) -> Values:
        """Without the frequencies named along any axis."""
        return _along([np.eye(len(w)) - w for w in self.waves(keys)], values)

    def disturb(self, values: Values, keys: Sequence[int], rng: np.random.Generator) -> Values | None:
        """Gaussian noise added that holds none of the frequencies named and no constant, along any axis, and the energy
        that removing those frequencies takes away; None where no others are left."""
        rest = [np.eye(len(w)) - s - w for s, w in zip(self.still, self.waves(keys), strict=True)]
        noise = _along(rest, rng.normal(size=values.shape).astype(values.dtype))
        size = float((noise**2).sum())
        if size < 1e-9 * noise.size:
            return None
        return values + noise * (energy(values - self.remove(values, keys)) / size) ** 0.5


def energy(values: Values) -> float:
    """The sum of squares."""
    return float((values.astype(np.float64) ** 2).sum())


def _of_classes(classes: IntArray, order: int, keys: Sequence[int]) -> tuple[Matrix, ...]:
    return (projector(characters(classes, order, keys)),)


def _along(projections: Sequence[Matrix], values: Values) -> Values:
    for axis, matrix in enumerate(projections):
        moved = np.tensordot(matrix.astype(values.dtype), values, axes=(1, axis))
        values = np.moveaxis(moved, 0, axis)
    return values
