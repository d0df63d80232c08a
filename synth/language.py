"""Languages: probabilistic context-free grammars over a carrier, so that bits = -log2 probability.

One cost table serves all languages, so that a program costs the same in each that holds it. At each nonterminal the
probabilities sum to at most 1; the rest is mass that no program has, on purpose: adding a production later leaves every
present cost as it is.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from math import ceil, log2
from typing import Any

import numpy as np

from synth.carrier import Carrier, IntArray, Residues
from synth.integers import INTEGER_RULES, is_literal, literal, literal_mass
from synth.program import ANY, NONE, Production, Program, Sort

VARIABLES = "abcd"
MAX_ARITY = len(VARIABLES)
CONSTANTS = (0, 1, 2, 3)


@dataclass(frozen=True)
class Language:
    """A set of productions for programs of ``arity`` inputs.

    Attributes:
        name: "ring", "field", "full", "int", "group", or a user's own.
        kind: what its programs compute on: "residues", "group", or "integers", which residues stand for as well (see
            synth/integers.py).
        arity: how many inputs a program has.
        productions: all rules, those for values and those for conditions. A language on integers also has every
            literal from 4 to 2^31 - 1 as a production, named by its decimal text, which is not listed here.
    """

    name: str
    kind: str
    arity: int
    productions: tuple[Production, ...]

    def __post_init__(self) -> None:
        names = [x.name for x in self.productions]
        if len(set(names)) != len(names):
            raise ValueError(f"Language {self.name}: two productions share a name among {', '.join(names)}")
        integers = self.kind == "integers"
        if any(x.integers != integers for x in self.productions if x.variable is None):
            raise ValueError(f"Language {self.name}: productions on integers belong in languages of that kind only")
        for sort in ("value", "condition"):
            if (mass := self.mass(sort)) > 1:
                raise ValueError(f"Language {self.name}: the {sort} productions' probabilities sum to {mass:g} > 1")

    def of_sort(self, sort: Sort) -> tuple[Production, ...]:
        return tuple(x for x in self.productions if x.sort == sort)

    def mass(self, sort: Sort) -> float:
        """The sum of the probabilities of the productions of one sort."""
        unlisted = literal_mass() if self.integers and sort == "value" else 0.0
        return unlisted + sum(2.0**-x.bits for x in self.of_sort(sort))

    @property
    def integers(self) -> bool:
        """Whether its programs compute on plain integers."""
        return self.kind == "integers"

    def suits(self, carrier: Carrier) -> bool:
        """Whether its programs have values on the carrier's elements."""
        return self.kind == carrier.kind or (self.integers and carrier.kind == "residues")

    def __contains__(self, name: str) -> bool:
        return any(x.name == name for x in self.productions) or (self.integers and is_literal(name))

    def __getitem__(self, name: str) -> Production:
        for production in self.productions:
            if production.name == name:
                return production
        if self.integers and is_literal(name):
            return literal(int(name))
        raise KeyError(f"language {self.name} has no production {name!r}")

    def make(self, name: str, *arguments: Program) -> Program:
        """The program with the named production at its root.

        Raises:
            KeyError: the language has no such production.
        """
        return Program(self[name], arguments)

    def variable(self, index: int) -> Program:
        return self.make(VARIABLES[index])

    def only(self, variables: Iterable[int]) -> Language:
        """The same language, at the same costs, without the inputs that are not among ``variables`` (indices)."""
        kept = frozenset(variables)
        productions = tuple(x for x in self.productions if x.variable is None or x.variable in kept)
        return replace(self, productions=productions)

    def holds(self, program: Program) -> bool:
        """Whether every node of the program is one of the language's productions."""
        names = {x.name for x in self.productions}
        return all(x.name in names or x.name in self for x in program.nodes())


def _add(c: Residues, x: Any, y: Any) -> Any:
    return (x + y) % c.modulus


def _subtract(c: Residues, x: Any, y: Any) -> Any:
    return (x - y) % c.modulus


def _multiply(c: Residues, x: Any, y: Any) -> Any:
    return (x * y) % c.modulus


def _invert(c: Residues, x: Any) -> Any:
    return c.inverses[x]


def _divide(c: Residues, x: Any, y: Any) -> Any:
    return (x * c.inverses[y]) % c.modulus


def _undo_multiply(c: Residues, result: IntArray, other: IntArray) -> IntArray:
    # Only sound where `other` is a unit or 0; for a composite modulus a non-unit has several solutions or none, and
    # saying NONE merely keeps the search from using it.
    solved = (result * c.inverses[other]) % c.modulus
    return np.where(c.inverses[other] != 0, solved, np.where((other == 0) & (result == 0), ANY, NONE))


def _undo_divide_left(c: Residues, result: IntArray, other: IntArray) -> IntArray:
    unit = c.inverses[other] != 0
    return np.where(unit, (result * other) % c.modulus, np.where(result == 0, ANY, NONE))


def _undo_divide_right(c: Residues, result: IntArray, other: IntArray) -> IntArray:
    # other / y = result with y = other / result; a zero quotient comes from y = 0 or, where other is 0, from every y.
    solved = np.where(result == 0, 0, (other * c.inverses[result]) % c.modulus)
    unit = (c.inverses[result] != 0) & (c.inverses[other] != 0)
    return np.where(unit | ((result == 0) & (other != 0)), solved, np.where((result == 0) & (other == 0), ANY, NONE))


def _undo_inverse(c: Residues, result: IntArray, other: IntArray) -> IntArray:
    return np.where(result == 0, 0 if c.is_prime else NONE, np.where(c.inverses[result] != 0, c.inverses[result], NONE))


def _sympy(name: str) -> Callable[..., Any]:
    def build(*arguments: Any) -> Any:
        import sympy  # imported late: sympy costs 0.3 s and most runs never print with it

        return getattr(sympy, name)(*arguments)

    return build


def _piecewise(condition: Any, then: Any, otherwise: Any) -> Any:
    import sympy

    return sympy.Piecewise((then, condition), (otherwise, True))


def _sympy_odd(x: Any) -> Any:
    import sympy

    return sympy.Eq(sympy.Mod(x, 2), 1)


_RING = (
    Production("+", 4, _add, "{0} + {1}", ("value", "value"), 10, (10, 11), commutes=True,
               inverses=(lambda c, r, y: (r - y) % c.modulus, lambda c, r, x: (r - x) % c.modulus),
               symbolic=lambda x, y: x + y),
    Production("-", 4, _subtract, "{0} - {1}", ("value", "value"), 10, (10, 11),
               inverses=(lambda c, r, y: (r + y) % c.modulus, lambda c, r, x: (x - r) % c.modulus),
               symbolic=lambda x, y: x - y),
    Production("*", 4, _multiply, "{0}*{1}", ("value", "value"), 20, (20, 21), commutes=True,
               inverses=(_undo_multiply, _undo_multiply), symbolic=lambda x, y: x * y),
)  # fmt: skip

_FIELD = (
    Production("/", 5, _divide, "{0}/{1}", ("value", "value"), 20, (20, 21),
               inverses=(_undo_divide_left, _undo_divide_right), symbolic=lambda x, y: x / y),
    Production("neg", 6, lambda c, x: (c.modulus - x) % c.modulus, "-{0}", ("value",), 20, (21,),
               inverses=(lambda c, r, _: (c.modulus - r) % c.modulus,), symbolic=lambda x: -x),
    Production("square", 6, lambda c, x: (x * x) % c.modulus, "{0}**2", ("value",), 30, (31,),
               inverses=(None,), symbolic=lambda x: x**2),
    Production("inverse", 6, _invert, "inv({0})", ("value",), 100, (0,),
               inverses=(_undo_inverse,), symbolic=lambda x: 1 / x),
)  # fmt: skip

_FULL = (
    Production("min", 6, lambda c, x, y: (x + y - abs(x - y)) // 2, "min({0}, {1})", ("value", "value"), 100, (0, 0),
               commutes=True, inverses=(None, None), symbolic=_sympy("Min")),
    Production("max", 6, lambda c, x, y: (x + y + abs(x - y)) // 2, "max({0}, {1})", ("value", "value"), 100, (0, 0),
               commutes=True, inverses=(None, None), symbolic=_sympy("Max")),
    Production("if", 6, lambda c, q, x, y: y + (x - y) * q, "{1} if {0} else {2}",
               ("condition", "value", "value"), 1, (2, 2, 1), inverses=(None, None, None), symbolic=_piecewise),
    Production("odd", 1, lambda c, x: x % 2 == 1, "odd({0})", ("value",), 100, (0,), sort="condition",
               inverses=(None,), symbolic=_sympy_odd),
    Production("==", 2, lambda c, x, y: x == y, "{0} == {1}", ("value", "value"), 5, (10, 10), sort="condition",
               commutes=True, inverses=(None, None), symbolic=_sympy("Eq")),
    Production("<", 2, lambda c, x, y: x < y, "{0} < {1}", ("value", "value"), 5, (10, 10), sort="condition",
               inverses=(None, None), symbolic=_sympy("Lt")),
)  # fmt: skip

_GROUP = (
    Production("compose", 2, lambda c, x, y: c.table[x, y], "{0}*{1}", ("value", "value"), 20, (20, 21),
               inverses=(lambda c, r, y: c.table[r, c.inverses[y]], lambda c, r, x: c.table[c.inverses[x], r]),
               symbolic=lambda x, y: x * y),
    Production("inverse", 3, lambda c, x: c.inverses[x], "inv({0})", ("value",), 100, (0,),
               inverses=(lambda c, r, _: c.inverses[r],), symbolic=lambda x: x**-1),
)  # fmt: skip


def _variables(arity: int) -> tuple[Production, ...]:
    bits = 1 + ceil(log2(arity))
    return tuple(
        Production(VARIABLES[i], bits, lambda c: None, VARIABLES[i], symbolic=_symbol(i), variable=i)
        for i in range(arity)
    )


def _symbol(index: int) -> Callable[[], Any]:
    def build() -> Any:
        import sympy

        return sympy.Symbol(VARIABLES[index])

    return build


def _constant(value: int) -> Production:
    def build() -> Any:
        import sympy

        return sympy.Integer(value)

    return Production(str(value), 5, lambda c: np.int64(value % c.modulus), str(value), symbolic=build)


_RULES: dict[str, tuple[str, tuple[Production, ...]]] = {
    "ring": ("residues", _RING),
    "field": ("residues", _RING + _FIELD),
    "full": ("residues", _RING + _FIELD + _FULL),
    "int": ("integers", INTEGER_RULES),
    "group": ("group", _GROUP),
}
DEFAULTS = {"residues": "full", "group": "group"}


@cache
def language(name: str, arity: int) -> Language:
    """The built-in language of that name, for programs of 1 to 4 inputs.

    Raises:
        ValueError: no such language, or an arity that no language has.
    """
    if name not in _RULES:
        near = difflib.get_close_matches(name, _RULES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"language: no language {name!r}; there are {', '.join(_RULES)}{hint}")
    if not 1 <= arity <= MAX_ARITY:
        raise ValueError(f"language: programs have 1 to {MAX_ARITY} inputs, got {arity}")
    kind, rules = _RULES[name]
    make = {"residues": _constant, "integers": literal}.get(kind)
    constants = tuple(make(value) for value in CONSTANTS) if make else ()
    return Language(name, kind, arity, _variables(arity) + constants + rules)


def default_language(carrier: Carrier, arity: int) -> Language:
    """The language a method gets unless the user names one: by the kind of carrier, never by the task."""
    return language(DEFAULTS[carrier.kind], arity)


def language_names(kind: str) -> tuple[str, ...]:
    """The built-in languages for one kind of carrier."""
    kinds = {kind, "integers"} if kind == "residues" else {kind}
    return tuple(name for name, (its_kind, _) in _RULES.items() if its_kind in kinds)
