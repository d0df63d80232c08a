"""Components of programs over residues, and sketches of programs of k components, as constraints for z3.

A line is one production of the language on inputs, constants or earlier lines; Boolean variables say which. Residues
are bit-vectors. Constraints rule out what a sketch of fewer lines has too, or another order of the same lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from synth.carrier import IntArray, Residues
from synth.language import Language
from synth.language import language as builtin
from synth.program import Production, Program

_SLOTS = {1: ("y",), 2: ("x", "y"), 3: ("c", "x", "y")}  # which slots of a line an operator reads, by its arity


def encoded(language: Language) -> tuple[Production, ...]:
    """The language's operators that mean what the language ``full`` means by them, and so have an encoding."""
    known = {x.name: x.semantics for x in builtin("full", 1).productions if x.arguments}
    return tuple(x for x in language.productions if x.arguments and known.get(x.name) is x.semantics)


class Components:
    """What lines may be made of, and which uses of it a smaller program can replace.

    Attributes:
        leaves: variables, then constants that differ on the carrier.
        operators: the productions that take arguments and have an encoding.
        twice: operators that add nothing where their two values are the same line: x - x, min(x, x).
        idle: (operator, slot, leaf) where a constant adds nothing: x + 0, 0/x, 2*x beside x + x.
    """

    def __init__(self, language: Language, carrier: Residues) -> None:
        self.language, self.carrier = language, carrier
        leaves = [x for x in language.of_sort("value") if not x.arguments]
        constants: dict[int, Production] = {}
        for leaf in leaves:
            if leaf.variable is None:
                constants.setdefault(int(leaf.semantics(carrier)), leaf)
        self.values = list(constants)
        self.variables = [x for x in leaves if x.variable is not None]
        self.leaves = self.variables + list(constants.values())
        known = encoded(language)
        choosing = {x.sort for x in known} == {"value", "condition"} and any(x.name == "if" for x in known)
        self.operators = [x for x in known if choosing or (x.name != "if" and x.sort == "value")]
        self.conditional = choosing
        self.twice = {"if"} if choosing else set[str]()
        self.idle: set[tuple[str, str, int]] = set()
        self._thin_out()

    def _thin_out(self) -> None:
        """Of all ways to make one function of one value, the first is kept: x itself, a constant, neg(x), x*x, ..."""
        everything = np.arange(self.carrier.size)
        seen = {x.tobytes() for x in [everything, *(np.full_like(everything, value) for value in self.values)]}
        seen |= {np.full(len(everything), truth).tobytes() for truth in (False, True)}

        def known(operator: Production, *arguments: IntArray) -> bool:
            table = np.asarray(operator.semantics(self.carrier, *arguments)).tobytes()
            if table in seen:
                return True
            seen.add(table)
            return False

        for operator in self.operators:
            if operator.arity == 1:
                known(operator, everything)
        binary = [x for x in self.operators if x.arity == 2]
        self.twice |= {x.name for x in binary if known(x, everything, everything)}
        for operator in binary:
            for index, value in enumerate(self.values, len(self.variables)):
                constant = np.full_like(everything, value)
                if known(operator, everything, constant):
                    self.idle.add((operator.name, "y", index))
                    if operator.commutes:
                        self.idle.add((operator.name, "x", index))
                if not operator.commutes and known(operator, constant, everything):
                    self.idle.add((operator.name, "x", index))

    def folds(self, operator: Production) -> list[tuple[int, int]]:
        """Pairs of constants, by their places among the leaves, of which the operator makes a constant again."""
        if operator.arity != 2 or operator.sort != "value":
            return []
        constants, first = np.array(self.values, dtype=np.int64), len(self.variables)
        made = operator.semantics(self.carrier, constants[:, None], constants[None, :])
        return [(int(i) + first, int(j) + first) for i, j in np.argwhere(np.isin(made, constants))]


@dataclass(frozen=True)
class _Line:
    """Boolean variables: which operator the line is, and for each of its slots which leaf or earlier line is in it."""

    operators: dict[str, Any]
    slots: dict[str, list[Any]]


class Sketch:
    """All programs of ``size`` components, as constraints in a z3 solver.

    Args:
        solver: for bit-vectors, empty.
    """

    def __init__(self, components: Components, size: int, solver: Any) -> None:
        import z3

        self.z3, self.solver, self.context = z3, solver, solver.ctx
        self.components, self.size = components, size
        self.first = len(components.leaves)  # where lines begin among what a slot may hold
        self.width = components.carrier.modulus.bit_length()
        self.shown = 0
        self.lines: list[_Line] = []
        for i in range(size):
            self.lines.append(self._line(i))
            self._sorts(i)
            for operator in components.operators:
                self._restrict(self.lines[i], operator)
        for operator in components.operators:
            if operator.sort == "condition":
                self._never(self.lines[-1].operators[operator.name])
        self._all_used()
        self._in_order()

    # Which programs there are

    def _line(self, i: int) -> _Line:
        operators = {x.name: self._bool(f"o{i}.{x.name}") for x in self.components.operators}
        slots = {slot: [self._bool(f"{slot}{i}.{j}") for j in range(self.first + i)] for slot in "xy"}
        for choices in (list(operators.values()), *slots.values()):
            self._exactly_one(choices)
        if self.components.conditional:
            slots["c"] = [self._bool(f"c{i}.{j}") for j in range(self.first + i)]
            self._at_most_one(slots["c"])
            self.solver.add(operators["if"] == self.z3.Or(slots["c"]))
            for leaf in slots["c"][: self.first]:
                self._never(leaf)
        return _Line(operators, slots)

    def _sorts(self, i: int) -> None:
        """Slots x and y hold values, slot c a condition."""
        if not self.components.conditional:
            return
        for j in range(i):
            for operator in self.components.operators:
                for slot in "c" if operator.sort == "value" else "xy":
                    self._never(self.lines[j].operators[operator.name], self.lines[i].slots[slot][self.first + j])

    def _restrict(self, line: _Line, operator: Production) -> None:
        """What adds nothing, and one order where the order does not matter."""
        here, x, y = line.operators[operator.name], line.slots["x"], line.slots["y"]
        if operator.arity == 1:  # a slot that is not read holds the first leaf
            self.solver.add(self.z3.Implies(here, x[0]))
        if operator.name in self.components.twice:
            for both in zip(x, y, strict=True):
                self._never(here, *both)
        for name, slot, leaf in sorted(self.components.idle):
            if name == operator.name:
                self._never(here, line.slots[slot][leaf])
        if operator.commutes:
            for low, high in combinations(range(len(x)), 2):
                self._never(here, x[high], y[low])
        for one, other in self.components.folds(operator):
            self._never(here, x[one], y[other])

    def _uses(self, later: int, earlier: int) -> list[Any]:
        return [holds[self.first + earlier] for holds in self.lines[later].slots.values()]

    def _all_used(self) -> None:
        for i in range(self.size - 1):
            self.solver.add(self.z3.Or([use for j in range(i + 1, self.size) for use in self._uses(j, i)]))

    def _in_order(self) -> None:
        """Neighbours of which the later does not use the earlier stand in the order of what they are.

        Of all orders of a program's lines, the one whose keys come first lexicographically has this property; equal
        neighbours would be one line of a smaller program.
        """
        keys = [self._key(line) for line in self.lines]
        for i in range(self.size - 1):
            self.solver.add(self.z3.Or([*self._uses(i + 1, i), self.z3.ULT(keys[i], keys[i + 1])]))

    def _key(self, line: _Line) -> Any:
        rows = [line.slots["y"], line.slots["x"], list(line.operators.values()), line.slots.get("c", [])]
        width = (self.first + self.size + len(rows[2])).bit_length()
        return self.z3.Concat(
            [self._chosen(row, [self._word(k, width) for k in range(len(row))], width) for row in rows]
        )

    # What they compute

    def show(self, inputs: IntArray, output: int) -> None:
        """Every program of the sketch now agrees with this example: inputs of shape (arity,) and its label."""
        self.shown += 1
        known = [int(inputs[x.variable]) for x in self.components.variables if x.variable is not None]
        values = [self._word(value, self.width) for value in [*known, *self.components.values]]
        for line in self.lines:
            read = {slot: self._chosen(holds, values, self.width) for slot, holds in line.slots.items()}
            values.append(self._result(line, read))
        self.solver.add(values[-1] == self._word(output, self.width))

    def _result(self, line: _Line, read: dict[str, Any]) -> Any:
        z3, x, y, names = self.z3, read["x"], read["y"], line.operators
        zero = self._word(0, self.width)
        results: dict[str, Any] = {"min": z3.If(z3.ULT(x, y), x, y), "max": z3.If(z3.ULT(x, y), y, x)}
        if "+" in names:
            results["+"] = self._reduced(self._wide(x, 1) + self._wide(y, 1))
        if "-" in names or "neg" in names:  # one subtraction serves both
            left = z3.If(names["neg"], zero, x) if "neg" in names else x
            m = self._word(self.components.carrier.modulus, self.width)
            results["-"] = results["neg"] = z3.If(z3.ULT(left, y), left + (m - y), left - y)
        if {"*", "/", "square", "inverse"} & names.keys():  # one product, and one table of inverses
            left, right = x, y
            if {"/", "inverse"} & names.keys():
                inverse = self._table(y, self.components.carrier.inverses)
                right = z3.If(z3.Or([names[k] for k in ("/", "inverse") if k in names]), inverse, y)
                results["inverse"] = inverse
            if "square" in names:
                left = z3.If(names["square"], y, x)
            results["*"] = results["/"] = results["square"] = self._product(left, right)
        for name, truth in (("odd", z3.Extract(0, 0, y) == 1), ("==", x == y), ("<", z3.ULT(x, y))):
            results[name] = z3.If(truth, self._word(1, self.width), zero)
        if "if" in names:
            results["if"] = z3.If(read["c"] == zero, y, x)
        return self._chosen(list(names.values()), [results[name] for name in names], self.width)

    def _product(self, x: Any, y: Any) -> Any:
        m = self._word(self.components.carrier.modulus, 2 * self.width)
        rest = self.z3.URem(self._wide(x, self.width) * self._wide(y, self.width), m)
        return self.z3.Extract(self.width - 1, 0, rest)

    def _reduced(self, x: Any) -> Any:
        """x mod m for x below 2m, one bit wider than a residue."""
        m = self._word(self.components.carrier.modulus, self.width + 1)
        return self.z3.Extract(self.width - 1, 0, self.z3.If(self.z3.ULT(x, m), x, x - m))

    def _table(self, index: Any, entries: IntArray) -> Any:
        """entries[index] by a tree of decisions on the index's bits, the highest last."""
        level = [self._word(int(x), self.width) for x in entries]
        for bit in range(self.width):
            level.extend(level[-1:] * (len(level) % 2))  # beyond the last entry nothing is read
            odd = self.z3.Extract(bit, bit, index) == 1
            pairs = zip(level[::2], level[1::2], strict=True)
            level = [low if low.eq(high) else self.z3.If(odd, high, low) for low, high in pairs]
        return level[0]

    # What z3 found

    def program(self) -> Program:
        """The program of the solver's model.

        Raises:
            z3.Z3Exception: the last check was not "sat".
        """
        model = self.solver.model()
        made = [Program(leaf) for leaf in self.components.leaves]
        for line in self.lines:
            operator = self.components.operators[self._true(model, list(line.operators.values()))]
            slots = [line.slots[slot] for slot in _SLOTS[operator.arity]]
            made.append(Program(operator, tuple(made[self._true(model, holds)] for holds in slots)))
        return made[-1]

    def _true(self, model: Any, choices: list[Any]) -> int:
        return next(i for i, choice in enumerate(choices) if self.z3.is_true(model[choice]))

    # Small words of the solver's language

    def _bool(self, name: str) -> Any:
        return self.z3.Bool(name, self.context)

    def _word(self, value: int, width: int) -> Any:
        return self.z3.BitVecVal(value, width, self.context)

    def _wide(self, x: Any, more: int) -> Any:
        return self.z3.ZeroExt(more, x)

    def _chosen(self, choices: list[Any], terms: list[Any], width: int) -> Any:
        """The term whose choice is true; 0 where none is."""
        result = self._word(0, width)
        for choice, term in zip(reversed(choices), reversed(terms), strict=True):
            result = self.z3.If(choice, term, result)
        return result

    def _never(self, *together: Any) -> None:
        self.solver.add(self.z3.Or([self.z3.Not(x) for x in together]))

    def _at_most_one(self, choices: list[Any]) -> None:
        for pair in combinations(choices, 2):
            self._never(*pair)

    def _exactly_one(self, choices: list[Any]) -> None:
        self.solver.add(self.z3.Or(choices))
        self._at_most_one(choices)
