"""A product law's program: closed forms of factors modulo a composite m, or what a search finds on the law's own table.

Where every part multiplies, the parts are one product F(a) * G(b) modulo m, and F is told up to a unit u, which G has
the inverse of: a form V stands for F if V = u F. Mixed laws, and products whose factors are told less well (2ab modulo
4 knows a and b modulo 2 only), are searched for from a few cells of the law, and held to all of them.
"""

from __future__ import annotations

from functools import partial, reduce
from itertools import product
from math import inf, prod

import numpy as np

from synth.carrier import IntArray, Residues
from synth.constants import residue
from synth.forms import DEPTHS, Form, FormBank, column, form_bank, in_variable
from synth.language import Language
from synth.laws import Law
from synth.products import ProductLaw, joined
from synth.program import Program
from synth.search import meet_in_the_middle

_BLOCK = 1 << 20  # cells checked at once
_EXAMPLES = 32
_MOST_PROGRAMS = 30_000
_SIEVE = 4  # points that rule most of a bank out
_MOST_CHECKED = 8


def factors_program(law: ProductLaw, language: Language) -> Program | None:
    """The shortest product of closed forms, and of a constant where they need one; None where a factor has none."""
    m = law.carrier.modulus
    if any(part.operation != "*" for part in law.parts):
        return None
    tables = joined(law)
    for bits, points, needed in DEPTHS:
        if any((table >= 0).sum() < needed for table in tables):
            return None
        bank = form_bank(language, law.carrier, "additive", bits, points)  # whose classes are the values
        forms = [_multiples(table, language, bank) for table in tables]
        best: tuple[float, list[Program]] = (inf, [])
        for chosen in product(*forms):
            excess = prod(chosen) % m
            chosen_forms = zip(forms, chosen, strict=True)
            factors = [in_variable(form[u].build(), j, language) for j, (form, u) in enumerate(chosen_forms)]
            if excess != 1:
                factors.append(residue(language, pow(excess, -1, m), m))
            cost = sum(x.bits for x in factors) + language["*"].bits * (len(factors) - 1)
            if cost < best[0]:
                best = (cost, factors)
        if best[1]:
            found = reduce(partial(language.make, "*"), best[1])
            return language.make("+", found, residue(language, law.offset, m)) if law.offset else found
    return None


def _multiples(table: IntArray, language: Language, bank: FormBank) -> dict[int, Form]:
    """By each unit u, the shortest program of the first variable that is u times the table."""
    carrier = bank.bank.carrier
    assert isinstance(carrier, Residues)
    at = np.flatnonzero(table[bank.points] >= 0)
    sieve = at[:: max(1, len(at) // _SIEVE)][:_SIEVE]
    few = bank.classes[:, sieve]
    every = np.flatnonzero(table >= 0)
    found: dict[int, Form] = {}
    for u in np.flatnonzero(carrier.inverses).tolist():
        target = u * table % carrier.modulus
        alive = np.flatnonzero((few == target[bank.points[sieve]]).all(axis=1))
        alive = alive[(bank.classes[np.ix_(alive, at)] == target[bank.points[at]]).all(axis=1)]
        for index in alive[:_MOST_CHECKED].tolist():
            program = bank.bank.program(index)
            if np.array_equal(program.evaluate(column(every, language), carrier), target[every]):
                found[u] = Form(int(bank.bits[index]), partial(_itself, program))
                break
    return found


def _itself(program: Program) -> Program:
    return program


def searched(law: Law | ProductLaw, language: Language, domain: IntArray | None = None) -> Program | None:
    """A short program that is the law on every cell of ``domain`` that it answers; None where none is found."""
    m, rng = law.carrier.modulus, np.random.default_rng(0)
    some = rng.integers(0, m, (_EXAMPLES, law.arity)) if domain is None else rng.permutation(domain)[:_EXAMPLES]
    wanted = law.predict(some)
    some, wanted = some[wanted >= 0], wanted[wanted >= 0]
    if not len(some):
        return None
    best: Program | None = None
    for progress in meet_in_the_middle(language, law.carrier, some, wanted, max_programs=_MOST_PROGRAMS):
        found = progress.program
        if found is not None and (best is None or found.bits < best.bits) and agrees(found, law, domain):
            best = found
        if progress.minimal or (best is not None and progress.lower_bound_bits >= best.bits):
            break
    return best


def agrees(program: Program, law: Law | ProductLaw, domain: IntArray | None) -> bool:
    """Whether the program is the law on all cells of the domain (of the carrier where it is None) that it answers."""
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
