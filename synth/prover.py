"""z3 on programs over residues: are two of them equal on all of carrier^arity?"""

from __future__ import annotations

from typing import Any

import numpy as np
import z3

from synth.carrier import Residues
from synth.program import Program


def prove_equal(
    x: Program, y: Program, carrier: Residues, arity: int, seconds: float
) -> tuple[bool, tuple[int, ...] | None]:
    """Whether z3 proves that they are equal within the time, and else a cell where they differ, if it found one.

    Integers with a constant modulus; an inverse is a fresh variable with its defining property. Polynomial identities
    take milliseconds; what rests on the primality of the modulus (inv(inv(b)) = b) is mostly given up.
    """
    equation = _Equation(carrier, arity)
    solver: Any = z3.Solver()
    solver.set("timeout", max(1, int(seconds * 1000)))
    try:
        difference = (equation.term(x) - equation.term(y)) % carrier.modulus
    except KeyError:  # a user's own production: z3 does not know it
        return False, None
    solver.add(*equation.facts, difference != 0)
    answer = solver.check()
    if answer == z3.unsat:
        return True, None
    if answer == z3.sat:
        model = solver.model()
        cell = tuple(int(model.eval(v, model_completion=True).as_long()) for v in equation.inputs)
        inputs = np.array([cell], dtype=np.int64)
        if x.evaluate(inputs, carrier)[0] != y.evaluate(inputs, carrier)[0]:
            return False, cell
    return False, None


class _Equation:
    """Programs as z3 terms, over shared inputs and with the facts that their inverses rest on."""

    def __init__(self, carrier: Residues, arity: int) -> None:
        self.carrier = carrier
        self.inputs: list[Any] = [z3.Int(f"x{i}") for i in range(arity)]
        self.facts: list[Any] = []
        for x in self.inputs:
            self._bounded(x)
        self.fresh = 0

    def _bounded(self, x: Any) -> None:
        self.facts += [x >= 0, x < self.carrier.modulus]

    def _inverse(self, y: Any) -> Any:
        m = self.carrier.modulus
        self.fresh += 1
        result: Any = z3.Int(f"inverse{self.fresh}")
        self._bounded(result)
        is_inverse = (y * result) % m == 1
        if self.carrier.is_prime:
            self.facts.append(z3.If(y % m == 0, result == 0, is_inverse))
        else:  # a unit's inverse, and 0 for the others
            other: Any = z3.Int(f"other{self.fresh}")
            has = z3.Exists([other], z3.And(other >= 0, other < m, (y * other) % m == 1))
            self.facts.append(z3.If(has, is_inverse, result == 0))
        return result

    def term(self, node: Program) -> Any:
        """The program as a term, equal to it modulo m.

        Raises:
            KeyError: a production that has no form here.
        """
        m = self.carrier.modulus
        if node.production.variable is not None:
            return self.inputs[node.production.variable]
        if not node.arguments:
            return z3.IntVal(int(node.name) % m)
        x = [self.term(argument) for argument in node.arguments]
        match node.name:
            case "+":
                return x[0] + x[1]
            case "-":
                return x[0] - x[1]
            case "*":
                return x[0] * x[1]
            case "neg":
                return -x[0]
            case "square":
                return x[0] * x[0]
            case "/":
                return x[0] * self._inverse(x[1])
            case "inverse":
                return self._inverse(x[0])
            case "min":
                return z3.If(x[0] % m < x[1] % m, x[0], x[1])
            case "max":
                return z3.If(x[0] % m < x[1] % m, x[1], x[0])
            case "if":
                return z3.If(x[0], x[1], x[2])
            case "odd":
                return (x[0] % m) % 2 == 1
            case "==":
                return (x[0] - x[1]) % m == 0
            case "<":
                return x[0] % m < x[1] % m
            case _:
                raise KeyError(node.name)
