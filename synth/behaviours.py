"""Behaviours: what programs of one sort do on a few points, and their cheapest programs, which have values anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil, log2

import numpy as np
import numpy.typing as npt

from synth.carrier import Carrier, IntArray
from synth.draws import integers
from synth.language import Language
from synth.program import Production, Sort
from synth.ranking import SPREAD, Directory
from synth.vectors import Vectors, Words, vectors

Masses = npt.NDArray[np.float64]
POINTS = 16  # at which behaviours are told apart, at least
LITERAL = -1  # in place of a production's position; the argument is then the literal's value
_ALL_POINTS = 64  # inputs that are all taken, where there are no more
_BITS = 90  # of information in the values at the points, at least


@dataclass(frozen=True, eq=False)
class Made:
    """Candidates of one production.

    Attributes:
        rule, position: the production, and its place in the language.
        arguments: behaviours' indices, shape (arity, count).
        times: how often each counts.
        values: as ``Vectors`` has them.
    """

    rule: Production
    position: int
    arguments: IntArray
    times: Masses | float
    values: Words

    def __len__(self) -> int:
        return self.values.shape[1]


@dataclass(eq=False)
class Behaviours:
    """The behaviours of one sort, cheapest first.

    Attributes:
        values: on the points, as ``Vectors`` has them.
        hashes, order: of all keys, sorted, and whose they are.
        arguments: the behaviours that the cheapest program is made of, shape (most arguments, count), -1 for none.
        bits, origin: of that program, and the position of the production at its root.
        rank: its height as a tree.
        offsets: ``offsets[c]`` behaviours have fewer than c bits.
        masses: the sums of 2^-bits, once they have been added up.
    """

    values: Words
    arguments: IntArray
    hashes: npt.NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, dtype=np.uint64))
    order: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    bits: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    origin: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    rank: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    offsets: list[int] = field(default_factory=lambda: [0, 0])
    masses: Masses = field(default_factory=lambda: np.empty(0))

    @staticmethod
    def none(packed: Vectors, most_arguments: int) -> Behaviours:
        """None yet."""
        return Behaviours(packed.empty(), np.empty((most_arguments, 0), dtype=np.int64))

    def __len__(self) -> int:
        return len(self.bits)

    def find(self, keys: npt.NDArray[np.uint64]) -> IntArray:
        """Indices of behaviours by their keys, -1 where there is none."""
        return self._find(keys * SPREAD)  # odd, so that different keys stay different

    def _find(self, hashes: npt.NDArray[np.uint64]) -> IntArray:
        index = np.full(len(hashes), -1, dtype=np.int64)
        if len(self.hashes):
            here, at = Directory(self.hashes).find(hashes)
            index[here] = self.order[at]
        return index

    def number(self, keys: npt.NDArray[np.uint64]) -> tuple[IntArray, IntArray]:
        """The indices of candidates' behaviours, new ones among them, and the first candidate of each new one."""
        hashes = keys * SPREAD
        index = self._find(hashes)
        fresh = np.flatnonzero(index < 0)
        new, first, which = np.unique(hashes[fresh], return_index=True, return_inverse=True)
        places = np.argsort(np.argsort(first))  # in the order in which they came
        index[fresh] = len(self) + places[which]
        at = np.searchsorted(self.hashes, new)
        self.hashes = np.insert(self.hashes, at, new)
        self.order = np.insert(self.order, at, len(self) + places)
        return index, fresh[np.sort(first)]

    def extend(self, bits: int, values: Words, origin: IntArray, arguments: IntArray, rank: IntArray) -> None:
        """Put the new ones in, of so many bits."""
        self.values = np.concatenate([self.values, values], axis=1)
        self.bits = np.concatenate([self.bits, np.full(len(origin), bits)])
        self.origin = np.concatenate([self.origin, origin])
        self.arguments = np.concatenate([self.arguments, arguments], axis=1)
        self.rank = np.concatenate([self.rank, rank])


def evaluate(
    language: Language, carrier: Carrier, behaviours: Mapping[Sort, Behaviours], indices: IntArray, inputs: IntArray
) -> tuple[Vectors, Words]:
    """The values of cheapest programs by index, at any inputs of shape (t, arity), and how they are packed."""
    needed = {s: np.zeros(len(x), dtype=np.bool_) for s, x in behaviours.items()}
    needed["value"][indices] = True
    ranks = {s: x.rank for s, x in behaviours.items()}
    highest = max((int(x.max()) for x in ranks.values() if len(x)), default=0)
    groups: list[tuple[Sort, int, IntArray]] = []
    for rank in range(highest, -1, -1):
        for sort, found in behaviours.items():
            here = np.flatnonzero(needed[sort] & (ranks[sort] == rank))
            for position in np.unique(found.origin[here]).tolist():
                chosen = here[found.origin[here] == position]
                groups.append((sort, position, chosen))
                if rank:
                    rule = language.productions[position]
                    for s, x in zip(rule.arguments, found.arguments[:, chosen], strict=False):
                        needed[s][x] = True
    packed = vectors(language, carrier, len(inputs))
    place = {s: np.cumsum(x) - 1 for s, x in needed.items()}
    table = {s: packed.room(int(x.sum())) for s, x in needed.items()}
    for sort, position, chosen in reversed(groups):
        arguments = behaviours[sort].arguments[:, chosen]
        if position == LITERAL:
            made = np.broadcast_to(arguments[0], (len(inputs), len(chosen)))
        else:
            rule = language.productions[position]
            if rule.arity:
                parts = zip(rule.arguments, arguments, strict=False)
                made = packed.apply(rule, *(table[s].take(place[s][x], axis=1) for s, x in parts))
            else:
                made = packed.leaf(rule, inputs)
        table[sort][:, place[sort][chosen]] = made
    return packed, table["value"].take(place["value"][indices], axis=1)


def probes(carrier: Carrier, arity: int) -> IntArray:
    """Fixed points at which behaviours are told apart, shape (points, arity).

    All where they are few. Otherwise 16 or more hashed ones, among them some with a zero and with the last element in
    each place, and with equal arguments; the smaller the carrier, the more it takes to tell unrelated behaviours apart.
    Behaviours that differ in few other places are taken for one.
    """
    if carrier.size**arity <= _ALL_POINTS:
        return np.stack(np.unravel_index(np.arange(carrier.size**arity), (carrier.size,) * arity), axis=1)
    count = max(POINTS, 8 * ceil(_BITS / (8 * log2(carrier.size))))
    points = integers(0, "probes", np.arange(count * arity), carrier.size).reshape(count, arity)
    row = 0
    for value in (0, carrier.size - 1):
        for i in range(arity):
            points[row, i] = value
            row += 1
    for i in range(arity):
        for j in range(i):
            points[row, i] = points[row, j]
            row += 1
    return points
