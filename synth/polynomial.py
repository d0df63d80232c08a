"""Polynomials modulo a prime, and their quotients: evaluated anywhere, and written as programs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np

from synth.carrier import IntArray, Residues
from synth.constants import has_arithmetic, residue
from synth.language import Language
from synth.program import Program
from synth.symbolic import power

Exponents = tuple[int, ...]
Terms = dict[Exponents, int]  # coefficients 1 .. p-1 by the inputs' exponents

_BLOCK = 1 << 16  # cells evaluated at once


@dataclass(frozen=True)
class Rational:
    """A quotient of polynomials modulo a prime; a polynomial where the denominator is 1.

    Attributes:
        carrier: the prime field.
        numerator, denominator: coefficients by exponents.
        spare: how many examples agree beyond those that any such form would fit; 0 is no evidence.
        columns: how many columns had been eliminated by then.
    """

    carrier: Residues
    numerator: Terms
    denominator: Terms
    spare: int
    columns: int

    @property
    def terms(self) -> int:
        return len(self.numerator) + (0 if self.is_polynomial else len(self.denominator))

    @property
    def is_polynomial(self) -> bool:
        return len(self.denominator) == 1 and all(not any(e) and c == 1 for e, c in self.denominator.items())

    def predict(self, inputs: IntArray) -> IntArray:
        """Its values, shape (n,), at inputs of shape (n, arity); 0 where the denominator vanishes."""
        p = self.carrier.modulus
        above = _evaluate(self.numerator, inputs, p)
        if self.is_polynomial:
            return above
        return above * self.carrier.inverses[_evaluate(self.denominator, inputs, p)] % p

    def program(self, language: Language) -> Program | None:
        """The sum of its terms as a program, with the cheapest constants.

        None for a quotient without "/", and in languages without +, -, * and constants of residues.
        """
        if not has_arithmetic(language):
            return None
        if language.kind != "residues":
            return None
        above = _sum(self.numerator, language, self.carrier)
        if self.is_polynomial:
            return above
        if "/" not in language:
            return None
        return language.make("/", above, _sum(self.denominator, language, self.carrier))


@cache
def monomials(degree: int, arity: int, most: int) -> tuple[Exponents, ...]:
    """All exponents of that total degree and at most ``most`` each: few variables first, then a before b."""
    found = [e for e in product(range(min(degree, most) + 1), repeat=arity - 1) if 0 <= degree - sum(e) <= most]
    full = [(*e, degree - sum(e)) for e in found]
    return tuple(sorted(full, key=lambda e: (sum(x > 0 for x in e), tuple(-x for x in e))))


class Powers(dict[int, IntArray]):
    """A column's powers modulo p, each made when first asked for."""

    def __init__(self, values: IntArray, p: int) -> None:
        super().__init__({0: np.ones_like(values), 1: values})
        self.p = p

    def __missing__(self, exponent: int) -> IntArray:
        half = self[exponent // 2]
        result = half * half % self.p
        if exponent % 2:
            result = result * self[1] % self.p
        self[exponent] = result
        return result


def powers_of(values: IntArray, p: int) -> Powers:
    return Powers(values % p, p)


def monomial_column(powers: list[Powers], exponents: Exponents, p: int) -> IntArray:
    column = powers[0][exponents[0]]
    for table, exponent in zip(powers[1:], exponents[1:], strict=True):
        if exponent:
            column = column * table[exponent] % p
    return column


def _evaluate(terms: Terms, inputs: IntArray, p: int) -> IntArray:
    result = np.zeros(len(inputs), dtype=np.int64)
    for start in range(0, len(inputs), _BLOCK):
        block = inputs[start : start + _BLOCK]
        powers = [powers_of(block[:, j], p) for j in range(inputs.shape[1])]
        total = np.zeros(len(block), dtype=np.int64)
        for exponents, coefficient in terms.items():
            total = (total + coefficient * monomial_column(powers, exponents, p)) % p
        result[start : start + _BLOCK] = total
    return result


def _sum(terms: Terms, language: Language, carrier: Residues) -> Program:
    """The sum of terms as a program: high degrees first, a term subtracted where its negative is cheaper."""
    if not terms:
        return residue(language, 0, carrier.modulus)
    p = carrier.modulus
    added: list[Program] = []
    subtracted: list[Program] = []
    instead: list[tuple[int, Program]] = []  # what adding a subtracted term instead would cost more
    for exponents in sorted(terms, key=lambda e: (-sum(e), tuple(-x for x in e))):
        coefficient = terms[exponents]
        plus = _term(exponents, coefficient, language, carrier)
        if coefficient == 1:  # no constant to look up
            added.append(plus)
            continue
        minus = _term(exponents, p - coefficient, language, carrier)
        if plus.bits <= minus.bits:
            added.append(plus)
        else:
            subtracted.append(minus)
            instead.append((plus.bits - minus.bits, plus))
    if not added:  # something must come first
        i = min(range(len(instead)), key=lambda i: instead[i][0])
        added.append(instead[i][1])
        del subtracted[i]
    program = added[0]
    for other in added[1:]:
        program = language.make("+", program, other)
    for other in subtracted:
        program = language.make("-", program, other)
    return program


def _term(exponents: Exponents, coefficient: int, language: Language, carrier: Residues) -> Program:
    factors = [power(language.variable(j), e, language) for j, e in enumerate(exponents) if e]
    if not factors:
        return residue(language, coefficient, carrier.modulus)
    program = factors[0]
    for other in factors[1:]:
        program = language.make("*", program, other)
    if coefficient == 1:
        return program
    multiple = language.make("*", residue(language, coefficient, carrier.modulus), program)
    if coefficient == 2:
        multiple = min(multiple, language.make("+", program, program), key=lambda x: x.bits)
    return multiple
