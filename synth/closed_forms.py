"""A law's program: short closed forms of its tables, found in a bank of one-variable programs, and put together.

Tables are fixed only up to a constant that may move between them, so a form F may stand for f whenever F = f + s; and
g may be subtracted as well as added (divided by, in the discrete-log basis). Every way to put the cheapest forms
together is priced, with the constant that is left over, and the shortest wins.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import product
from math import inf

import numpy as np
import numpy.typing as npt

from synth.carrier import IntArray
from synth.constants import has_arithmetic, residue
from synth.forms import DEPTHS, Form, FormBank, Forms, add_multiples, form_bank, forms_of, majority_form
from synth.language import Language
from synth.laws import UNKNOWN, ZERO, Law, order_of
from synth.product_forms import agrees, factors_program, searched
from synth.products import ProductLaw, joined
from synth.program import Program

_SHORT = 14  # bits of a program, above which a search may find a shorter one


def law_program(
    law: Law | ProductLaw, language: Language, domain: IntArray | None = None, *, search: bool = True
) -> Program | None:
    """The shortest program put together from closed forms of the law's tables, or None where a table has none.

    It equals the law on every cell of ``domain`` (shape (cells, arity), all of the carrier by default) that the law
    has an answer for. With ``search``, what the law says is looked for among all short programs too, unless it has
    entries that are unknown: forms of single tables do not tell what inputs have in common (4a - 2b is also
    2*(a + (a - b))), or what is done to the result (a*b + 1).
    """
    if not has_arithmetic(language) or language.arity != law.arity:
        return None
    if not isinstance(law, ProductLaw):
        program = _of_tables(law, language, domain)
    elif all(part.operation == "+" for part in law.parts):
        first, *others = joined(law)
        first = np.where(first >= 0, (first + law.offset) % law.order, first)
        program = _of_tables(Law.of(law.carrier, "additive", (first, *others)), language, domain)
    else:
        program = factors_program(law, language)
        program = program if program is not None and agrees(program, law, domain) else None
    if not search or not law.complete or (program is not None and program.bits <= _SHORT):
        return program
    other = searched(law, language, domain)
    return min((x for x in (program, other) if x is not None), key=lambda x: x.bits, default=None)


def _of_tables(law: Law, language: Language, domain: IntArray | None) -> Program | None:
    """The shortest program put together from forms of the tables, a sum or a product."""
    operators = ("+", "-") if law.basis == "additive" else ("*", "/")
    if operators[0] not in language or law.relabelled or law.order != order_of(law.carrier, law.basis):
        return None
    for bits, points, needed in DEPTHS:
        bank = form_bank(language, law.carrier, law.basis, bits, points)
        terms = [_Term.of(law, j, language, bank, needed) for j in range(law.arity)]
        if any(x is None for x in terms):
            continue
        program = _shortest([x for x in terms if x is not None], law, language, operators)
        if program is not None and agrees(program, law, domain):
            return program
    return None


def repaired(law: Law, language: Language, share: float = 0.5) -> Law | None:
    """The law with every table replaced by the shortest form that a share of its known entries agree with.

    For tables read from noisy evidence, a few entries of which are wrong; None where a table has no such form. Whether
    the law has become better is for the examples to say.
    """
    if language.kind != "residues" or language.arity != law.arity:
        return None
    bits, points, _ = DEPTHS[0]
    bank = form_bank(language, law.carrier, law.basis, bits, points)
    forms = [majority_form(table, bank, law, share) for table in law.tables]
    found = tuple(x for x in forms if x is not None)
    return Law(law.carrier, law.basis, law.order, found, law.decode) if len(found) == law.arity else None


@dataclass(frozen=True, eq=False)
class _Term:
    """One table's forms: F = f + s to be added, G = -f + s to be subtracted, by s. A constant table needs neither."""

    added: Forms
    subtracted: Forms
    constant: int | None

    @classmethod
    def of(cls, law: Law, j: int, language: Language, bank: FormBank, needed: int) -> _Term | None:
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
        added, subtracted = (forms_of(t, j, bank, law, language) for t in (table, negated))
        if law.basis == "additive" and needed == 1:  # multiples of short forms; a long one has its constant within
            add_multiples(added, table, j, bank, law, language)
            add_multiples(subtracted, negated, j, bank, law, language)
        return cls(added, subtracted, None) if added or subtracted else None


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
    leftover = {k: Form(x.bits, partial(_itself, x)) for k, x in enumerate(constants)}
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
) -> tuple[float, list[Form]]:
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
    picked: list[Form] = []
    if bits_total == inf:
        return inf, []
    for (forms, sign), choice in zip(reversed(parts), reversed(came), strict=True):
        s = int(choice[state])
        picked.append(forms[s])
        state = (state - sign * s) % order
    return bits_total, picked[::-1]


def _itself(program: Program) -> Program:
    return program
