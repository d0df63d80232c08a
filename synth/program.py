"""Programs: immutable trees of productions, with text, bits and vectorised evaluation.

What a production means, costs and looks like is in its own fields; this file knows no operator by name.
Parsing is in parse.py, sympy in symbolic.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from synth.carrier import Carrier, IntArray

Sort = Literal["value", "condition"]
ANY = -1  # what a production's inverse answers where every argument would do ...
NONE = -2  # ... and where none does

Semantics = Callable[..., Any]
Inverse = Callable[[Any, IntArray, IntArray], IntArray]


@dataclass(frozen=True, slots=True, eq=False)
class Production:
    """One rule of the grammar.

    Attributes:
        name: unique in its language: "a", "3", "+", "square", "if", "odd".
        bits: -log2 of its probability at its nonterminal.
        arguments: the sorts of its arguments, in order; empty for a variable or a constant.
        semantics: ``semantics(carrier, *arrays)``; arrays of one shape, elements of the carrier (bool for conditions).
            Uses only operations that numpy and torch share. For a variable, see ``variable``.
        template: how it prints, with {0}, {1}.. for its arguments.
        precedence: of the printed form; higher binds tighter. ``argument_precedence``: what each argument needs
            to stand without parentheses; by default nothing, as in f(x, y).
        sort: the nonterminal that it expands.
        commutes: whether its two arguments may be swapped.
        inverses: for each argument a function ``(carrier, result, other) -> values`` that solves for it, with ANY and
            NONE where every or no value solves; None where there is no such function. For arity 1, ``other`` is unused.
        symbolic: builds the sympy form from the arguments' sympy forms; None where there is none.
        variable: index of the input that it stands for, or None.
        integers: whether it computes on plain integers, whatever the carrier; see synth/integers.py.
    """

    name: str
    bits: int
    semantics: Semantics
    template: str
    arguments: tuple[Sort, ...] = ()
    precedence: int = 100
    argument_precedence: tuple[int, ...] = ()
    sort: Sort = "value"
    commutes: bool = False
    inverses: tuple[Inverse | None, ...] = ()
    symbolic: Callable[..., Any] | None = None
    variable: int | None = None
    integers: bool = False

    def __post_init__(self) -> None:
        if self.commutes and (len(self.arguments) != 2 or self.arguments[0] != self.arguments[1]):
            raise ValueError(f"Production {self.name}: only one with two arguments of one sort commutes")
        if not self.argument_precedence:
            object.__setattr__(self, "argument_precedence", (0,) * len(self.arguments))

    @property
    def arity(self) -> int:
        return len(self.arguments)

    def __repr__(self) -> str:
        return f"Production({self.name!r}, {self.bits} bits)"


@dataclass(frozen=True, slots=True, repr=False)
class Program:
    """A tree of productions. Two programs are equal when they are the same tree (by the productions' names and costs).

    Attributes:
        production: the rule at the root.
        arguments: the subtrees, one for each argument of the rule.
        bits: the description length, -log2 of the program's probability: the sum over its nodes.
        size: the number of nodes.
    """

    production: Production = field(compare=False)
    arguments: tuple[Program, ...] = ()
    name: str = field(init=False)
    bits: int = field(init=False)
    size: int = field(init=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.arguments) != self.production.arity:
            raise ValueError(
                f"Program: {self.production.name} takes {self.production.arity} arguments, got {len(self.arguments)}"
            )
        for wanted, argument in zip(self.production.arguments, self.arguments, strict=True):
            if argument.production.sort != wanted:
                raise ValueError(
                    f"Program: {self.production.name} takes a {wanted}, got the {argument.production.sort} {argument}"
                )
        object.__setattr__(self, "name", self.production.name)
        object.__setattr__(self, "bits", self.production.bits + sum(x.bits for x in self.arguments))
        object.__setattr__(self, "size", 1 + sum(x.size for x in self.arguments))

    def __str__(self) -> str:
        texts: list[str] = []
        for argument, needed in zip(self.arguments, self.production.argument_precedence, strict=True):
            text = str(argument)
            texts.append(f"({text})" if argument.production.precedence < needed else text)
        return self.production.template.format(*texts)

    def __repr__(self) -> str:
        return f"Program({str(self)!r}, {self.bits} bits)"

    def nodes(self) -> Iterator[Program]:
        """All subtrees, the root first."""
        yield self
        for argument in self.arguments:
            yield from argument.nodes()

    @property
    def variables(self) -> frozenset[int]:
        """Indices of the inputs that occur in the program's text."""
        return frozenset(x.production.variable for x in self.nodes() if x.production.variable is not None)

    @property
    def on_integers(self) -> bool:
        """Whether it computes on plain integers, so that nothing about it follows from algebra modulo m."""
        return any(x.production.integers for x in self.nodes())

    def evaluate(self, inputs: IntArray, carrier: Carrier) -> IntArray:
        """The program's outputs, shape (n,), on ``inputs`` of shape (n, arity) with elements of the carrier."""
        if self.production.variable is not None:
            return np.asarray(inputs[:, self.production.variable], dtype=np.int64)
        values = [argument.evaluate(inputs, carrier) for argument in self.arguments]
        result = self.production.semantics(carrier, *values)
        return np.broadcast_to(np.asarray(result), (inputs.shape[0],))
