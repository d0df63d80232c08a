"""Normal forms of programs over residues, and identities that hold for every modulus at once.

Two tools. ``Normal`` expands a program into a sum of monomials whose generators are the inputs and whatever is no
polynomial (a minimum, a conditional, the inverse of a sum); it never merges two different functions, so a/a stays
apart from 1. ``same_polynomial`` decides equality of polynomials over Z by evaluating both at one point so large that
no nonzero polynomial within the coefficient bound vanishes there (Kronecker substitution).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from math import prod

from synth.language import VARIABLES
from synth.program import Program

# A generator's exponent may be negative (a power of its inverse) or 0, which stands for g * inv(g): 1 unless g is 0.
Monomial = tuple[tuple[str, int], ...]
Coefficient = int | Fraction
Terms = dict[Monomial, Coefficient]

MAX_TERMS = 4096
MAX_BITS = 1 << 22  # of the number that stands for a polynomial in same_polynomial
_RING = {"+", "-", "*", "neg", "square"}


class TooLong(Exception):
    """A normal form would have more than MAX_TERMS terms."""


@dataclass
class Normal:
    """Normal forms modulo ``modulus``, or over the rationals where it is 0.

    Attributes:
        modulus: of the coefficients; 0 for none.
        units: whether every nonzero residue has an inverse, which is what lets powers and inverses cancel.
        inverted: the constants that were divided by: a normal form over the rationals means the program modulo p only
            if p divides none of them.
        sums: the sums that were inverted, by the generator that stands for each.
    """

    modulus: int
    units: bool
    inverted: set[int] = field(default_factory=set[int])
    sums: dict[str, Terms] = field(default_factory=dict[str, "Terms"])

    def of(self, program: Program) -> Terms:
        """The normal form.

        Raises:
            TooLong: it has too many terms.
        """
        name = program.name
        if program.production.variable is not None:
            return {((VARIABLES[program.production.variable], 1),): 1}
        if not program.arguments:
            return self._constant(int(name))
        if program.production.sort == "value" and name in {*_RING, "/", "inverse"}:
            arguments = [self.of(x) for x in program.arguments]
            match name:
                case "+":
                    return self._add(arguments[0], arguments[1], 1)
                case "-":
                    return self._add(arguments[0], arguments[1], -1)
                case "*":
                    return self._multiply(arguments[0], arguments[1])
                case "/":
                    return self._multiply(arguments[0], self._invert(arguments[1]))
                case "neg":
                    return self._add({}, arguments[0], -1)
                case "square":
                    return self._multiply(arguments[0], arguments[0])
                case _:
                    return self._invert(arguments[0])
        return self._atom(program)

    def text(self, terms: Terms) -> str:
        """The terms in order of falling degree, coefficients in -m/2 .. m/2."""
        if not terms:
            return "0"
        pieces: list[str] = []
        for monomial in sorted(terms, key=_rank):
            coefficient = terms[monomial]
            if self.modulus and coefficient > self.modulus // 2:
                coefficient -= self.modulus
            written = _spell(monomial)
            size = abs(coefficient)
            if written.startswith("1/") and size != 1:
                written = f"{size}{written[1:]}"
            elif not written or size != 1:
                written = f"{size}*{written}" if written else str(size)
            sign = "-" if coefficient < 0 else "+"
            pieces.append(f"{sign} {written}" if pieces else f"-{written}" if sign == "-" else written)
        return " ".join(pieces)

    def _constant(self, value: Coefficient) -> Terms:
        value = value % self.modulus if self.modulus else value
        return {(): value} if value else {}

    def _add(self, x: Terms, y: Terms, sign: int) -> Terms:
        total = dict(x)
        for monomial, coefficient in y.items():
            value = total.get(monomial, 0) + sign * coefficient
            value = value % self.modulus if self.modulus else value
            if value:
                total[monomial] = value
            else:
                total.pop(monomial, None)
        return total

    def _multiply(self, x: Terms, y: Terms) -> Terms:
        if len(x) * len(y) > 64 * MAX_TERMS:
            raise TooLong
        total: Terms = {}
        for left, c in x.items():
            for right, d in y.items():
                monomial = _join(left, right)
                total[monomial] = total.get(monomial, 0) + c * d
        if self.modulus:
            total = {monomial: c % self.modulus for monomial, c in total.items()}
        total = {monomial: c for monomial, c in total.items() if c}
        if len(total) > MAX_TERMS:
            raise TooLong
        return total

    def _invert(self, x: Terms) -> Terms:
        # inv(0) = 0, and inv(xy) = inv(x) inv(y) without exception
        if not x:
            return {}
        lead = min(x, key=_rank)
        if not self.units:
            if len(x) == 1 and not lead and self.modulus:
                try:
                    return self._constant(pow(int(x[lead]), -1, self.modulus))
                except ValueError:
                    return {}
            return {((f"inv({self.text(x)})", 1),): 1}
        scale = self._reciprocal(x[lead])
        if len(x) == 1:
            inverse: Terms = {tuple((g, -e) for g, e in lead if g not in self.sums or e >= 0): scale}
            for generator, exponent in lead:  # the inverse of an inverted sum is the sum
                for _ in range(-exponent if generator in self.sums else 0):
                    inverse = self._multiply(inverse, self.sums[generator])
            return inverse
        monic = self._multiply(x, {(): scale})
        generator = f"({self.text(monic)})"
        self.sums[generator] = monic
        return {((generator, -1),): scale}

    def _reciprocal(self, value: Coefficient) -> Coefficient:
        if self.modulus:
            return pow(int(value), -1, self.modulus)
        fraction = Fraction(value)
        self.inverted |= {abs(fraction.numerator), fraction.denominator}
        return 1 / fraction

    def _atom(self, program: Program) -> Terms:
        return {((self._atom_text(program), 1),): 1}

    def _atom_text(self, program: Program) -> str:
        arguments = [
            self._atom_text(x) if x.production.sort == "condition" else self.text(self.of(x)) for x in program.arguments
        ]
        if program.production.commutes:
            arguments.sort()
        if program.name == "if":
            return f"({arguments[1]} if {arguments[0]} else {arguments[2]})"
        return program.production.template.format(*arguments)


def _join(left: Monomial, right: Monomial) -> Monomial:
    if not left or not right:
        return left or right
    powers = dict(left)
    for generator, exponent in right:
        powers[generator] = powers.get(generator, 0) + exponent
    return tuple(sorted(powers.items()))


def _rank(monomial: Monomial) -> tuple[int, tuple[tuple[str, int], ...]]:
    return -sum(e for _, e in monomial), tuple((g, -e) for g, e in monomial)


def _spell(monomial: Monomial) -> str:
    above = [_power(g, max(e, 1)) for g, e in monomial if e >= 0]
    below = [_power(g, max(-e, 1)) for g, e in monomial if e <= 0]
    text = "*".join(above)
    if below:
        text = f"{text or '1'}/{below[0] if len(below) == 1 else '(' + '*'.join(below) + ')'}"
    return text


def _power(generator: str, exponent: int) -> str:
    return generator if exponent == 1 else f"{generator}**{exponent}"


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
    return all(not x.arguments or (x.name in _RING) for x in program.nodes())


def is_rational(program: Program) -> bool:
    """Whether it is made of the field operations over residues."""
    return all(not x.arguments or x.name in _RING or (x.name in {"/", "inverse"}) for x in program.nodes())


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
