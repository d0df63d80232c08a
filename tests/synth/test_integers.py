"""Laws of plain integers: exact values, universal prices, the modulus found and never proved for other moduli."""

from __future__ import annotations

import random
from itertools import product

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from synth.bank import Bank
from synth.carrier import Residues, symmetric_group
from synth.examples import Examples
from synth.integer_search import IntegerBank
from synth.integers import LIMIT, MAX_LITERAL, NOTHING, literal, literal_bits, literals_of
from synth.language import MAX_ARITY, VARIABLES, Language, language
from synth.parse import parse
from synth.program import Program
from synth.sample import draw_program
from synth.search import enumerate_programs, meet_in_the_middle
from synth.symbolic import canonical, from_sympy, to_sympy
from synth.verify import Target, verify

INT = language("int", 2)
Z59 = Residues(59)
GRID = np.array(list(product(range(59), repeat=2)))


def value(program: Program, *inputs: int) -> int | None:
    """What the program means, in Python's own integers; None where it leaves the range."""
    if program.production.variable is not None:
        return inputs[program.production.variable]
    if not program.arguments:
        return int(program.name)
    x, y = (value(argument, *inputs) for argument in program.arguments)
    if x is None or y is None:
        return None
    match program.name:
        case "+":
            result = x + y
        case "-":
            result = x - y
        case "*":
            result = x * y
        case _:
            result = x % y if y > 0 else x
    return result if abs(result) < 2**31 else None


def examples(formula, n=10, p=59, seed=0):
    cells = np.array(random.Random(seed).sample(list(product(range(p), repeat=2)), n))
    return cells, formula(cells[:, 0], cells[:, 1]) % p


@pytest.mark.parametrize("arity", range(1, MAX_ARITY + 1))
def test_the_probabilities_sum_to_less_than_one(arity):
    mass = language("int", arity).mass("value")
    listed = sum(2.0**-x.bits for x in language("int", arity).productions)
    unlisted = sum(len(literals_of(bits)) * 2.0**-bits for bits in range(64))
    assert mass == pytest.approx(listed + unlisted)
    assert unlisted > 0.07
    assert mass <= 1


def test_literals_of_a_price_are_just_those_that_pay_it():
    by_price = {}
    for number in range(4, 1 << 13):
        by_price.setdefault(literal_bits(number), []).append(number)
    for bits, numbers in by_price.items():
        assert numbers == [x for x in literals_of(bits) if x < 1 << 13]
    assert sum(len(literals_of(bits)) for bits in range(64)) == MAX_LITERAL - 3
    assert [literal_bits(x) for x in (0, 3, 4, 7, 59, 113)] == [5, 5, 7, 10, 12, 13]


def test_what_other_languages_have_costs_the_same():
    ring = language("ring", 2)
    shared = [x for x in ring.productions if x.name in INT]
    assert len(shared) == len(ring.productions)
    assert all(INT[x.name].bits == x.bits for x in shared)


def test_literals_are_productions_by_their_decimal_text():
    assert INT["59"].bits == 12
    assert "2147483647" in INT
    assert all(name not in INT for name in ("2147483648", "-1", "059", "1.5", "٣", "", "1" * 5000))
    assert INT.holds(parse("(a + b) % 59", INT))
    assert not INT.holds(parse("a/b", language("field", 2)))
    with pytest.raises(KeyError, match="int"):
        INT["/"]


@given(st.integers(0, 10**6), st.integers(12, 60), st.lists(st.integers(0, 65520), min_size=2, max_size=2))
def test_values_are_exact_or_nothing(seed, bits, inputs):
    program = draw_program(INT, bits, 12, seed, every_variable=False)
    expected = value(program, *inputs)
    found = program.evaluate(np.array([inputs]), Residues(65521))[0]
    assert found == (NOTHING if expected is None else expected)


def test_nothing_is_handed_on_and_equals_no_label():
    square = parse("a*a", INT)
    far = parse("a**4", INT)
    for text in ("a**4 - a**4", "0*a**4", "a**4 % 59", "b % a**4", "2147483647 + 1 + 0*a"):
        assert parse(text, INT).evaluate(np.array([[58 * 5, 3]]), Residues(1009))[0] == NOTHING, text
    assert NOTHING < 0
    assert square.evaluate(np.array([[46340, 0]]), Residues(65521))[0] == 46340**2 < LIMIT
    assert far.evaluate(np.array([[2, 0]]), Z59)[0] == 16


@pytest.mark.parametrize("text", [
    "(a + b) % 59", "a*b % 59", "a % (b % 59)", "a % b % 3", "a*(b % 7)", "(a - b) % 59*a", "0 - 59", "a - (b - 100)",
])  # fmt: skip
def test_programs_read_back_as_they_print(text):
    program = parse(text, INT)
    assert str(program) == text
    assert parse(str(program), INT) == program


@given(st.integers(0, 10**6), st.integers(12, 60))
def test_any_program_reads_back_as_it_prints(seed, bits):
    program = draw_program(INT, bits, 12, seed, every_variable=False)
    assert parse(str(program), INT, functions=True) == program


def test_a_remainder_is_refused_elsewhere_and_a_literal_too_large_here():
    with pytest.raises(ValueError, match="residues already"):
        parse("(a + b) % 59", language("full", 2))
    with pytest.raises(ValueError, match="2147483647"):
        parse("a % 2147483648", INT)


@given(st.integers(0, 10**6))
def test_sympy_means_the_same_where_it_is_defined(seed):
    program = draw_program(INT, 40, 10, seed, every_variable=False)
    moduli = [x.arguments[1] for x in program.nodes() if x.name == "%"]
    inputs = (41, 17)
    if value(program, *inputs) is None or any((value(x, *inputs) or 0) <= 0 for x in moduli):
        return
    substitution = dict(zip(map(sympy.Symbol, VARIABLES), inputs, strict=False))
    assert to_sympy(program).subs(substitution) == value(program, *inputs)


def test_a_program_is_a_sympy_remainder_and_comes_back():
    a, b = sympy.symbols("a b")
    program = parse("(a + b) % 59", INT)
    assert to_sympy(program) == sympy.Mod(a + b, 59)
    assert from_sympy(sympy.Mod(a + b, 59), INT) == program
    assert canonical(program, Z59) == canonical(parse("(b + a) % 59", INT), Z59) != canonical(parse("a + b", INT), Z59)


@pytest.mark.parametrize("search", [enumerate_programs, meet_in_the_middle])
@pytest.mark.parametrize(("formula", "text"), [
    (lambda a, b: a + b, "(a + b) % 59"), (lambda a, b: a - b, "(a - b) % 59"), (lambda a, b: a * b, "a*b % 59"),
])  # fmt: skip
def test_the_modulus_is_found_and_the_answer_proved_by_every_cell(search, formula, text):
    for seed in range(3):
        inputs, outputs = examples(formula, seed=seed)
        *_, last = search(INT, Z59, inputs, outputs)
        assert str(last.program) == text
        assert last.minimal
        assert last.lower_bound_bits == last.program.bits == 25
        table = formula(GRID[:, 0], GRID[:, 1]) % 59
        ring = parse(text.partition(" %")[0], language("ring", 2))
        verdict = verify(last.program, Target(Z59, GRID, table, ring))
        assert verdict.correct
        assert verdict.proof == "exhaustive"
        assert not verdict.every_modulus


def test_a_program_without_its_modulus_is_wrong_and_never_an_identity():
    ring = parse("a + b", language("ring", 2))
    verdict = verify(parse("a + b", INT), Target(Z59, GRID, GRID.sum(axis=1) % 59, ring))
    assert verdict.verdict == "wrong"
    assert verdict.counterexample == (1, 58)
    huge = Target(Residues(65521), None, None, ring, arity=2)
    assert verify(parse("(a + b) % 65521", INT), huge, z3_seconds=0.1).verdict == "unknown"


SUMS = [
    (lambda a, b: 2 * a + 3 * b + 7, 54),
    (lambda a, b: a**3 + a * b**2 + b, 55),
    (lambda a, b: b**2 - a**3, 43),
    (lambda a, b: a**3 + b**3 + a * b, 59),
]


@pytest.mark.parametrize(("formula", "most"), SUMS)
def test_meeting_finds_remainders_of_long_sums(formula, most):
    inputs, outputs = examples(formula)
    found = next(x for x in meet_in_the_middle(INT, Z59, inputs, outputs) if x.program is not None)
    assert (found.program.evaluate(GRID, Z59) == formula(GRID[:, 0], GRID[:, 1]) % 59).all()
    assert found.program.bits <= most
    assert INT.holds(found.program)


def test_what_meeting_offers_agrees_and_gets_shorter():
    for seed in (0, 2, 4):
        inputs, outputs = examples(lambda a, b: a * b + a + 3, n=3 + seed, seed=seed)
        told, floor = [], 0
        for progress in meet_in_the_middle(INT, Z59, inputs, outputs, max_programs=100_000):
            assert progress.lower_bound_bits >= floor
            floor = progress.lower_bound_bits
            if progress.program is not None and progress.program not in told:
                told.append(progress.program)
        assert told
        assert all((x.evaluate(inputs, Z59) == outputs).all() for x in told)
        assert [x.bits for x in told] == sorted({x.bits for x in told}, reverse=True)
        *_, last = enumerate_programs(INT, Z59, inputs, outputs, max_programs=100_000)
        if last.program is not None:
            assert told[-1].bits == last.program.bits
        assert told[-1].bits >= last.lower_bound_bits


@pytest.mark.parametrize("n", [10, 40])
def test_meeting_finds_what_enumeration_cannot_reach(n):
    inputs, outputs = examples(lambda a, b: a * a + b * b, n=n)
    found = next(x for x in meet_in_the_middle(INT, Z59, inputs, outputs) if x.program is not None)
    table = (GRID**2).sum(axis=1) % 59
    assert (found.program.evaluate(GRID, Z59) == table).all()
    assert not found.minimal
    assert found.lower_bound_bits < found.program.bits == 37


@pytest.mark.parametrize("search", [enumerate_programs, meet_in_the_middle])
def test_what_hides_behind_a_fingerprint_is_found_and_no_bound_is_too_high(search):
    twins = np.array([[x, x] for x in range(1, 41)] + [[3, 5], [8, 2]])
    low = np.array([[x, (7 * x) % 59] for x in range(1, 41)] + [[x, 1] for x in range(50, 59)])
    for inputs, outputs, bits in ((twins, twins[:, 1], 2), (low, low[:, 0] % 50, 19)):
        steps = list(search(INT, Z59, inputs, outputs))
        assert (steps[-1].program.evaluate(inputs, Z59) == outputs).all()
        assert steps[-1].minimal
        assert steps[-1].program.bits == bits
        assert all(x.lower_bound_bits <= bits for x in steps)


def brute_force(points, limit):
    """The fewest bits of every behaviour, over all programs of up to so many bits."""
    levels = {bits: set() for bits in range(limit + 1)}
    least = {}
    for bits in range(limit + 1):
        found = {tuple(points[:, i].tolist()) for i in range(2) if bits == 2}
        found |= {(x,) * len(points) for x in literals_of(bits)} | {(x,) * len(points) for x in range(4) if bits == 5}
        for rule in INT.productions:
            if rule.arity == 2:
                rest = bits - rule.bits
                for first in range(rest + 1):
                    for x, y in product(levels[first], levels[rest - first]):
                        result = rule.semantics(Z59, np.array(x), np.array(y))
                        found.add(tuple(result.tolist()))
        levels[bits] = {x for x in found if NOTHING not in x} - set(least)
        least.update(dict.fromkeys(levels[bits], bits))
    return least


def test_the_bank_is_every_behaviour_at_its_least_price():
    points = np.array([[3, 58], [57, 2], [0, 11]])
    bank = IntegerBank(INT, Examples(Z59, points, np.zeros(3)), np.arange(3), 256, None)
    limit = 14
    assert limit in bank.grow()
    found = {}
    for bits in range(limit + 1):
        for place in range(bank.count(bits)):
            program = bank.program(bits, place)
            assert program.bits == bits
            assert INT.holds(program)
            found[tuple(program.evaluate(points, Z59).tolist())] = bits
    assert found == brute_force(points, limit)


def test_limits_end_the_search_with_its_bound():
    inputs, outputs = examples(lambda a, b: a**3 + 2 * b * b + 7)
    for limit in ({"max_programs": 5000}, {"memory_mib": 64}):
        *_, last = enumerate_programs(INT, Z59, inputs, outputs, **limit)
        assert last.program is None
        assert not last.minimal
        assert last.lower_bound_bits > 15
        assert last.visited <= limit.get("max_programs", last.visited)


def test_other_inputs_arities_and_moduli():
    cells = np.array([[x, y, z] for x, y, z in product(range(4), repeat=3)])
    *_, last = meet_in_the_middle(language("int", 3), Residues(4), cells, cells.sum(axis=1) % 4)
    assert (last.program.evaluate(cells, Residues(4)) == cells.sum(axis=1) % 4).all()
    assert last.minimal
    column = np.arange(7)[:, None]
    *_, last = enumerate_programs(language("int", 1), Residues(7), column, column[:, 0] * 2 % 7)
    assert last.minimal
    assert (last.program.evaluate(column, Residues(7)) == column[:, 0] * 2 % 7).all()
    *_, last = enumerate_programs(INT, Z59, np.empty((0, 2), dtype=int), np.empty(0, dtype=int))
    assert last.minimal
    assert last.program.bits == 2


def test_a_bank_of_packed_residues_refuses_integers_and_languages_do_not_mix_them():
    with pytest.raises(ValueError, match="integers"):
        Bank(INT, Z59, GRID[:4], max_bits=10)
    assert INT.suits(Z59)
    assert not INT.suits(symmetric_group(3))
    assert not language("group", 2).suits(Z59)
    ring = language("ring", 2)
    with pytest.raises(ValueError, match="integers"):
        Language("mixed", "residues", 2, (*ring.productions, literal(4)))
    with pytest.raises(ValueError, match="integers"):
        Language("mixed", "integers", 2, (*INT.productions, language("field", 2)["square"]))
