"""``interpolate``: elimination over GF(p), the strongest cheap rival on polynomial targets."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace

import numpy as np

from bench.method import Budget, Candidate, Inapplicable, Predict, Problem, method
from synth.carrier import Residues
from synth.interpolate import MAX_COLUMNS, interpolate
from synth.polynomial import Rational
from synth.twopart import least_right

MAX_TERMS = 64  # a sum of more terms is a table, not a program
_SUBSETS = 80  # of each size


@method("interpolate", version=1, family="synth", work={"columns": MAX_COLUMNS})
def elimination(problem: Problem, budget: Budget, rng: np.random.Generator) -> Generator[Candidate, None, None]:
    """The polynomial, or quotient of polynomials, of least degree through the examples."""
    carrier = problem.carrier
    if not isinstance(carrier, Residues):
        raise Inapplicable(f"elimination needs a field; {carrier.name} is a group")
    if not carrier.is_prime:
        raise Inapplicable(f"elimination needs a field; {carrier.modulus} is not prime")
    columns = int(budget.work.get("columns", MAX_COLUMNS))
    found = _exact(problem, carrier, columns, budget) if problem.noise == 0 else _robust(problem, carrier, budget, rng)
    for rational in found:
        program = rational.program(problem.language) if rational.terms <= MAX_TERMS else None
        yield Candidate(
            program,
            None if program is not None else _predictor(rational, problem),
            {"columns": float(rational.columns)},
            notes={"terms": float(rational.terms), "spare_examples": float(rational.spare)},
        )


def _exact(problem: Problem, carrier: Residues, columns: int, budget: Budget) -> Iterator[Rational]:
    return interpolate(
        carrier, problem.inputs, problem.outputs, max_columns=columns, stop=lambda: budget.seconds_left <= 0
    )


def _robust(
    problem: Problem, carrier: Residues, budget: Budget, rng: np.random.Generator
) -> Generator[Rational, None, None]:
    """Random sample consensus: forms through small subsets, some of which hold no wrong label, judged on all."""
    best, columns = 0.0, 0
    needed = least_right(problem.n, problem.noise)
    for size in (4, 8, 12, 16):
        for _ in range(_SUBSETS if size < problem.n else 0):
            if budget.seconds_left <= 0:
                return
            subset = rng.choice(problem.n, size, replace=False)
            for rational in interpolate(carrier, problem.inputs[subset], problem.outputs[subset]):
                columns += rational.columns
                fit = float((rational.predict(problem.inputs) == problem.outputs).mean())
                if fit > best and rational.spare > 0:
                    best = fit
                    yield replace(rational, columns=columns)
            if best >= needed:
                return
        if best > 0.5:  # by chance no form fits so many; the labels are merely noisier than declared
            return


def _predictor(rational: Rational, problem: Problem) -> Predict:
    return lambda: rational.predict(problem.domain)
