"""The proof ladder: is a program the target on every cell of its domain, and how is that known?

Polynomial identity over Z (every modulus at once), quotients by cross-multiplication with vanishing denominators set
apart (every prime), then every cell in blocks, then z3 for domains too large to list. ``sympy.simplify`` decides
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from synth.carrier import Carrier, IntArray, Residues
from synth.draws import integers
from synth.identity import denominators, is_polynomial, is_rational, same_function, same_rational
from synth.program import Program

Answer = Literal["correct", "wrong", "unknown"]
Proof = Literal["identity", "exhaustive", "z3", ""]

MAX_CELLS = 1 << 25  # what is checked one by one; beyond, z3
BLOCK = 1 << 16  # cells evaluated at once: a block's intermediate values stay in cache
_PROBES = 1 << 14


@dataclass(frozen=True, eq=False)
class Target:
    """What a program is judged by.

    Attributes:
        carrier: the values.
        domain: shape (cells, arity), in lexicographic order; None for all of carrier^arity, for domains too large to
            list.
        table: shape (cells,), the right answers; None where the formula alone says them.
        formula: the target as a program, right on the whole domain; without one no proof holds beyond this carrier.
        arity: needed where there is no domain.
    """

    carrier: Carrier
    domain: IntArray | None
    table: IntArray | None
    formula: Program | None = None
    arity: int = 0

    def __post_init__(self) -> None:
        if self.domain is None:
            if self.arity < 1:
                raise ValueError("Target: without a domain the arity must be given")
        elif self.arity not in (0, self.domain.shape[1]):
            raise ValueError(f"Target: the domain has {self.domain.shape[1]} inputs, but arity is {self.arity}")
        else:
            object.__setattr__(self, "arity", int(self.domain.shape[1]))
        if self.table is None and self.formula is None:
            raise ValueError("Target: needs a table or a formula")
        if self.table is not None and (self.domain is None or self.table.shape != (len(self.domain),)):
            raise ValueError(f"Target: one answer a cell is expected, got a table of shape {self.table.shape}")

    @property
    def cells(self) -> int:
        return len(self.domain) if self.domain is not None else self.carrier.size**self.arity

    def block(self, start: int, stop: int) -> tuple[IntArray, IntArray]:
        """The cells start .. stop-1, shape (k, arity), and their answers, shape (k,)."""
        if self.domain is not None:
            cells = self.domain[start:stop]
        else:
            flat = np.arange(start, min(stop, self.cells), dtype=np.int64)
            cells = np.stack(np.unravel_index(flat, (self.carrier.size,) * self.arity), axis=1).astype(np.int64)
        if self.table is not None:
            return cells, self.table[start:stop]
        assert self.formula is not None
        return cells, self.formula.evaluate(cells, self.carrier)


@dataclass(frozen=True)
class Verdict:
    """What was decided, and how.

    Attributes:
        verdict: "correct", "wrong" or "unknown".
        proof: the rung that decided; empty for "unknown".
        counterexample: a cell where the program errs, the first in the domain's order unless it was probed for.
        cells_checked: how many cells were evaluated.
        every_modulus: whether the proof holds for every modulus (polynomials) or every prime (quotients; but for the
            primes that divide a constant of a denominator).
    """

    verdict: Answer
    proof: Proof = ""
    counterexample: tuple[int, ...] | None = None
    cells_checked: int = 0
    every_modulus: bool = False

    @property
    def correct(self) -> bool:
        return self.verdict == "correct"


def verify(program: Program, target: Target, *, max_cells: int = MAX_CELLS, z3_seconds: float = 5.0) -> Verdict:
    """Climb the ladder: identity, then all cells; with more than ``max_cells``, probes and z3 for ``z3_seconds``."""
    if proved_identical(program, target):
        return Verdict("correct", "identity", every_modulus=True)
    if target.cells <= max_cells:
        return _exhaust(program, target)
    if (wrong := _probe(program, target)) is not None:
        return wrong
    return _by_z3(program, target, z3_seconds)


def proved_identical(program: Program, target: Target) -> bool:
    """Whether program and formula are one function on the domain by algebra alone, whatever the modulus.

    False proves nothing: a program may be right modulo p and not over Z. Programs on plain integers are never proved
    so: there + is no addition of residues.
    """
    formula, carrier = target.formula, target.carrier
    if formula is None or not isinstance(carrier, Residues) or program.on_integers or formula.on_integers:
        return False
    if is_polynomial(program) and is_polynomial(formula):
        return same_rational(program, formula) is True
    if not carrier.is_prime:
        return False
    if same_function(program, formula, carrier.modulus):
        return True
    if not (is_rational(program) and is_rational(formula)):
        return False
    # Formally equal quotients are equal where no denominator vanishes. A product of inputs and constants that is
    # not zero on the domain is a proof for every prime, as the domain of every prime leaves out those zeros.
    below = [*denominators(program), *denominators(formula)]
    if not all(_is_monomial(x) for x in below) or same_rational(program, formula) is not True:
        return False
    return target.domain is not None and all(_vanishes_nowhere(x, target) for x in below)


def _is_monomial(program: Program) -> bool:
    return all(not x.arguments or x.name in {"*", "/", "square", "inverse", "neg"} for x in program.nodes()) or not any(
        x.production.variable is not None for x in program.nodes()
    )


def _vanishes_nowhere(program: Program, target: Target) -> bool:
    return all(
        (program.evaluate(target.block(start, start + BLOCK)[0], target.carrier) != 0).all()
        for start in range(0, target.cells, BLOCK)
    )


def _exhaust(program: Program, target: Target) -> Verdict:
    for start in range(0, target.cells, BLOCK):
        cells, answers = target.block(start, start + BLOCK)
        wrong = program.evaluate(cells, target.carrier) != answers
        if wrong.any():
            first = int(wrong.argmax())
            return Verdict("wrong", "exhaustive", _cell(cells[first]), start + first + 1)
    return Verdict("correct", "exhaustive", cells_checked=target.cells)


def _cell(cell: IntArray) -> tuple[int, ...]:
    return tuple(int(x) for x in cell)


def _probe(program: Program, target: Target) -> Verdict | None:
    """A wrong cell among fixed pseudo-random ones, before a prover is asked to show that there is none."""
    flat = np.sort(integers(0, "verify", np.arange(_PROBES), target.cells))
    if target.domain is not None:
        cells = target.domain[flat]
    else:
        cells = np.stack(np.unravel_index(flat, (target.carrier.size,) * target.arity), axis=1).astype(np.int64)
    if target.table is not None:
        answers = target.table[flat]
    else:
        assert target.formula is not None
        answers = target.formula.evaluate(cells, target.carrier)
    wrong = program.evaluate(cells, target.carrier) != answers
    if not wrong.any():
        return None
    first = int(wrong.argmax())
    return Verdict("wrong", "exhaustive", _cell(cells[first]), first + 1)


def _by_z3(program: Program, target: Target, seconds: float) -> Verdict:
    """z3 on "some cell of carrier^arity tells program and formula apart"."""
    if target.formula is None or not isinstance(target.carrier, Residues) or program.on_integers:
        return Verdict("unknown", cells_checked=_PROBES)
    import z3  # late: it costs 0.2 s and hardly any run gets here

    m, prime = target.carrier.modulus, target.carrier.is_prime
    solver: Any = z3.Solver()
    solver.set("timeout", max(1, int(seconds * 1000)))
    inputs = [z3.Int(f"x{i}") for i in range(target.arity)]
    for x in inputs:
        solver.add(x >= 0, x < m)
    fresh: list[Any] = []

    def inverse(y: Any) -> Any:
        result = z3.Int(f"inverse{len(fresh)}")
        fresh.append(result)
        solver.add(result >= 0, result < m)
        if prime:
            solver.add(z3.If(y % m == 0, result == 0, (y * result) % m == 1))
        else:  # a unit's inverse, and 0 for the others
            other = z3.Int(f"other{len(fresh)}")
            has = z3.Exists([other], z3.And(other >= 0, other < m, (y * other) % m == 1))
            solver.add(z3.If(has, (y * result) % m == 1, result == 0))
        return result

    def term(node: Program) -> Any:
        if node.production.variable is not None:
            return inputs[node.production.variable]
        if not node.arguments:
            return z3.IntVal(int(node.name) % m)
        x = [term(argument) for argument in node.arguments]
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
                return x[0] * inverse(x[1])
            case "inverse":
                return inverse(x[0])
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

    try:
        solver.add((term(program) - term(target.formula)) % m != 0)
    except KeyError:  # a user's own production: z3 does not know it
        return Verdict("unknown", cells_checked=_PROBES)
    answer = solver.check()
    if answer == z3.unsat:
        return Verdict("correct", "z3", cells_checked=_PROBES)
    if answer == z3.sat and target.domain is None:
        model = solver.model()
        cell = np.array([[model.eval(x, model_completion=True).as_long() for x in inputs]], dtype=np.int64)
        if program.evaluate(cell, target.carrier)[0] != target.formula.evaluate(cell, target.carrier)[0]:
            return Verdict("wrong", "z3", _cell(cell[0]), _PROBES)
    return Verdict("unknown", cells_checked=_PROBES)


def verify_predictions(predictions: IntArray, target: Target) -> tuple[float, tuple[int, ...] | None]:
    """The share of the domain's cells that predictions, shape (cells,), get right, and the first wrong cell if any.

    Raises:
        ValueError: not one prediction a cell.
    """
    if predictions.shape != (target.cells,):
        raise ValueError(f"verify_predictions: {target.cells} predictions are expected, got shape {predictions.shape}")
    hits, first = 0, None
    for start in range(0, target.cells, BLOCK):
        cells, answers = target.block(start, start + BLOCK)
        right = predictions[start : start + BLOCK] == answers
        hits += int(right.sum())
        if first is None and not right.all():
            first = _cell(cells[int(right.argmin())])
    return hits / target.cells, first


def transfers_to(
    program: Program, target: Target, primes: Iterable[int], rebuild: Callable[[int], Target | None]
) -> Literal["all"] | tuple[int, ...]:
    """Where else the program is the target.

    Args:
        program: the program.
        target: the target that it was found on.
        primes: the moduli to try.
        rebuild: the same task at another modulus, None where it has no such thing.

    Returns:
        "all" where an identity proves it, else those of ``primes`` for which every cell is right.
    """
    if proved_identical(program, target):
        return "all"
    right: list[int] = []
    for p in primes:
        other = rebuild(p)
        if other is not None and verify(program, other).correct:
            right.append(p)
    return tuple(right)
