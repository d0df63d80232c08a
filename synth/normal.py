"""Normal forms of programs over residues: sums of monomials, by which equal functions written alike are recognised.

The generators of the monomials are the inputs and whatever is no polynomial (a minimum, a conditional, the inverse of
a sum). Two different functions never share a normal form, so a/a stays apart from 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from synth.language import VARIABLES
from synth.program import Program

# A generator's exponent may be negative (a power of its inverse) or 0, which stands for g * inv(g): 1 unless g is 0.
Monomial = tuple[tuple[str, int], ...]
Coefficient = int | Fraction
Terms = dict[Monomial, Coefficient]

MAX_TERMS = 4096
RING = {"+", "-", "*", "neg", "square"}


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
        if program.production.sort == "value" and name in {*RING, "/", "inverse"}:
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
