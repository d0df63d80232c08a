"""A law's program: short closed forms of its tables, found in a bank of one-variable programs, and put together.

Tables are fixed only up to a constant that may move between them, so a form F may stand for f whenever F = f + s; and
g may be subtracted as well as added (divided by, in the discrete-log basis). Every way to put the cheapest forms
together is priced, with the constant that is left over, and the shortest wins.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from math import inf

import numpy as np
import numpy.typing as npt

from synth.bank import Bank
from synth.carrier import IntArray, Residues
from synth.constants import residue
from synth.language import Language
from synth.laws import UNKNOWN, ZERO, Basis, Law, phi
from synth.program import Program

# The one-variable banks tried in turn: bits, points on which forms are compared (those that pass are then evaluated on
# all), and how many known entries a table needs for a form of that length to mean anything.
DEPTHS = ((23, 64, 1), (32, 16, 8))
_SIEVE = 4  # points that rule most of a bank out
_MOST_CHECKED = 300
_BLOCK = 1 << 20  # cells checked at once


@dataclass(frozen=True, slots=True)
class _Form:
    """A program for a table's closed form, built when it is picked."""

    bits: int
    build: Callable[[], Program]


Forms = dict[int, _Form]  # by what a form exceeds its table by


def law_program(law: Law, language: Language, domain: IntArray | None = None) -> Program | None:
    """The shortest program put together from closed forms of the law's tables, or None where a table has none.

    It equals the law on every cell of ``domain`` (shape (cells, arity), all of the carrier by default) that the law
    has an answer for.
    """
    operators = ("+", "-") if law.basis == "additive" else ("*", "/")
    if language.kind != "residues" or language.arity != law.arity or operators[0] not in language:
        return None
    if law.order != (law.carrier.modulus if law.basis == "additive" else law.carrier.modulus - 1):
        return None
    for bits, points, needed in DEPTHS:
        bank = _bank(language, law.carrier, law.basis, bits, points)
        terms = [_Term.of(law, j, language, bank, needed) for j in range(law.arity)]
        if any(x is None for x in terms):
            continue
        program = _shortest([x for x in terms if x is not None], law, language, operators)
        if program is not None and _agrees(program, law, domain):
            return program
    return None


@dataclass(frozen=True, eq=False)
class _Term:
    """One table's forms: F = f + s to be added, G = -f + s to be subtracted, by s. A constant table needs neither."""

    added: Forms
    subtracted: Forms
    constant: int | None

    @classmethod
    def of(cls, law: Law, j: int, language: Language, bank: _Bank, needed: int) -> _Term | None:
        """The forms of table j, in variable j; None where the bank holds none."""
        table = law.tables[j]
        known = table[table != UNKNOWN]
        if len(known) == 0:
            return cls({}, {}, 0)
        if (known == known[0]).all():
            return cls({}, {}, None) if known[0] == ZERO else cls({}, {}, int(known[0]))
        negated = np.where(table >= 0, -table % law.order, table)
        if (table[bank.points] != UNKNOWN).sum() < needed:
            return None
        added, subtracted = (_forms(t, j, bank, law, language) for t in (table, negated))
        if law.basis == "additive" and needed == 1:  # multiples of short forms; a long one has its constant within
            _add_multiples(added, table, j, bank, law, language)
            _add_multiples(subtracted, negated, j, bank, law, language)
        return cls(added, subtracted, None) if added or subtracted else None


def _forms(table: IntArray, j: int, bank: _Bank, law: Law, language: Language) -> Forms:
    """The cheapest program in variable j for the table plus each class that the bank has one for."""
    at = np.flatnonzero(table[bank.points] != UNKNOWN)
    wanted = table[bank.points[at]]
    fixed = np.flatnonzero(wanted >= 0)
    if len(fixed) == 0:
        return {}
    start = int(at[fixed[0]])
    alive = np.flatnonzero(bank.classes[:, start] >= 0)
    shift = (bank.classes[alive, start] - table[bank.points[start]]) % law.order
    for some in (at[:_SIEVE], at[_SIEVE:]):
        target = table[bank.points[some]]
        value = bank.classes[np.ix_(alive, some)]
        same = np.where(
            target == ZERO, value == ZERO, (value >= 0) & ((value - target - shift[:, None]) % law.order == 0)
        ).all(axis=1)
        alive, shift = alive[same], shift[same]
    forms: Forms = {}
    for index, s in zip(alive[:_MOST_CHECKED].tolist(), shift[:_MOST_CHECKED].tolist(), strict=True):  # in cost order
        if s not in forms and (bank.complete or _is_form(bank.bank.program(index), table, s, law, language)):
            forms[s] = _Form(int(bank.bits[index]), _renamed(bank.bank, index, j, language))
    return forms


def _is_form(program: Program, table: IntArray, shift: int, law: Law, language: Language) -> bool:
    """Whether the program (in the first variable) is the table plus the shift wherever the table is known."""
    known = np.flatnonzero(table != UNKNOWN)
    value = phi(law.carrier, law.basis)[program.evaluate(_column(known, language), law.carrier)]
    return np.array_equal(value, np.where(table[known] >= 0, (table[known] + shift) % law.order, ZERO))


def _column(elements: IntArray, language: Language) -> IntArray:
    """Inputs whose first variable runs through the elements."""
    inputs = np.zeros((len(elements), language.arity), dtype=np.int64)
    inputs[:, 0] = elements
    return inputs


def _renamed(bank: Bank, index: int, j: int, language: Language) -> Callable[[], Program]:
    return lambda: _in_variable(bank.program(index), j, language)


def _add_multiples(forms: Forms, table: IntArray, j: int, bank: _Bank, law: Law, language: Language) -> None:
    """Add constant * F where F is the table up to a factor and a constant that no form within reach has."""
    m, inverses = law.carrier.modulus, law.carrier.inverses
    at = np.flatnonzero(table[bank.points] != UNKNOWN)
    if len(at) < 3:
        return
    steps = (table[bank.points[at]] - table[bank.points[at[0]]]) % m
    unit = np.flatnonzero(inverses[steps] != 0)
    if len(unit) == 0:
        return
    i = int(unit[0])
    origin = bank.classes[:, at[0]]
    factor = steps[i] * inverses[(bank.classes[:, at[i]] - origin) % m] % m
    alive = np.flatnonzero(factor > 1)
    for some in (slice(1, _SIEVE), slice(_SIEVE, None)):
        step_of = bank.classes[np.ix_(alive, at[some])] - origin[alive, None]
        alive = alive[((step_of * factor[alive, None] - steps[some]) % m == 0).all(axis=1)]
    for index in alive[:8].tolist():
        multiplier = residue(language, int(factor[index]), m)
        program = language.make("*", multiplier, _in_variable(bank.bank.program(index), 0, language))
        s = int(factor[index] * origin[index] - table[bank.points[at[0]]]) % m
        if (s not in forms or forms[s].bits > program.bits) and _is_form(program, table, s, law, language):
            forms[s] = _Form(program.bits, partial(_in_variable, program, j, language))


def _in_variable(program: Program, j: int, language: Language) -> Program:
    """A program in the first variable as one in variable j; all variables cost the same."""
    if program.production.variable is not None:
        return language.variable(j)
    return Program(program.production, tuple(_in_variable(x, j, language) for x in program.arguments))


def _shortest(terms: list[_Term], law: Law, language: Language, operators: tuple[str, str]) -> Program | None:
    """The cheapest sum of added and subtracted forms and a constant that is the law itself."""
    plus, minus = operators
    order = law.order
    if any(not term.added and not term.subtracted and term.constant is None for term in terms):
        return residue(language, 0, law.carrier.modulus)  # a factor that is always zero
    moving = [term for term in terms if term.constant is None]
    offset = sum(term.constant for term in terms if term.constant is not None) % order
    constants = [residue(language, int(x), law.carrier.modulus) for x in law.decode]
    if not moving:
        return constants[offset]
    leftover = {k: _Form(x.bits, partial(_itself, x)) for k, x in enumerate(constants)}
    best: tuple[float, Program | None] = (inf, None)
    signs = [[x for x in (1, -1) if (term.added if x == 1 else term.subtracted)] for term in moving]
    for pattern in product(*signs):
        if -1 in pattern and minus not in language:
            continue
        parts = [(term.added, 1) for term, sign in zip(moving, pattern, strict=True) if sign == 1]
        parts += [(term.subtracted, -1) for term, sign in zip(moving, pattern, strict=True) if sign == -1]
        tail: list[tuple[Forms, int] | None] = [None, (leftover, 1)]
        if minus in language and 1 in pattern:
            tail.append((leftover, -1))
        for extra in tail:
            chosen = parts if extra is None else [*parts, extra] if 1 in pattern else [extra, *parts]
            if chosen[0][1] == 1:
                bits, picked = _cheapest(chosen, offset, order, language, operators)
                if bits < best[0]:
                    program, *others = (form.build() for form in picked)
                    for form, (_, sign) in zip(others, chosen[1:], strict=True):
                        program = language.make(plus if sign == 1 else minus, program, form)
                    best = (bits, program)
    return best[1]


def _cheapest(
    parts: list[tuple[Forms, int]], offset: int, order: int, language: Language, operators: tuple[str, str]
) -> tuple[float, list[_Form]]:
    """Which form of each part makes the shifts cancel at the least cost, by dynamic programming over their sum."""
    cost: npt.NDArray[np.float64] = np.full(order, inf)
    cost[0] = 0.0
    came: list[IntArray] = []
    for position, (forms, sign) in enumerate(parts):
        joined = 0 if position == 0 else language[operators[0] if sign == 1 else operators[1]].bits
        shifts = np.fromiter(forms, dtype=np.int64, count=len(forms))
        bits = np.array([x.bits for x in forms.values()]) + joined
        reached = np.flatnonzero(cost < inf)
        total = cost[reached][:, None] + bits
        target = (reached[:, None] + sign * shifts) % order
        sequence = np.argsort(-total, axis=None, kind="stable")  # the cheapest writes last and stays
        cost, choice = np.full(order, inf), np.zeros(order, dtype=np.int64)
        cost[target.ravel()[sequence]] = total.ravel()[sequence]
        choice[target.ravel()[sequence]] = np.broadcast_to(shifts, total.shape).ravel()[sequence]
        came.append(choice)
    # Forms exceed their tables by the sum of shifts; constant tables add `offset`, which the forms must then supply.
    state = offset
    bits_total = float(cost[state])
    picked: list[_Form] = []
    if bits_total == inf:
        return inf, []
    for (forms, sign), choice in zip(reversed(parts), reversed(came), strict=True):
        s = int(choice[state])
        picked.append(forms[s])
        state = (state - sign * s) % order
    return bits_total, picked[::-1]


def _itself(program: Program) -> Program:
    return program


def _agrees(program: Program, law: Law, domain: IntArray | None) -> bool:
    m, arity = law.carrier.modulus, law.arity
    cells = m**arity if domain is None else len(domain)
    for start in range(0, cells, _BLOCK):
        if domain is None:
            flat = np.arange(start, min(start + _BLOCK, cells))
            block = np.stack(np.unravel_index(flat, (m,) * arity), axis=1)
        else:
            block = domain[start : start + _BLOCK]
        expected = law.predict(block)
        known = expected >= 0
        if not np.array_equal(program.evaluate(block[known], law.carrier), expected[known]):
            return False
    return True


@dataclass(frozen=True, eq=False)
class _Bank:
    """A bank of programs in one variable, their values as classes of a basis.

    Attributes:
        points: shape (q,), elements of the carrier.
        classes: shape (entries, q).
        bits: shape (entries,), in order.
    """

    bank: Bank
    points: IntArray
    classes: npt.NDArray[np.int32]
    bits: IntArray

    @property
    def complete(self) -> bool:
        return len(self.points) == self.bank.carrier.size


@cache
def _bank(language: Language, carrier: Residues, basis: Basis, max_bits: int, points: int) -> _Bank:
    bank, elements = _behaviours(language, carrier, max_bits, points)
    indices = np.arange(len(bank))
    levels = [bisect_right(range(len(bank)), bits, key=bank.bits) for bits in range(max_bits + 1)]
    bits = np.repeat(np.arange(max_bits + 1), np.diff(levels, prepend=0))
    return _Bank(bank, elements, phi(carrier, basis).astype(np.int32)[bank.outputs(indices)], bits)


@cache
def _behaviours(language: Language, carrier: Residues, max_bits: int, points: int) -> tuple[Bank, IntArray]:
    m = carrier.modulus
    elements = np.arange(m) if m <= points else np.unique(np.linspace(0, m - 1, points).astype(np.int64))
    return Bank.build(language.only([0]), carrier, _column(elements, language), max_bits=max_bits), elements
