"""Program <-> sympy, the only converter.

sympy reads a quotient as a rational function: a/a becomes 1, while the program has inv(0) = 0. The two agree wherever
no denominator vanishes; on integers, x % y wherever y is positive. Everything else keeps its meaning, so minima and
comparisons are handed over unevaluated (a < a + 1 is true of numbers, not of residues).
"""

from __future__ import annotations

from functools import cache
from typing import Any

from synth.canonical import canonical
from synth.constants import integer
from synth.language import VARIABLES, Language
from synth.program import Program

__all__ = ["canonical", "from_sympy", "power", "to_sympy"]

_OPAQUE = {"min", "max", "if"}
MAX_POWER = 1024


def to_sympy(program: Program) -> Any:
    """The sympy expression in symbols a..d, noncommutative ones for a program over a group."""
    return _Expression(commutative=all(x.name != "compose" for x in program.nodes())).of(program)


class _Expression:
    """One conversion. Minima and conditionals stand as dummies while sympy simplifies around them.

    sympy would otherwise reason about them as if on real numbers, and move powers into their branches.
    """

    def __init__(self, commutative: bool) -> None:
        import sympy  # late: it costs 0.3 s, and --help must not pay for it

        self.sympy = sympy
        self.commutative = commutative
        self.dummies: dict[tuple[Any, ...], Any] = {}
        self.meaning: dict[Any, tuple[Any, ...]] = {}

    def of(self, program: Program) -> Any:
        return self._restored(self._value(program))

    def _value(self, program: Program) -> Any:
        if program.production.variable is not None:
            return self.sympy.Symbol(VARIABLES[program.production.variable], commutative=self.commutative)
        name = program.name
        if name == "if":
            program = _lifted(program)
        if name in _OPAQUE:
            key = self._key(program)
            if key not in self.dummies:
                self.dummies[key] = dummy = self.sympy.Dummy(commutative=True)
                self.meaning[dummy] = key
            return self.dummies[key]
        arguments = [self._value(x) for x in program.arguments]
        if name in {"/", "inverse"} and arguments[-1].is_zero:
            return self.sympy.Integer(0)  # inv(0) = 0
        if program.production.symbolic is None:
            raise ValueError(f"to_sympy: the production {name!r} has no sympy form")
        return program.production.symbolic(*arguments)

    def _key(self, program: Program) -> tuple[Any, ...]:
        """A production's name and its arguments, conditions as keys of their own."""
        parts = [self._key(x) if x.production.sort == "condition" else self._value(x) for x in program.arguments]
        return program.name, *parts

    def _restored(self, x: Any) -> Any:
        if x in self.meaning:
            return self._meant(self.meaning[x])
        if not x.args or not any(dummy in self.meaning for dummy in x.free_symbols):
            return x
        return x.func(*(self._restored(y) for y in x.args), evaluate=False)

    def _meant(self, key: tuple[Any, ...]) -> Any:
        sympy = self.sympy
        name, *parts = key
        arguments = [self._meant(x) if isinstance(x, tuple) else self._restored(x) for x in parts]
        match name:
            case "if":
                return sympy.Piecewise((arguments[1], arguments[0]), (arguments[2], True), evaluate=False)
            case "odd":
                return sympy.Eq(sympy.Mod(arguments[0], 2, evaluate=False), 1, evaluate=False)
            case _:
                made = {"min": sympy.Min, "max": sympy.Max, "==": sympy.Eq, "<": sympy.Lt}[name]
                return made(*arguments, evaluate=False)


def _lifted(program: Program) -> Program:
    """A conditional whose condition holds no conditional, which sympy would rewrite: x if odd(y if q else z) else w
    as a choice by q between two that test y and z."""
    test, then, otherwise = program.arguments
    inner = next((x for x in test.nodes() if x.name == "if"), None)
    if inner is None:
        return program
    rule = program.production
    branches = [_lifted(Program(rule, (_replaced(test, inner, y), then, otherwise))) for y in inner.arguments[1:]]
    return _lifted(Program(rule, (inner.arguments[0], *branches)))


def _replaced(program: Program, old: Program, new: Program) -> Program:
    if program is old:
        return new
    return Program(program.production, tuple(_replaced(x, old, new) for x in program.arguments))


def from_sympy(expression: Any, language: Language) -> Program:
    """The program of a sympy expression, in the language's productions.

    Args:
        expression: in symbols a..d: integers, rationals, +, *, powers with integer exponents, Min, Max, and Piecewise
            over equalities, comparisons and parities; for groups products and powers of noncommutative symbols.
        language: what the program is written in.

    Raises:
        ValueError: the expression holds something that the language does not; one line that names it.
    """
    try:
        return _Converter(language).value(expression)
    except KeyError as error:
        raise ValueError(f"from_sympy: {error.args[0]}, needed for {expression}") from None


class _Converter:
    def __init__(self, language: Language) -> None:
        import sympy

        self.language = language
        self.sympy = sympy

    def value(self, x: Any) -> Program:
        sympy, make = self.sympy, self.language.make
        if x.is_Symbol:
            return self._symbol(x)
        if self.language.kind == "group":
            return self._word(x)
        if x.is_Integer:
            return integer(self.language, int(x))
        if x.is_Rational:
            return make("/", integer(self.language, int(x.p)), integer(self.language, int(x.q)))
        if x.is_Add:
            return self._sum(list(x.args))
        if x.is_Mul:
            return self._product(*x.as_coeff_mul())
        if x.is_Pow and x.exp.is_Integer:
            program = power(self.value(x.base), abs(int(x.exp)), self.language)
            return program if x.exp > 0 else self._inverse(program)
        if isinstance(x, sympy.Mod):
            return make("%", *map(self.value, x.args))
        if isinstance(x, sympy.Min | sympy.Max):
            name = "min" if isinstance(x, sympy.Min) else "max"
            first, *rest = sorted(x.args, key=sympy.default_sort_key)
            program = self.value(first)
            for argument in rest:
                program = make(name, program, self.value(argument))
            return program
        if isinstance(x, sympy.Piecewise):
            return self._piecewise(list(x.args))
        raise self._refusal(x)

    def _symbol(self, x: Any) -> Program:
        known = VARIABLES[: self.language.arity]
        if x.name not in known:
            raise ValueError(f"from_sympy: no input {x.name!r}; there are {', '.join(known)}")
        return self.language.variable(known.index(x.name))

    def _sum(self, terms: list[Any]) -> Program:
        make = self.language.make
        terms.sort(key=lambda t: (t.is_number, self.sympy.default_sort_key(t)))
        first = next((i for i, t in enumerate(terms) if not _is_negative(t)), 0)
        terms = [terms[first], *terms[:first], *terms[first + 1 :]]  # something to subtract from comes first
        program = self.value(terms[0])
        for term in terms[1:]:
            if _is_negative(term):
                coefficient, factors = term.as_coeff_mul()
                program = make("-", program, self._product(-coefficient, factors))
            else:
                program = make("+", program, self.value(term))
        return program

    def _product(self, coefficient: Any, factors: tuple[Any, ...]) -> Program:
        if not coefficient.is_Rational:
            raise self._refusal(coefficient)
        above: list[Program] = []
        below: list[Program] = []
        for factor in factors:
            if factor.is_Pow and factor.exp.is_Integer and factor.exp < 0:
                below.append(power(self.value(factor.base), -int(factor.exp), self.language))
            else:
                above.append(self.value(factor))
        numerator, denominator = abs(int(coefficient.p)), int(coefficient.q)
        negative = coefficient < 0
        if negative and (numerator != 1 or "neg" not in self.language):
            above.insert(0, integer(self.language, -numerator))
            negative = False
        elif numerator != 1 or not (above or below):
            above.insert(0, integer(self.language, numerator))
        if denominator != 1:
            below.append(integer(self.language, denominator))
        if not below:
            program = self._fold("*", above)
        elif above:
            program = self.language.make("/", self._fold("*", above), self._fold("*", below))
        else:
            program = self._inverse(self._fold("*", below))
        return self.language.make("neg", program) if negative else program

    def _fold(self, name: str, programs: list[Program]) -> Program:
        program = programs[0]
        for other in programs[1:]:
            program = self.language.make(name, program, other)
        return program

    def _inverse(self, program: Program) -> Program:
        # inv costs 6 bits and 1/x costs 10, so the production comes first
        if "inverse" in self.language:
            return self.language.make("inverse", program)
        return self.language.make("/", integer(self.language, 1), program)

    def _piecewise(self, pieces: list[Any]) -> Program:
        (then, condition), *rest = pieces
        if condition == self.sympy.true:
            return self.value(then)
        if condition == self.sympy.false and rest:
            return self._piecewise(rest)
        if not rest:
            raise ValueError(f"from_sympy: a Piecewise needs a last case for everything else, got {condition}")
        test, holds = self._condition(condition)
        branches = self.value(then), self._piecewise(rest)
        return self.language.make("if", test, *(branches if holds else branches[::-1]))

    def _condition(self, x: Any) -> tuple[Program, bool]:
        """A condition, and whether it is meant as it stands or negated."""
        sympy, make = self.sympy, self.language.make
        if isinstance(x, sympy.Eq | sympy.Ne):
            holds = isinstance(x, sympy.Eq)
            for modulo, remainder in ((x.lhs, x.rhs), (x.rhs, x.lhs)):
                if isinstance(modulo, sympy.Mod) and modulo.args[1] == 2 and remainder in (0, 1):
                    return make("odd", self.value(modulo.args[0])), holds == (remainder == 1)
            return make("==", self.value(x.lhs), self.value(x.rhs)), holds
        if isinstance(x, sympy.StrictLessThan | sympy.GreaterThan):  # not (x < y) is x >= y
            return make("<", self.value(x.lhs), self.value(x.rhs)), isinstance(x, sympy.StrictLessThan)
        if isinstance(x, sympy.StrictGreaterThan | sympy.LessThan):
            return make("<", self.value(x.rhs), self.value(x.lhs)), isinstance(x, sympy.StrictGreaterThan)
        if isinstance(x, sympy.Not):
            test, holds = self._condition(x.args[0])
            return test, not holds
        raise self._refusal(x)

    def _word(self, x: Any) -> Program:
        make = self.language.make
        if x.is_Mul and x.as_coeff_mul()[0] == 1:
            return self._fold("compose", [self._word(factor) for factor in x.args])
        if x.is_Pow and x.exp.is_Integer:
            base = self._word(x.base)
            if x.exp < 0:
                base = make("inverse", base)
            return self._fold("compose", [base] * abs(int(x.exp)))
        if x.is_Symbol:
            return self._symbol(x)
        if x == 1:
            first = self.language.variable(0)
            return make("compose", first, make("inverse", first))
        raise self._refusal(x)

    def _refusal(self, x: Any) -> ValueError:
        names = ", ".join(p.name for p in self.language.productions if p.arguments)
        return ValueError(
            f"from_sympy: {type(x).__name__} {x} has no form in language {self.language.name}, which has {names}"
        )


def power(base: Program, exponent: int, language: Language) -> Program:
    """base**exponent at the least cost by products and squares.

    Raises:
        ValueError: the exponent is below 1 or above 1024.
    """
    if not 1 <= exponent <= MAX_POWER:
        raise ValueError(f"power: exponents go from 1 to {MAX_POWER}, got {exponent}")
    square = language["square"].bits if "square" in language else None
    plan = _power_plan(exponent, base.bits, language["*"].bits, square)

    def build(n: int) -> Program:
        if n == 1:
            return base
        if plan[n] == 0:
            return language.make("square", build(n // 2))
        return language.make("*", build(n - plan[n]), build(plan[n]))

    return build(exponent)


def _is_negative(term: Any) -> bool:
    return bool(term.as_coeff_mul()[0] < 0) if term.is_Mul or term.is_Rational else False


@cache
def _power_plan(exponent: int, base: int, times: int, square: int | None) -> tuple[int, ...]:
    """For each n up to the exponent how x**n is built at the least cost: the second factor's power, 0 for a square."""
    cost, plan = [0, base], [0, 0]
    for n in range(2, exponent + 1):
        steps = range(1, n // 2 + 1) if n <= 64 else (1, n // 2)
        best, how = min((cost[n - i] + cost[i] + times, i) for i in steps)
        if square is not None and n % 2 == 0 and cost[n // 2] + square <= best:
            best, how = cost[n // 2] + square, 0
        cost.append(best)
        plan.append(how)
    return tuple(plan)
