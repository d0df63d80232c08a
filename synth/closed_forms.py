"""A law's program: short closed forms of its tables, found in a bank of one-variable programs, and put together.

Tables are fixed only up to a constant that may move between them, so a form F may stand for f whenever F = f + s; and
g may be subtracted as well as added (divided by, in the discrete-log basis). Every way to put the cheapest forms
together is priced, with the constant that is left over, and the shortest wins.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product
from math import inf

import numpy as np
import numpy.typing as npt

from synth.carrier import IntArray, Residues
from synth.constants import residue
from synth.language import Language
from synth.laws import UNKNOWN, ZERO, Basis, Law, phi
from synth.program import Program

DEPTHS = (23,)  # bits of the one-variable banks, tried in turn
_POINTS = 64  # where forms are compared first; those that pass are then evaluated everywhere
_MOST_CHECKED = 300
_BLOCK = 1 << 20

# A form of a table: what it exceeds the table by, and the program (in the table's own variable).
Forms = dict[int, Program]


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
    for depth in DEPTHS:
        terms = [_Term.of(law, j, language, depth) for j in range(law.arity)]
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
    def of(cls, law: Law, j: int, language: Language, depth: int) -> _Term | None:
        """The forms of table j, in variable j; None where the bank holds none."""
        table = law.tables[j]
        known = table[table != UNKNOWN]
        if len(known) == 0:
            return cls({}, {}, 0)
        if (known == known[0]).all():
            return cls({}, {}, None) if known[0] == ZERO else cls({}, {}, int(known[0]))
        negated = np.where(table >= 0, -table % law.order, table)
        found = [_forms(t, law.carrier, law.basis, law.order, language, depth) for t in (table, negated)]
        if not any(found):
            return None
        rename = [{s: _in_variable(x, j, language) for s, x in forms.items()} for forms in found]
        return cls(rename[0], rename[1], None)


def _forms(table: IntArray, carrier: Residues, basis: Basis, order: int, language: Language, depth: int) -> Forms:
    """The cheapest program (in the first variable) for the table plus each class that the bank has one for."""
    bank = _bank(language, carrier, depth)
    points, classes = bank.points, phi(carrier, basis)[bank.values]
    at = np.flatnonzero(table[points] != UNKNOWN)
    wanted = table[points[at]]
    origin = np.flatnonzero(wanted >= 0)
    if len(origin) == 0:
        return {}
    start = int(origin[0])
    alive = np.flatnonzero(classes[:, at[start]] >= 0)
    shift = (classes[alive, at[start]] - wanted[start]) % order
    for i, target in zip(at, wanted, strict=True):
        value = classes[alive, i]
        same = value == ZERO if target == ZERO else (value >= 0) & ((value - target - shift) % order == 0)
        alive, shift = alive[same], shift[same]
    everywhere = np.flatnonzero(table != UNKNOWN)
    inputs = np.zeros((len(everywhere), language.arity), dtype=np.int64)
    inputs[:, 0] = everywhere
    forms: Forms = {}
    sequence = np.argsort(bank.bits[alive], kind="stable")[:_MOST_CHECKED]
    for index, s in zip(alive[sequence].tolist(), shift[sequence].tolist(), strict=True):
        if s not in forms:
            program = bank.programs[index]
            value = phi(carrier, basis)[program.evaluate(inputs, carrier)]
            expected = np.where(table[everywhere] >= 0, (table[everywhere] + s) % order, ZERO)
            if np.array_equal(value, expected):
                forms[s] = program
    if basis == "additive":
        _add_multiples(forms, table, bank, carrier, language)
    return forms


def _add_multiples(forms: Forms, table: IntArray, bank: _Bank, carrier: Residues, language: Language) -> None:
    """Add constant * F where F is the table up to a factor and a constant that no form within reach has."""
    known = np.flatnonzero(table != UNKNOWN)
    at = np.flatnonzero(table[bank.points] != UNKNOWN)
    steps = (table[bank.points[at]] - table[known[0]]) % carrier.modulus
    unit = np.flatnonzero(carrier.inverses[steps] != 0)
    if len(at) < 3 or len(unit) == 0:
        return
    m, i = carrier.modulus, int(unit[0])
    inputs = np.zeros((len(known), language.arity), dtype=np.int64)
    inputs[:, 0] = known
    origin = np.flatnonzero(bank.points == known[0])
    if len(origin) == 0:
        return
    steps_of = (bank.values[:, at] - bank.values[:, origin]) % m
    factor = steps[i] * carrier.inverses[steps_of[:, i]] % m
    alive = np.flatnonzero((factor > 1) & ((steps_of * factor[:, None] - steps) % m == 0).all(axis=1))
    for index in alive[np.argsort(bank.bits[alive], kind="stable")][:8].tolist():
        multiplier = residue(language, int(factor[index]), m)
        program = language.make("*", multiplier, bank.programs[index])
        difference = (program.evaluate(inputs, carrier) - table[known]) % m
        s = int(difference[0])
        if (difference == s).all() and (s not in forms or forms[s].bits > program.bits):
            forms[s] = program


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
    best: tuple[float, Program | None] = (inf, None)
    signs = [[x for x in (1, -1) if (term.added if x == 1 else term.subtracted)] for term in moving]
    for pattern in product(*signs):
        if -1 in pattern and minus not in language:
            continue
        parts = [(term.added, 1) for term, sign in zip(moving, pattern, strict=True) if sign == 1]
        parts += [(term.subtracted, -1) for term, sign in zip(moving, pattern, strict=True) if sign == -1]
        tail: list[tuple[Forms, int] | None] = [None, (dict(enumerate(constants)), 1)]
        if minus in language:
            tail.append((dict(enumerate(constants)), -1))
        for extra in tail:
            chosen = parts if extra is None else [*parts, extra] if 1 in pattern else [extra, *parts]
            if chosen[0][1] == 1:
                bits, forms = _cheapest(chosen, offset, order, language, operators)
                if bits < best[0]:
                    program = forms[0]
                    for form, (_, sign) in zip(forms[1:], chosen[1:], strict=True):
                        program = language.make(plus if sign == 1 else minus, program, form)
                    best = (bits, program)
    return best[1]


def _cheapest(
    parts: list[tuple[Forms, int]], offset: int, order: int, language: Language, operators: tuple[str, str]
) -> tuple[float, list[Program]]:
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
    picked: list[Program] = []
    if bits_total == inf:
        return inf, []
    for (forms, sign), choice in zip(reversed(parts), reversed(came), strict=True):
        s = int(choice[state])
        picked.append(forms[s])
        state = (state - sign * s) % order
    return bits_total, picked[::-1]


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
    points: IntArray  # (q,)
    values: IntArray  # (entries, q)
    bits: IntArray  # (entries,)
    programs: list[Program]


@cache
def _bank(language: Language, carrier: Residues, max_bits: int) -> _Bank:
    """All behaviours of programs in the first variable alone, the cheapest program of each."""
    m = carrier.modulus
    points = np.arange(m) if m <= _POINTS else np.unique(np.linspace(0, m - 1, _POINTS).astype(np.int64))
    inputs = np.zeros((len(points), language.arity), dtype=np.int64)
    inputs[:, 0] = points
    levels: dict[str, dict[int, list[tuple[Program, IntArray]]]] = {"value": {}, "condition": {}}
    seen: dict[str, set[bytes]] = {"value": set(), "condition": set()}
    prods = [p for p in language.productions if p.variable in (None, 0)]

    def combos(args: tuple[str, ...], left: int):
        if not args:
            if left == 0:
                yield ()
            return
        for b in list(levels[args[0]]):
            if b <= left:
                for r in combos(args[1:], left - b):
                    for e in levels[args[0]][b]:
                        yield (e, *r)

    for bits in range(1, max_bits + 1):
        fresh = {"value": [], "condition": []}
        for p in prods:
            if p.bits > bits:
                continue
            for c in combos(p.arguments, bits - p.bits):
                if p.variable is not None:
                    v = points
                else:
                    v = np.broadcast_to(p.semantics(carrier, *[x[1] for x in c]), points.shape)
                k = np.ascontiguousarray(v).tobytes()
                if k not in seen[p.sort]:
                    seen[p.sort].add(k)
                    fresh[p.sort].append((Program(p, tuple(x[0] for x in c)), np.asarray(v, dtype=np.int64)))
        for s in fresh:
            if fresh[s]:
                levels[s][bits] = fresh[s]
    every = [e for b in sorted(levels["value"]) for e in levels["value"][b]]
    return _Bank(points, np.array([v for _, v in every]), np.array([p.bits for p, _ in every]), [p for p, _ in every])
