"""Closed forms of one table: the programs in one variable that are it, up to a constant, from a bank of them all."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

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
DEPTHS = ((23, 128, 1), (32, 16, 8))
_SIEVE = 4  # points that rule most of a bank out
_MOST_CHECKED = 300
_LEAST_MAJORITY = 12  # known entries


@dataclass(frozen=True, slots=True)
class Form:
    """A program for a table's closed form, built when it is picked."""

    bits: int
    build: Callable[[], Program]


Forms = dict[int, Form]  # by what a form exceeds its table by


@dataclass(frozen=True, eq=False)
class FormBank:
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
def form_bank(language: Language, carrier: Residues, basis: Basis, max_bits: int, points: int) -> FormBank:
    bank, elements = _behaviours(language, carrier, max_bits, points)
    indices = np.arange(len(bank))
    levels = [bisect_right(range(len(bank)), bits, key=bank.bits) for bits in range(max_bits + 1)]
    bits = np.repeat(np.arange(max_bits + 1), np.diff(levels, prepend=0))
    return FormBank(bank, elements, phi(carrier, basis).astype(np.int32)[bank.outputs(indices)], bits)


@cache
def _behaviours(language: Language, carrier: Residues, max_bits: int, points: int) -> tuple[Bank, IntArray]:
    m = carrier.modulus
    elements = np.arange(m)
    if m > points:  # the first few, which constants in conditions tell apart, and some of all sizes
        low = points // 2
        elements = np.concatenate([elements[:low], np.linspace(low, m - 1, points - low).astype(np.int64)])
    return Bank.build(language.only([0]), carrier, column(elements, language), max_bits=max_bits), elements


def forms_of(table: IntArray, j: int, bank: FormBank, law: Law, language: Language) -> Forms:
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
            forms[s] = Form(int(bank.bits[index]), _renamed(bank.bank, index, j, language))
    return forms


def _is_form(program: Program, table: IntArray, shift: int, law: Law, language: Language) -> bool:
    """Whether the program (in the first variable) is the table plus the shift wherever the table is known."""
    known = np.flatnonzero(table != UNKNOWN)
    value = phi(law.carrier, law.basis)[program.evaluate(column(known, language), law.carrier)]
    return np.array_equal(value, np.where(table[known] >= 0, (table[known] + shift) % law.order, ZERO))


def column(elements: IntArray, language: Language) -> IntArray:
    """Inputs whose first variable runs through the elements."""
    inputs = np.zeros((len(elements), language.arity), dtype=np.int64)
    inputs[:, 0] = elements
    return inputs


def _renamed(bank: Bank, index: int, j: int, language: Language) -> Callable[[], Program]:
    return lambda: in_variable(bank.program(index), j, language)


def add_multiples(forms: Forms, table: IntArray, j: int, bank: FormBank, law: Law, language: Language) -> None:
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
        program = language.make("*", multiplier, in_variable(bank.bank.program(index), 0, language))
        s = int(factor[index] * origin[index] - table[bank.points[at[0]]]) % m
        if (s not in forms or forms[s].bits > program.bits) and _is_form(program, table, s, law, language):
            forms[s] = Form(program.bits, partial(in_variable, program, j, language))


def in_variable(program: Program, j: int, language: Language) -> Program:
    """A program in the first variable as one in variable j; all variables cost the same."""
    if program.production.variable is not None:
        return language.variable(j)
    return Program(program.production, tuple(in_variable(x, j, language) for x in program.arguments))


def majority_form(table: IntArray, bank: FormBank, law: Law, share: float) -> IntArray | None:
    """The cheapest form (its classes, shape (m,)) that at least a share of the table's known entries agree with.

    None where there is none, or so few entries are known that a share of them says nothing.
    """
    at = np.flatnonzero(table[bank.points] != UNKNOWN)
    if len(at) < _LEAST_MAJORITY:
        return None
    target = table[bank.points[at]]
    value = bank.classes[:, at]
    moves = (value >= 0) & (target >= 0)
    rows = np.broadcast_to(np.arange(len(value))[:, None], value.shape)[moves]
    counts = np.bincount(rows * law.order + ((value - target) % law.order)[moves], minlength=len(value) * law.order)
    counts = counts.reshape(len(value), law.order)
    agreeing = counts.max(axis=1) + ((value == ZERO) & (target == ZERO)).sum(axis=1)
    found = np.flatnonzero(agreeing >= share * len(at))
    if len(found) == 0:
        return None
    index = int(found[0])  # in order of cost
    program = bank.bank.program(index)
    everywhere = phi(law.carrier, law.basis)[
        program.evaluate(column(np.arange(law.carrier.modulus), bank.bank.language), law.carrier)
    ]
    return np.where(everywhere >= 0, (everywhere - int(counts[index].argmax())) % law.order, ZERO)
