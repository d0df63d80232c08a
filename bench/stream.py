"""The example stream: one fixed order of a task's cells for a data seed; "n examples" is its first n.

Made from hashes of (seed, cell), so that it is the same on every machine, in every release of every library, and for
every method. Order and noise are independent of each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np

from bench.errors import UserError, nearest
from bench.task import Task
from synth.carrier import IntArray
from synth.draws import hashes, integers, uniforms

Split = Literal["cells", "pairs"]


@dataclass(frozen=True, eq=False)
class Stream:
    """A task's labelled cells in the order in which methods get to see them.

    Attributes:
        task: whose cells.
        data_seed: which order.
        split: "cells" orders single cells; "pairs" keeps (a, b) and (b, a), and all orders of more inputs, together.
        noise: the probability that a label is replaced by one of the carrier's other values.

    Raises:
        UserError: there is no such split, or the noise is no probability.
    """

    task: Task
    data_seed: int
    split: str = "cells"
    noise: float = 0.0

    def __post_init__(self) -> None:
        if self.split not in get_args(Split):
            known = get_args(Split)
            raise UserError(f"split: expected {' or '.join(known)}, got {self.split!r}{nearest(self.split, known)}")
        if not 0 <= self.noise <= 1:
            raise UserError(f"noise: expected a probability from 0 to 1, got {self.noise}")

    @cached_property
    def order(self) -> IntArray:
        """Indices into the task's domain, shape (cells,)."""
        own = hashes(self.data_seed, "order", self._numbers)
        if self.split == "cells":
            return np.argsort(own, kind="stable").astype(np.int64)
        # By the hash of the orbit, so that (a, a) comes as early as (a, b); inside it by the cells' own.
        return np.lexsort((own, self._orbits, hashes(self.data_seed, "pairs", self._orbits))).astype(np.int64)

    @cached_property
    def labels(self) -> IntArray:
        """What the stream says of each of the domain's cells, shape (cells,): the table, but for the noise."""
        size, table = self.task.carrier.size, self.task.table
        if self.noise == 0 or size == 1:
            return table
        hit = uniforms(self.data_seed, "noise", self._numbers) < self.noise
        shift = 1 + integers(self.data_seed, "noise value", self._numbers, size - 1)
        return np.where(hit, (table + shift) % size, table)

    def examples(self, n: int) -> tuple[IntArray, IntArray, int]:
        """The first n: inputs of shape (reached, arity), labels of shape (reached,), and the number reached.

        That is n for split "cells"; for "pairs" the last orbit is completed. Fewer examples are a prefix of more.

        Raises:
            UserError: n is negative or more than there are.
        """
        if not 0 <= n <= len(self.order):
            raise UserError(f"n: expected 0 to {len(self.order)} examples, got {n}")
        if self.split == "pairs" and 0 < n < len(self.order):
            orbits = self._orbits[self.order]
            while n < len(orbits) and orbits[n] == orbits[n - 1]:
                n += 1
        chosen = self.order[:n]
        return self.task.domain[chosen], self.labels[chosen], n

    @property
    def _numbers(self) -> IntArray:
        """Each cell's number in the whole of carrier^arity: what a mask leaves keeps its place in the order."""
        return self.task.domain @ self._weights

    @property
    def _weights(self) -> IntArray:
        return self.task.carrier.size ** np.arange(self.task.arity - 1, -1, -1, dtype=np.int64)

    @cached_property
    def _orbits(self) -> IntArray:
        """The number of each cell's inputs in ascending order, which all its orders share; shape (cells,)."""
        return np.sort(self.task.domain, axis=1) @ self._weights
