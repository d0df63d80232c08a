"""Identities that hold for every modulus, or every prime, at once.

``same_polynomial`` decides equality of polynomials over Z by evaluating both at one point so large that no nonzero
polynomial within the coefficient bound vanishes there (Kronecker substitution); ``same_rational`` does so for quotients
by cross-multiplication; ``same_function`` compares normal forms.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from synth.language import VARIABLES
from synth.normal import RING, Normal, TooLong
from synth.program import Program

MAX_BITS = 1 << 22  # of the number that stands for a polynomial in same_polynomial


def same_function(x: Program, y: Program, modulus: int) -> bool:
    """Whether the normal forms over the rationals coincide and mean the programs modulo the prime: a proof of equality.

    It then holds for every prime that divides none of the constants inverted. False proves nothing.
    """
    normal = Normal(0, units=True)
    try:
        same = normal.of(x) == normal.of(y)
    except TooLong:
        return False
    return same and all(c % modulus for c in normal.inverted)


@dataclass(frozen=True)
class _Polynomial:
    """What bounds a polynomial over Z: its degree in each input, and the sum of its coefficients' absolute values."""

    degrees: tuple[int, ...]
    norm: int

    def plus(self, other: _Polynomial) -> _Polynomial:
        return _Polynomial(tuple(map(max, self.degrees, other.degrees)), self.norm + other.norm)

    def times(self, other: _Polynomial) -> _Polynomial:
        return _Polynomial(
            tuple(a + b for a, b in zip(self.degrees, other.degrees, strict=True)), self.norm * other.norm
        )


Quotient = tuple[int, int]


@dataclass(frozen=True)
class _Bound:
    """Bounds of a program's numerator and denominator."""

    above: _Polynomial
    below: _Polynomial


_ONE = _Polynomial((0,) * len(VARIABLES), 1)


def _bound(program: Program) -> _Bound:
    """Bounds of the program as a quotient of polynomials over Z, combined exactly as ``_value`` combines values."""
    name = program.name
    if (index := program.production.variable) is not None:
        return _Bound(_Polynomial(tuple(int(i == index) for i in range(len(VARIABLES))), 1), _ONE)
    if not program.arguments:
        return _Bound(_Polynomial(_ONE.degrees, abs(int(name))), _ONE)
    x, *rest = (_bound(argument) for argument in program.arguments)
    if name == "neg":
        return x
    if name == "inverse":
        return _Bound(x.below, x.above)
    y = rest[0] if rest else x
    if name in {"+", "-"}:
        return _Bound(x.above.times(y.below).plus(y.above.times(x.below)), x.below.times(y.below))
    if name == "/":
        y = _Bound(y.below, y.above)
    return _Bound(x.above.times(y.above), x.below.times(y.below))


def _value(program: Program, point: tuple[int, ...]) -> Quotient:
    """The program's numerator and denominator at an integer point."""
    name = program.name
    if (index := program.production.variable) is not None:
        return point[index], 1
    if not program.arguments:
        return int(name), 1
    x, *rest = (_value(argument, point) for argument in program.arguments)
    if name == "neg":
        return -x[0], x[1]
    if name == "inverse":
        return x[1], x[0]
    y = rest[0] if rest else x
    if name in {"+", "-"}:
        sign = 1 if name == "+" else -1
        return x[0] * y[1] + sign * y[0] * x[1], x[1] * y[1]
    if name == "/":
        y = (y[1], y[0])
    return x[0] * y[0], x[1] * y[1]


def is_polynomial(program: Program) -> bool:
    """Whether it is made of +, -, *, neg and square over residues, and so means a polynomial over Z."""
    return all(not x.arguments or (x.name in RING) for x in program.nodes())


def is_rational(program: Program) -> bool:
    """Whether it is made of the field operations over residues."""
    return all(not x.arguments or x.name in RING or (x.name in {"/", "inverse"}) for x in program.nodes())


def denominators(program: Program) -> Iterator[Program]:
    """Every subprogram that is divided by."""
    for x in program.nodes():
        if x.name == "/":
            yield x.arguments[1]
        elif x.name == "inverse":
            yield x.arguments[0]


def same_rational(x: Program, y: Program) -> bool | None:
    """Whether two quotients of polynomials are formally equal over Z; None where the numbers would be too large.

    Cross-multiplied, N1 D2 = N2 D1. For polynomials the denominators are 1, and equality holds modulo every m. For
    quotients it holds modulo p wherever no denominator on the way vanishes.
    """
    bound_x, bound_y = _bound(x), _bound(y)
    difference = bound_x.above.times(bound_y.below).plus(bound_y.above.times(bound_x.below))
    # |coefficients| <= norm, so with base 2**width > 2 norm no nonzero polynomial of these degrees vanishes
    width = (2 * difference.norm).bit_length() + 1
    spans = [degree + 1 for degree in difference.degrees]
    if width * prod(spans) > MAX_BITS:
        return None
    point = tuple(1 << (width * prod(spans[:i])) for i in range(len(spans)))
    (n1, d1), (n2, d2) = _value(x, point), _value(y, point)
    return n1 * d2 == n2 * d1


def same_polynomial(x: Program, y: Program) -> bool | None:
    """Whether two ring programs are the same polynomial over Z, hence the same function modulo every m.

    None where one is no polynomial or the numbers would be too large.
    """
    return same_rational(x, y) if is_polynomial(x) and is_polynomial(y) else None
