"""Kernels: the productions' semantics on packed behaviours.

Built-in productions have kernels of their own; any other is evaluated through its table (carriers of up to 256
elements) or its own semantics. tests/synth holds every kernel to the semantics.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from synth.carrier import Carrier, IntArray, Residues
from synth.lanes import Lanes, Words
from synth.language import language
from synth.program import Production

Prepare: TypeAlias = Callable[[Words], Words]
_TABLE_SIZE = 256  # beyond, a table of a binary production would have more than 65 536 entries


@dataclass(frozen=True, eq=False)
class Kernel:
    """One production on packed words.

    Attributes:
        prepare: for each argument what is done to it once, before it meets many others; None for nothing.
        apply: the rest, on prepared words of shapes that broadcast; the result is a new array that it owns.
        symmetric: whether ``apply`` does not mind the order of its two arguments.
    """

    prepare: tuple[Prepare | None, ...]
    apply: Callable[..., Words]
    symmetric: bool = False

    def __call__(self, *arguments: Words) -> Words:
        """The production's words for its arguments' words, unprepared."""
        return self.apply(*(x if f is None else f(x) for f, x in zip(self.prepare, arguments, strict=True)))


class Kernels:
    """The kernels for one carrier and packing."""

    def __init__(self, carrier: Carrier, lanes: Lanes) -> None:
        self.carrier = carrier
        self.lanes = lanes
        self._ones = np.uint64(sum(1 << (8 * lanes.dtype.itemsize * i) for i in range(lanes.per_word)))
        self._full = np.uint64(2 ** (8 * lanes.dtype.itemsize) - 1)
        self._made: dict[Production, Kernel] = {}
        self._built: dict[str, Kernel] = self._residues() if isinstance(carrier, Residues) else {}

    def of(self, production: Production) -> Kernel:
        """The kernel of a production with one or more arguments."""
        if production not in self._made:
            self._made[production] = self._make(production)
        return self._made[production]

    def _make(self, production: Production) -> Kernel:
        built_in = language("full", 1)
        name = production.name
        if name in self._built and name in built_in and built_in[name].semantics is production.semantics:
            return self._built[name]
        if production.arguments == ("value",):
            return self._unary(production)
        if production.arguments == ("value", "value") and self.carrier.size <= _TABLE_SIZE:
            return self._tabulated(production)
        return Kernel((None,) * production.arity, lambda *x: self._evaluated(production, *x))

    # Fallbacks, right for every production

    def _unary(self, production: Production) -> Kernel:
        table = np.asarray(production.semantics(self.carrier, np.arange(self.carrier.size)))
        return Kernel((None,), self.look_up(table))

    def _tabulated(self, production: Production) -> Kernel:
        size = self.carrier.size
        x, y = np.divmod(np.arange(size * size), size)
        table = np.asarray(production.semantics(self.carrier, x, y)).astype(self.lanes.dtype)

        def apply(x: Words, y: Words) -> Words:
            left, right = self.unpacked(x, y)
            return table.take(left.astype(np.intp) * size + right).view(np.uint64)

        return Kernel((None, None), apply)

    def _evaluated(self, production: Production, *arguments: Words) -> Words:
        values = [x.astype(np.int64) for x in self.unpacked(*arguments)]
        for i, sort in enumerate(production.arguments):
            if sort == "condition":
                values[i] = values[i] != 0
        result = np.asarray(production.semantics(self.carrier, *values))
        return np.ascontiguousarray(result.astype(self.lanes.dtype)).view(np.uint64)

    # What kernels are made of

    def unpacked(self, *arguments: Words) -> list[Any]:
        """The arguments' lanes, all of one shape and contiguous."""
        return [np.ascontiguousarray(x).view(self.lanes.dtype) for x in np.broadcast_arrays(*arguments)]

    def look_up(self, table: Any) -> Prepare:
        """Replace every lane by its entry in a table."""
        entries = np.asarray(table).astype(self.lanes.dtype)
        if self.lanes.dtype == np.uint8:  # bytes.translate beats numpy's take by two
            padded = bytes(entries) + bytes(256 - len(entries))

            def translate(x: Words) -> Words:
                return np.frombuffer(x.tobytes().translate(padded), dtype=np.uint64).reshape(x.shape)

            return translate
        return lambda x: entries.take(np.ascontiguousarray(x).view(self.lanes.dtype)).view(np.uint64)

    # Residues

    def _residues(self) -> dict[str, Kernel]:
        assert isinstance(self.carrier, Residues)
        m, dtype = self.carrier.modulus, self.lanes.dtype
        modulus, modulus_word = dtype.type(m), np.uint64(m) * self._ones

        def fold(x: Words) -> Words:
            """Take values below 2m to their residues, in place."""
            lanes = x.view(dtype)
            np.minimum(lanes, lanes - modulus, out=lanes)  # x - m wraps round to more than x where x < m
            return x

        def add(x: Words, y: Words) -> Words:
            return fold(x + y)

        def complement(y: Words) -> Words:
            return modulus_word - y

        def lanewise(function: Callable[..., Any]) -> Kernel:
            def apply(x: Words, y: Words) -> Words:
                result = function(*self.unpacked(x, y))
                return (result if result.dtype == dtype else result.astype(dtype)).view(np.uint64)

            return Kernel((None, None), apply)

        multiply, divide = self._products(self.carrier, fold)
        return {
            "+": Kernel((None, None), add, symmetric=True),
            "-": Kernel((None, complement), add, symmetric=True),
            "*": multiply,
            "/": divide,
            "min": lanewise(np.minimum),
            "max": lanewise(np.maximum),
            "==": lanewise(np.equal),
            "<": lanewise(np.less),
            "if": Kernel((lambda q: q * self._full, None, None), lambda q, x, y: y ^ ((x ^ y) & q)),
        }

    def _products(self, carrier: Residues, fold: Prepare) -> tuple[Kernel, Kernel]:
        """The kernels of * and /."""
        m, dtype = carrier.modulus, self.lanes.dtype
        invert = self.look_up(carrier.inverses)
        if carrier.is_prime and 4 * m - 6 < 256:
            # Discrete logarithms; 0 is coded so high that its sum with anything is none of theirs.
            logs, powers = _logarithms(carrier)
            log, log_inverse, power = self.look_up(logs), self.look_up(logs[carrier.inverses]), self.look_up(powers)

            def product(x: Words, y: Words) -> Words:
                return power(x + y)

            return Kernel((log, log), product, symmetric=True), Kernel((log, log_inverse), product, symmetric=True)
        if dtype == np.uint8:
            # Quarter squares: xy = F(x + y) - F(x - y) with F(s) = floor(s²/4), for every modulus.
            sums = np.arange(2 * m)
            plus = self.look_up(sums**2 // 4 % m)
            minus = self.look_up(-((sums - m) ** 2 // 4) % m)
            modulus_word = np.uint64(m) * self._ones

            def quarter(x: Words, y: Words) -> Words:
                return fold(plus(x + y) + minus(x + (modulus_word - y)))

            return Kernel((None, None), quarter), Kernel((None, invert), quarter)
        wide = np.uint32 if dtype == np.uint16 else np.uint64

        def widened(x: Words, y: Words) -> Words:
            left, right = self.unpacked(x, y)
            result = left.astype(wide) * right
            result -= (result // wide(m)) * wide(m)  # numpy divides by a scalar faster than it takes remainders
            return result.astype(dtype).view(np.uint64)

        return Kernel((None, None), widened), Kernel((None, invert), widened)


@lru_cache(maxsize=32)
def kernels(carrier: Carrier) -> Kernels:
    """The kernels for a carrier; they do not depend on how many points there are."""
    return Kernels(carrier, Lanes(1, carrier.size))


def _logarithms(carrier: Residues) -> tuple[IntArray, IntArray]:
    """Discrete logarithms, shape (m,), with 0 coded as 2m - 3; and the powers by sum of two codes, shape (4m - 5,)."""
    m = carrier.modulus
    for root in range(1, m):
        powers = [1]
        while (following := powers[-1] * root % m) != 1:
            powers.append(following)
        if len(powers) == m - 1:
            break
    else:
        raise ValueError(f"kernels: no primitive root modulo {m}")
    logs = np.full(m, 2 * m - 3, dtype=np.int64)
    logs[powers] = np.arange(m - 1)
    table = np.zeros(4 * m - 5, dtype=np.int64)
    table[: 2 * m - 3] = np.array(powers * 2)[: 2 * m - 3]
    return logs, table
