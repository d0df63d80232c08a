"""Laws over a composite modulus: Z_m is a product of rings Z_q, and each has its own sum or product.

By the Chinese remainder theorem a residue modulo m is its residues modulo the prime powers q of m. A product law says
for each of them how the result's residue comes from the inputs: f(a) + g(b) or f(a) * g(b) modulo q, the tables being
of all elements of Z_m. So a product modulo m is told for non-units too, and a law may add modulo one factor and
multiply modulo another. Reading one from evidence is in factored.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import log2
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from synth.carrier import IntArray, Residues
from synth.laws import NO_ANSWER, UNKNOWN, Law

Operation = Literal["+", "*"]


@cache
def prime_powers(m: int) -> tuple[int, ...]:
    """The prime powers whose product is m, by their primes in order: 60 is 4, 3, 5."""
    found: list[int] = []
    p = 2
    while m > 1:
        q = 1
        while m % p == 0:
            m, q = m // p, q * p
        if q > 1:
            found.append(q)
        p += 1
    return tuple(found)


def prime_of(q: int) -> int:
    """The prime of a prime power."""
    return next(p for p in range(2, q + 1) if q % p == 0)


def idempotent(m: int, q: int) -> int:
    """The residue modulo m that is 1 modulo q and 0 modulo m / q, two numbers without a common factor."""
    return m // q * pow(m // q, -1, q) % m if q > 1 else 0


@dataclass(frozen=True, eq=False)
class Part:
    """What becomes of the result modulo one factor of m.

    Attributes:
        modulus: a prime power q.
        operation: "+" or "*", modulo q.
        tables: one for each input, shape (m,): residues modulo q, or UNKNOWN.
    """

    modulus: int
    operation: Operation
    tables: tuple[IntArray, ...]

    def combined(self, inputs: IntArray, without: int | None = None) -> IntArray:
        """The result modulo q, shape (n,), for inputs (n, arity); NO_ANSWER where an unknown entry decides.

        Args:
            inputs: shape (n, arity).
            without: an input that is left out of the sum or product.
        """
        q, product = self.modulus, self.operation == "*"
        total = np.full(len(inputs), 1 % q if product else 0, dtype=np.int64)
        unknown: npt.NDArray[np.bool_] = np.zeros(len(inputs), dtype=np.bool_)
        zero = unknown.copy()
        for j, table in enumerate(self.tables):
            if j != without:
                entries = table[inputs[:, j]]
                unknown |= entries == UNKNOWN
                zero |= entries == 0
                total = total * np.maximum(entries, 0) % q if product else (total + entries) % q
        if product:
            unknown &= ~zero  # whatever the other factor is
            total[zero] = 0
        return np.where(unknown, NO_ANSWER, total)

    @property
    def text(self) -> str:
        """One line, tables in full."""
        names, inputs = "fghk"[: len(self.tables)], "abcd"[: len(self.tables)]
        terms = f" {self.operation} ".join(f"{f}({x})" for f, x in zip(names, inputs, strict=True))
        shown = "; ".join(
            f"{f} = {' '.join('?' if x == UNKNOWN else str(x) for x in table.tolist())}"
            for f, table in zip(names, self.tables, strict=True)
        )
        return f"{terms} mod {self.modulus}; {shown}"


@dataclass(frozen=True, eq=False)
class ProductLaw:
    """The residue of the result (less a constant) modulo every prime power of m, each by its own sum or product.

    Attributes:
        carrier: Z_m.
        parts: one for each prime power, in the order of ``prime_powers``.
        offset: what is added to their result, modulo m: 1 for a*b + 1.
    """

    carrier: Residues
    parts: tuple[Part, ...]
    offset: int = 0

    def __post_init__(self) -> None:
        m = self.carrier.modulus
        if tuple(part.modulus for part in self.parts) != prime_powers(m):
            raise ValueError(
                f"ProductLaw: the parts of {m} are {prime_powers(m)}, got {[x.modulus for x in self.parts]}"
            )
        shapes = {table.shape for part in self.parts for table in part.tables}
        if shapes != {(m,)} or len({len(part.tables) for part in self.parts}) != 1:
            raise ValueError(f"ProductLaw: each input needs a table of shape ({m},) in every part, got {shapes}")

    @property
    def arity(self) -> int:
        return len(self.parts[0].tables)

    @property
    def cyclic(self) -> Law | None:
        """None: no sum in one cyclic group."""
        return None

    @property
    def abelian(self) -> ProductLaw:
        """The law itself: its parts are sums, and of units sums of exponents."""
        return self

    @property
    def basis(self) -> str:
        """The operation modulo each factor: "* mod 4, * mod 3, + mod 5"."""
        return ", ".join(f"{part.operation} mod {part.modulus}" for part in self.parts)

    @property
    def order(self) -> int:
        """How many results there are: m, whose every residue is told."""
        return self.carrier.modulus

    @property
    def relabelled(self) -> bool:
        """Never: its outputs are residues as they come."""
        return False

    @property
    def complete(self) -> bool:
        """Whether no entry is UNKNOWN."""
        return all((table != UNKNOWN).all() for part in self.parts for table in part.tables)

    def predict(self, inputs: IntArray) -> IntArray:
        """The outputs, shape (n,), for inputs of shape (n, arity); NO_ANSWER where an unknown entry decides."""
        m = self.carrier.modulus
        total = np.full(len(inputs), self.offset, dtype=np.int64)
        unknown: npt.NDArray[np.bool_] = np.zeros(len(inputs), dtype=np.bool_)
        for part in self.parts:
            residues = part.combined(inputs)
            unknown |= residues == NO_ANSWER
            total += residues * idempotent(m, part.modulus)
        return np.where(unknown, NO_ANSWER, total % m)

    def fit(self, inputs: IntArray, outputs: IntArray) -> float:
        """The share of the examples that the law predicts."""
        return float((self.predict(inputs) == outputs).mean()) if len(outputs) else 1.0

    @property
    def freedom(self) -> int:
        """How many examples fit for free: as many as the freest part has entries that are no gauge."""
        return max(sum(int((x >= 0).sum()) for x in part.tables) - (self.arity - 1) for part in self.parts)

    @property
    def bits(self) -> float:
        """What the tables cost, every entry one of q residues, a bit for each part's operation, and the offset."""
        m = self.carrier.modulus
        return log2(m) + sum(1 + self.arity * m * log2(part.modulus) for part in self.parts)

    @property
    def text(self) -> str:
        """The law in one line, its tables in full."""
        left = f"result - {self.offset}" if self.offset else "result"
        return " | ".join(f"{left} = {part.text}" for part in self.parts)

    def normalised(self) -> ProductLaw:
        """The same law in a fixed gauge: each table but the first begins, where it can, with 0 or (of factors) 1."""
        return ProductLaw(self.carrier, tuple(_normalised(part) for part in self.parts), self.offset)

    def alike(self) -> IntArray:
        """An id for each combination and result, shape (m, m): one for all pairs that a symmetry makes of each other.

        A symmetry moves both alike: modulo a factor that adds by a shift, modulo one that multiplies by a unit.
        """
        m = self.carrier.modulus
        code = np.zeros((m, m), dtype=np.int64)
        for part in self.parts:
            residue = (np.arange(m) - self.offset) % part.modulus
            code = code * part.modulus**2 + _pairs(part)[residue[:, None], residue[None, :]]
        return np.unique(code, return_inverse=True)[1].reshape(m, m).astype(np.int64)

    def leads(self, inputs: IntArray, outputs: IntArray) -> bool:
        """Whether more outputs are the law's own than any other that is as far from it, where a symmetry leads.

        Counted over the commonest kind of combinations: those that symmetries make of each other.
        """
        said = self.predict(inputs)
        known = said != NO_ANSWER
        alike = self.alike()
        own, given = alike[said[known], said[known]], alike[said[known], outputs[known]]
        if not len(own):
            return False
        kind = int(np.bincount(own).argmax())
        counts = np.bincount(given[own == kind], minlength=kind + 1)
        return bool((counts[kind] > np.delete(counts, kind)).all())

    def __eq__(self, other: Any) -> bool:
        return (
            isinstance(other, ProductLaw)
            and (self.carrier, self.offset) == (other.carrier, other.offset)
            and self.arity == other.arity
            and all(map(_same, self.parts, other.parts))
        )

    def __hash__(self) -> int:
        return hash((self.carrier, tuple(table.tobytes() for part in self.parts for table in part.tables)))


def joined(law: ProductLaw) -> tuple[IntArray, ...]:
    """The tables of all parts as one modulo m, shape (m,) each; UNKNOWN where a part's entry is."""
    m = law.carrier.modulus
    found: list[IntArray] = []
    for tables in zip(*(part.tables for part in law.parts), strict=True):
        known = np.all([table >= 0 for table in tables], axis=0)
        total = sum(table * idempotent(m, part.modulus) for table, part in zip(tables, law.parts, strict=True))
        found.append(np.where(known, total % m, UNKNOWN))
    return tuple(found)


def _pairs(part: Part) -> IntArray:
    """An id for each two residues, shape (q, q): that of the least pair that a symmetry of the part makes of them."""
    q = part.modulus
    said, answer = np.meshgrid(np.arange(q), np.arange(q), indexing="ij")
    if part.operation == "+":
        return (answer - said) % q
    least = said * q + answer
    for u in range(2, q):
        if u % prime_of(q):
            np.minimum(least, said * u % q * q + answer * u % q, out=least)
    return least


def _same(one: Part, other: Part) -> bool:
    tables = zip(one.tables, other.tables, strict=True)
    return one.operation == other.operation and all(np.array_equal(f, g) for f, g in tables)


def _normalised(part: Part) -> Part:
    q, inverses = part.modulus, Residues(part.modulus).inverses
    moved: list[IntArray] = []
    offset = 0 if part.operation == "+" else 1
    for table in part.tables[1:]:
        if part.operation == "+":
            known = table[table >= 0]
            start = int(known[0]) if len(known) else 0
            moved.append(np.where(table >= 0, (table - start) % q, table))
            offset += start
        else:
            units = table[(table > 0) & (inverses[np.maximum(table, 0)] != 0)]
            start = int(units[0]) if len(units) else 1
            moved.append(np.where(table >= 0, table * int(inverses[start]) % q, table))
            offset = offset * start % q
    first = part.tables[0]
    changed = (first + offset) % q if part.operation == "+" else first * offset % q
    return Part(q, part.operation, (np.where(first >= 0, changed, first), *moved))
