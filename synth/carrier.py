"""The finite sets that programs compute on: residues modulo m, and groups given by a Cayley table.

A carrier's elements are always the integers 0 .. size-1; what they mean is the carrier's business.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import permutations
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

IntArray: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Residues:
    """The ring Z_m of integers modulo ``modulus`` (at least 2), prime or composite."""

    modulus: int
    kind: ClassVar[str] = "residues"

    def __post_init__(self) -> None:
        if self.modulus < 2:
            raise ValueError(f"Residues: the modulus must be at least 2, got {self.modulus}")

    @property
    def size(self) -> int:
        return self.modulus

    @property
    def name(self) -> str:
        return f"Z_{self.modulus}"

    @cached_property
    def is_prime(self) -> bool:
        return is_prime(self.modulus)

    @cached_property
    def inverses(self) -> IntArray:
        """Multiplicative inverses, shape (m,); an element without one (0, a non-unit) maps to 0."""
        table = np.zeros(self.modulus, dtype=np.int64)
        for x in range(1, self.modulus):
            if table[x] == 0:
                try:
                    y = pow(x, -1, self.modulus)
                except ValueError:
                    continue
                table[x], table[y] = y, x
        table.setflags(write=False)
        return table


@dataclass(frozen=True, eq=False)
class Group:
    """A finite group by its Cayley table.

    Args:
        name: what the CSV calls it, "S5".
        table: shape (size, size); ``table[x, y]`` is the product xy.
        labels: a name for each element, in order.

    Raises:
        ValueError: the table is not that of a group (not a Latin square, no identity, not associative).
    """

    name: str
    table: IntArray
    labels: tuple[str, ...] = field(default=())
    kind: ClassVar[str] = "group"

    def __post_init__(self) -> None:
        table = np.array(self.table, dtype=np.int64)
        n = table.shape[0]
        everything = np.arange(n)
        if table.shape != (n, n) or n < 1:
            raise ValueError(f"Group {self.name}: the table must be square, got shape {table.shape}")
        if (
            not (np.sort(table, axis=0) == everything[:, None]).all()
            or not (np.sort(table, axis=1) == everything).all()
        ):
            raise ValueError(f"Group {self.name}: every row and column of the table must hold each element once")
        identities = np.flatnonzero((table == everything).all(axis=1))
        if len(identities) != 1:
            raise ValueError(f"Group {self.name}: the table has no identity element")
        for x in range(n):  # (xy)z = x(yz), one x at a time to stay small in memory
            if not (table[table[x]] == table[x][table]).all():
                raise ValueError(f"Group {self.name}: the product is not associative")
        table.setflags(write=False)
        object.__setattr__(self, "table", table)

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Group) and self.name == other.name and np.array_equal(self.table, other.table)

    def __hash__(self) -> int:
        return hash((self.name, self.table.tobytes()))

    @property
    def size(self) -> int:
        return int(self.table.shape[0])

    @cached_property
    def identity(self) -> int:
        return int(np.flatnonzero((self.table == np.arange(self.size)).all(axis=1))[0])

    @cached_property
    def inverses(self) -> IntArray:
        """The inverse of each element, shape (size,)."""
        inverse = np.argmax(self.table == self.identity, axis=1).astype(np.int64)
        inverse.setflags(write=False)
        return inverse


Carrier: TypeAlias = Residues | Group


@cache
def symmetric_group(degree: int) -> Group:
    """S_degree, elements in lexicographic order of their one-line notation; (xy)(i) = x(y(i)).

    Raises:
        ValueError: the degree is outside 1 .. 6 (the table has degree!² entries).
    """
    if not 1 <= degree <= 6:
        raise ValueError(f"symmetric_group: the degree must be 1 to 6, got {degree}")
    elements = np.array(list(permutations(range(degree))), dtype=np.int64)
    weights = degree ** np.arange(degree, dtype=np.int64)
    codes = elements @ weights
    order = np.argsort(codes)
    products = elements[:, elements]  # [x, y, i] = x(y(i))
    table = order[np.searchsorted(codes[order], products @ weights)]
    labels = tuple("".join(str(i + 1) for i in element) for element in elements)
    return Group(f"S{degree}", table, labels)


def is_prime(n: int) -> bool:
    """Whether n is prime, by trial division: moduli here are small."""
    if n < 4:
        return n in (2, 3)
    if n % 2 == 0:
        return False
    return all(n % d for d in range(3, int(n**0.5) + 1, 2))
