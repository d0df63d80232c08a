"""The proof ladder: is a program the target on every cell of its domain, and how is that known?

Polynomial identity over Z (every modulus at once), quotients by cross-multiplication with vanishing denominators set
apart (every prime), then every cell in blocks, then z3 for domains too large to list. ``sympy.simplify`` decides
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

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
    formula, carrier = target.formula, target.carrier
    if formula is None or not isinstance(carrier, Residues) or program.on_integers or formula.on_integers:
        return Verdict("unknown", cells_checked=_PROBES)
    from synth.prover import prove_equal  # late: z3 costs 0.2 s to load and hardly any run gets here

    proved, cell = prove_equal(program, formula, carrier, target.arity, seconds)
    if proved:
        return Verdict("correct", "z3", cells_checked=_PROBES)
    if cell is not None and target.domain is None:
        return Verdict("wrong", "z3", cell, _PROBES)
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
