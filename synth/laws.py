"""Laws: integer tables f, g, .. with phi(c) = f(a) + g(b) + .. in a character basis of the carrier.

In the additive basis phi is the identity and sums run modulo m; in the discrete-log basis of a prime m, phi is the
logarithm to the smallest primitive root and sums run modulo m - 1, with 0 (which has no logarithm) coded apart.
Reading a law out of examples is in spectral.py, turning one into a program in closed_forms.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import lgamma, log, log2
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from synth.carrier import IntArray, Residues

Basis = Literal["additive", "dlog"]
ZERO = -1  # an input that makes the result 0 (discrete-log basis)
UNKNOWN = -2  # an input of which the evidence says nothing
NO_ANSWER = -1  # what a law predicts where an unknown entry decides


def order_of(carrier: Residues, basis: Basis) -> int:
    """The order of the basis' character group: m, or m - 1 for discrete logs.

    Raises:
        ValueError: discrete logs of a composite modulus.
    """
    if basis == "additive":
        return carrier.modulus
    if not carrier.is_prime:
        raise ValueError(f"laws: the dlog basis needs a prime modulus, got {carrier.modulus}")
    return carrier.modulus - 1


@cache
def primitive_root(p: int) -> int:
    """The smallest generator of the multiplicative group modulo the prime p."""
    factors = {d for d in range(2, p) if (p - 1) % d == 0 and all(d % e for e in range(2, int(d**0.5) + 1))}
    return next(g for g in range(1, p) if all(pow(g, (p - 1) // q, p) != 1 for q in factors))


@cache
def decode(carrier: Residues, basis: Basis) -> IntArray:
    """The carrier's element of each class, shape (order,): the inverse of ``phi``."""
    order = order_of(carrier, basis)
    elements = np.arange(order, dtype=np.int64)
    if basis == "dlog":
        g, x = primitive_root(carrier.modulus), 1
        for k in range(order):
            elements[k], x = x, x * g % carrier.modulus
    elements.setflags(write=False)
    return elements


@cache
def phi(carrier: Residues, basis: Basis) -> IntArray:
    """The class of each element of the carrier, shape (m,); ZERO where it has none."""
    classes = np.full(carrier.modulus, ZERO, dtype=np.int64)
    classes[decode(carrier, basis)] = np.arange(order_of(carrier, basis))
    classes.setflags(write=False)
    return classes


@dataclass(frozen=True, eq=False)
class Law:
    """phi(c) = f(a) + g(b) + .. modulo ``order``.

    Attributes:
        carrier: the residues that inputs and outputs are.
        basis: "additive" or "dlog".
        order: what the sums run modulo.
        tables: one for each input, shape (m,): classes 0 .. order-1, ZERO or UNKNOWN.
        decode: shape (order,), the element that each class of the sum stands for. ``laws.decode`` of the basis, or
            any other list of elements for a law up to a relabelling of the outputs.
        zero: what the result is where an input is ZERO.
    """

    carrier: Residues
    basis: Basis
    order: int
    tables: tuple[IntArray, ...]
    decode: IntArray
    zero: int = 0

    def __post_init__(self) -> None:
        m = self.carrier.modulus
        if not self.tables or any(table.shape != (m,) for table in self.tables):
            shapes = [table.shape for table in self.tables]
            raise ValueError(f"Law: each input needs a table of shape ({m},), got {shapes}")
        if self.decode.shape != (self.order,):
            raise ValueError(f"Law: decode must have shape ({self.order},), got {self.decode.shape}")

    @classmethod
    def of(cls, carrier: Residues, basis: Basis, tables: tuple[IntArray, ...]) -> Law:
        """The law with these tables in a basis of the carrier."""
        return cls(carrier, basis, order_of(carrier, basis), tables, decode(carrier, basis))

    @property
    def arity(self) -> int:
        return len(self.tables)

    @property
    def cyclic(self) -> Law | None:
        """The law as one sum in one cyclic group, by whose characters a network's weights can be told and its answers
        proved; None of a law that is none."""
        return self

    @property
    def abelian(self) -> Law:
        """The law as sums in one or several cyclic groups, whose characters are the frequencies that a network may
        follow it in; None of a law that is none."""
        return self

    @property
    def complete(self) -> bool:
        """Whether no entry is UNKNOWN."""
        return all((table != UNKNOWN).all() for table in self.tables)

    def predict(self, inputs: IntArray) -> IntArray:
        """The outputs, shape (n,), for inputs of shape (n, arity); NO_ANSWER where an unknown entry decides."""
        total = np.zeros(len(inputs), dtype=np.int64)
        zero: npt.NDArray[np.bool_] = np.zeros(len(inputs), dtype=np.bool_)
        unknown = zero.copy()
        for j, table in enumerate(self.tables):
            classes = table[inputs[:, j]]
            total += classes
            zero |= classes == ZERO
            unknown |= classes == UNKNOWN
        result = self.decode[total % self.order]
        result[unknown] = NO_ANSWER
        result[zero] = self.zero  # whatever an unknown other factor is
        return result

    def fit(self, inputs: IntArray, outputs: IntArray) -> float:
        """The share of the examples that the law predicts."""
        return float((self.predict(inputs) == outputs).mean()) if len(outputs) else 1.0

    @property
    def freedom(self) -> int:
        """The number of known table entries less the gauges: that many examples fit for free."""
        return sum(int((table >= 0).sum()) for table in self.tables) - (self.arity - 1)

    @property
    def bits(self) -> float:
        """What writing the tables down costs: every entry one of the classes (or zero), and the order of the outputs
        where it is not the basis' own."""
        alphabet = self.order + (self.basis == "dlog")
        tables = sum(len(table) for table in self.tables) * log2(alphabet)
        return tables + (lgamma(self.carrier.modulus + 1) / log(2) if self.relabelled else 0.0)

    @property
    def relabelled(self) -> bool:
        """Whether the outputs come in another order than the basis'."""
        return self.zero != 0 or not np.array_equal(self.decode, decode(self.carrier, self.basis))

    @property
    def text(self) -> str:
        """The law in one line, its tables in full."""
        names = "fghk"[: self.arity]
        inputs = "abcd"[: self.arity]
        total = " + ".join(f"{f}({x})" for f, x in zip(names, inputs, strict=True))
        left = "result" if self.basis == "additive" else f"log_{primitive_root(self.carrier.modulus)} result"
        shown = "; ".join(f"{f} = {_spell(table)}" for f, table in zip(names, self.tables, strict=True))
        if self.relabelled:
            left = "y(result)"
            classes = np.full(self.carrier.modulus, ZERO, dtype=np.int64)
            classes[self.decode] = np.arange(self.order)
            shown += f"; y = {_spell(classes)}"
        return f"{left} = {total} mod {self.order}; {shown}"

    def normalised(self) -> Law:
        """The same law in a fixed gauge: each table but the first begins, where it is known, with class 0."""
        shifted: list[IntArray] = []
        offset = 0
        for table in self.tables[1:]:
            known = table[table >= 0]
            start = int(known[0]) if len(known) else 0
            shifted.append(np.where(table >= 0, (table - start) % self.order, table))
            offset += start
        first = self.tables[0]
        first = np.where(first >= 0, (first + offset) % self.order, first)
        return Law(self.carrier, self.basis, self.order, (first, *shifted), self.decode, self.zero)

    def __eq__(self, other: Any) -> bool:
        return (
            isinstance(other, Law)
            and (self.carrier, self.basis, self.order) == (other.carrier, other.basis, other.order)
            and self.arity == other.arity
            and all(np.array_equal(f, g) for f, g in zip(self.tables, other.tables, strict=True))
            and np.array_equal(self.decode, other.decode)
            and self.zero == other.zero
        )

    def __hash__(self) -> int:
        return hash((self.carrier, self.basis, tuple(table.tobytes() for table in self.tables)))


def _spell(table: IntArray) -> str:
    signs = {ZERO: "zero", UNKNOWN: "?"}
    return " ".join(signs.get(int(x), str(int(x))) for x in table)
