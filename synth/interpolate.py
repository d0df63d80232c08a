"""Interpolation over GF(p): the polynomial, or quotient of polynomials, of least degree through the examples.

Gaussian elimination over monomials in order of degree, one column at a time, so that a degree more costs only its own
columns. Where examples are too few to determine a degree, supports of few monomials are tried before the elimination's
basic solution is believed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from math import comb

import numpy as np
import numpy.typing as npt

from synth.carrier import IntArray, Residues
from synth.polynomial import Exponents, Rational, Terms, monomial_column, monomials, powers_of

MAX_COLUMNS = 512
_FIRST_ROWS = 24  # rows that low degrees are solved on, before the solution is tried on all
_SPARE_ROWS = 8
_MAX_SUPPORTS = 3000
_MAX_SPARSE_DEGREE = 4


def interpolate(
    carrier: Residues,
    inputs: IntArray,
    outputs: IntArray,
    *,
    max_columns: int = MAX_COLUMNS,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Rational]:
    """Ever better explanations of the examples; the last one stands.

    Forms are tried in order of their number of unknowns, polynomials of total degree 0, 1, 2, .. (exponents below p)
    between quotients of degree 1, 2, 3, and the first that more examples agree with than it has unknowns ends the
    search. Without one, a form of one to four monomials that two more examples confirm, and the basic solution of the
    least degree (the lowest monomials that will do) are what is left.

    Args:
        carrier: residues modulo a prime.
        inputs: shape (n, arity); outputs: shape (n,).
        max_columns: how many columns may be eliminated.
        stop: asked between columns.

    Raises:
        ValueError: the modulus is composite.
    """
    if not carrier.is_prime:
        raise ValueError(f"interpolate: elimination needs a field; {carrier.modulus} is not prime")
    n, arity = inputs.shape
    if n == 0:
        return
    ladder = _Ladder(carrier, inputs, outputs, max_columns, stop)
    last_resort: Rational | None = None
    degree, quotient = 0, 1
    while True:
        unknowns = 2 * comb(quotient + arity, arity) - 1
        if quotient <= 3 and unknowns < n and unknowns <= comb(degree + arity, arity):
            found = _quotient(carrier, inputs, outputs, quotient, ladder)
            quotient += 1
        else:
            found = ladder.climb(degree)
            degree += 1
            if found is not None and found.spare == 0:
                last_resort, found = found, None
                break
            if ladder.exhausted:
                break
        if found is not None:
            yield found
            return
    sparse = _sparse(carrier, inputs, outputs, ladder)
    if sparse is not None or last_resort is not None:
        found = sparse or last_resort
        assert found is not None
        yield found


class _Ladder:
    """Polynomials by rising degree, on as many of the examples as the degree needs."""

    def __init__(
        self, carrier: Residues, inputs: IntArray, outputs: IntArray, max_columns: int, stop: Callable[[], bool]
    ) -> None:
        self.carrier, self.inputs, self.outputs = carrier, inputs, outputs
        self.max_columns, self.stop = max_columns, stop
        self.columns = 0
        self.exhausted = False
        self._restart(_FIRST_ROWS)

    def _restart(self, rows: int) -> None:
        self.rows = min(rows, len(self.outputs))
        self.elimination = _Elimination(self.outputs[: self.rows], self.carrier.modulus)
        self.powers = [
            powers_of(self.inputs[: self.rows, j], self.carrier.modulus) for j in range(self.inputs.shape[1])
        ]
        self.monomials: list[Exponents] = []

    def climb(self, degree: int) -> Rational | None:
        """The polynomial of that degree through all examples, if there is one; degrees are asked for in order."""
        arity, p = self.inputs.shape[1], self.carrier.modulus
        needed = comb(degree + arity, arity) + _SPARE_ROWS
        if needed > self.rows and self.rows < len(self.outputs):  # more rows: begin again with four times as many
            self._restart(max(needed, 4 * self.rows))
            degrees = range(degree + 1)
        else:
            degrees = range(degree, degree + 1)
        if degree > arity * (p - 1):
            self.exhausted = True
            return None
        for d in degrees:
            for exponents in monomials(d, arity, p - 1):
                if self.columns >= self.max_columns or self.stop():
                    self.exhausted = True
                    return None
                self.columns += 1
                self.monomials.append(exponents)
                self.elimination.add(monomial_column(self.powers, exponents, p))
        return self._solution()

    def _solution(self) -> Rational | None:
        if not self.elimination.consistent:
            return None
        coefficients = self.elimination.solution()
        terms = {self.monomials[i]: c for i, c in coefficients.items()}
        one: Exponents = (0,) * self.inputs.shape[1]
        spare = len(self.outputs) - self.elimination.rank
        found = Rational(self.carrier, terms, {one: 1}, spare, self.columns)
        everywhere = self.rows == len(self.outputs) or np.array_equal(found.predict(self.inputs), self.outputs)
        return found if everywhere else None


class _Elimination:
    """Reduced row echelon form of a growing matrix modulo p, next to a right-hand side."""

    def __init__(self, right: IntArray, p: int) -> None:
        n = len(right)
        self.p = p
        self.work = np.concatenate([np.eye(n, dtype=np.int64), right[:, None] % p], axis=1)  # [T | T y]
        self.free: npt.NDArray[np.bool_] = np.ones(n, dtype=np.bool_)  # rows without a pivot
        self.pivots: dict[int, int] = {}  # column -> row
        self.count = 0

    @property
    def rank(self) -> int:
        return len(self.pivots)

    @property
    def consistent(self) -> bool:
        return not self.work[self.free, -1].any()

    def add(self, column: IntArray) -> None:
        p, work = self.p, self.work
        index, self.count = self.count, self.count + 1
        if p * p * len(column) < 1 << 62:
            reduced = work[:, :-1] @ column % p
        else:
            reduced = (work[:, :-1] * column % p).sum(axis=1) % p
        row = int((self.free & (reduced != 0)).argmax())
        if not self.free[row] or reduced[row] == 0:
            return
        self.free[row] = False
        self.pivots[index] = row
        pivot = work[row] * pow(int(reduced[row]), -1, p) % p
        work -= reduced[:, None] * pivot % p if p * p >= 1 << 62 else reduced[:, None] * pivot
        work %= p
        work[row] = pivot

    def solution(self) -> dict[int, int]:
        """The basic solution's coefficients that are not 0, by column."""
        return {column: int(self.work[row, -1]) for column, row in self.pivots.items() if self.work[row, -1]}


def _quotient(carrier: Residues, inputs: IntArray, outputs: IntArray, degree: int, ladder: _Ladder) -> Rational | None:
    """N / D with both of at most that degree: a null vector of N - cD on the examples, of the lowest monomials."""
    p, arity = carrier.modulus, inputs.shape[1]
    forms = [e for d in range(degree + 1) for e in monomials(d, arity, p - 1)]
    rows = np.flatnonzero(outputs)[: 2 * len(forms) + _SPARE_ROWS]  # a 0 may also come from D = 0, as inv(0) = 0
    powers = [powers_of(inputs[rows, j], p) for j in range(arity)]
    columns = [(e, side) for e in forms for side in (0, 1)]  # numerator before denominator, by degree
    elimination = _Elimination(np.zeros(len(rows), dtype=np.int64), p)
    stacked: list[IntArray] = []
    for e, side in columns:
        column = monomial_column(powers, e, p)
        column = column if side == 0 else -column * outputs[rows] % p
        before = elimination.rank
        ladder.columns += 1
        elimination.add(column)
        if elimination.rank == before:  # the first column that depends on those before it
            return _dependency(elimination, column, columns[: len(stacked) + 1], carrier, inputs, outputs, ladder)
        stacked.append(column)
    return None


def _dependency(
    elimination: _Elimination,
    column: IntArray,
    columns: list[tuple[Exponents, int]],
    carrier: Residues,
    inputs: IntArray,
    outputs: IntArray,
    ladder: _Ladder,
) -> Rational | None:
    p = carrier.modulus
    reduced = (elimination.work[:, :-1] * column % p).sum(axis=1) % p
    sides: tuple[Terms, Terms] = ({}, {})
    exponents, side = columns[-1]
    sides[side][exponents] = p - 1
    for i, row in elimination.pivots.items():
        if reduced[row]:
            exponents, side = columns[i]
            sides[side][exponents] = int(reduced[row])
    numerator, denominator = sides
    if not denominator:
        return None
    scale = pow(denominator[max(denominator)], -1, p)
    numerator, denominator = ({e: c * scale % p for e, c in terms.items()} for terms in (numerator, denominator))
    found = Rational(carrier, numerator, denominator, len(outputs) - elimination.rank, ladder.columns)
    return found if found.spare > 0 and np.array_equal(found.predict(inputs), outputs) else None


def _sparse(carrier: Residues, inputs: IntArray, outputs: IntArray, ladder: _Ladder) -> Rational | None:
    """The fewest monomials, then of the least degree, whose combination two more examples than needed agree with."""
    p, arity = carrier.modulus, inputs.shape[1]
    n = min(len(outputs), _FIRST_ROWS)
    forms = [e for d in range(_MAX_SPARSE_DEGREE + 1) for e in monomials(d, arity, p - 1)]
    powers = [powers_of(inputs[:n, j], p) for j in range(arity)]
    matrix = np.stack([monomial_column(powers, e, p) for e in forms], axis=1)
    for size in range(1, min(4, n - 2) + 1):
        width = len(forms)
        while comb(width, size) > _MAX_SUPPORTS:
            width -= 1
        supports = np.array(list(combinations(range(width), size)))
        ladder.columns += size
        rows = slice(size + 2)  # enough to rule nearly all out; the rest are tried on all examples
        solved, coefficients = _solve_each(matrix[rows][:, supports].transpose(1, 0, 2), outputs[rows], carrier)
        degree = np.array([sum(e) for e in forms])[supports].sum(axis=1)
        for i in np.flatnonzero(solved)[np.argsort(degree[solved], kind="stable")].tolist():
            terms = {forms[j]: int(c) for j, c in zip(supports[i], coefficients[i], strict=True)}
            found = Rational(carrier, terms, {(0,) * arity: 1}, len(outputs) - size, ladder.columns)
            if np.array_equal(found.predict(inputs), outputs):
                return found
    return None


def _solve_each(systems: IntArray, right: IntArray, carrier: Residues) -> tuple[npt.NDArray[np.bool_], IntArray]:
    """Which of the systems, shape (s, n, k), have one solution without a zero, and the solutions, shape (s, k)."""
    p, (s, n, k) = carrier.modulus, systems.shape
    work = np.concatenate([systems, np.broadcast_to(right[None, :, None], (s, n, 1))], axis=2) % p
    every = np.arange(s)
    alive = np.ones(s, dtype=np.bool_)
    for step in range(k):
        row = step + (work[:, step:, step] != 0).argmax(axis=1)
        alive &= work[every, row, step] != 0
        pivot = work[every, row]
        work[every, row] = work[:, step]
        pivot = pivot * carrier.inverses[pivot[:, step]][:, None] % p
        work = (work - work[:, :, step, None] * pivot[:, None, :]) % p
        work[:, step] = pivot
    coefficients = work[:, :k, k]
    return alive & (work[:, k:, k] == 0).all(axis=1) & (coefficients != 0).all(axis=1), coefficients
