"""Verdicts agree with brute force, with sympy and with z3, and what is called an identity holds at other moduli too."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.carrier import IntArray, Residues, symmetric_group
from synth.identity import same_polynomial, same_rational
from synth.language import Language, language
from synth.parse import parse
from synth.program import Program
from synth.symbolic import to_sympy
from synth.verify import Target, Verdict, proved_identical, transfers_to, verify, verify_predictions


def grid(size: int, arity: int) -> IntArray:
    return np.stack(np.meshgrid(*[np.arange(size)] * arity, indexing="ij"), -1).reshape(-1, arity)


def read(text: str, name: str = "full", arity: int = 2) -> Program:
    return parse(text, language(name, arity), functions=True)


def target_of(text: str, m: int, *, nonzero_b: bool = False, arity: int = 2) -> Target:
    formula, cells = read(text, arity=arity), grid(m, arity)
    if nonzero_b:
        cells = cells[cells[:, 1] != 0]
    return Target(Residues(m), cells, formula.evaluate(cells, Residues(m)), formula)


@st.composite
def programs(draw: st.DrawFn, which: Language, depth: int = 3, sort: str = "value") -> Program:
    rules = [p for p in which.productions if p.sort == sort and (depth > 0 or not p.arguments)]
    if not rules:
        rules = [p for p in which.productions if p.sort == sort]
    rule = draw(st.sampled_from(rules))
    return Program(rule, tuple(draw(programs(which, depth - 1, s)) for s in rule.arguments))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_polynomial_identity_is_sympys(data: st.DataObject) -> None:
    which = language("ring", 2)
    x, y = data.draw(programs(which)), data.draw(programs(which))
    assert same_polynomial(x, y) == (sympy.expand(to_sympy(x) - to_sympy(y)) == 0)
    assert same_polynomial(x, which.make("-", which.make("+", y, x), y)) is True


@pytest.mark.parametrize("name", ["ring", "field", "full"])
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_verdicts_are_those_of_brute_force(name: str, data: st.DataObject) -> None:
    which, carrier, cells = language(name, 2), Residues(7), grid(7, 2)
    x = data.draw(programs(which, 2))
    y = data.draw(st.one_of(programs(which, 2), st.just(x), st.just(which.make("+", x, which.make("0")))))
    verdict = verify(x, Target(carrier, cells, y.evaluate(cells, carrier), y))
    wrong = [
        tuple(cell)
        for cell, u, v in zip(cells.tolist(), x.evaluate(cells, carrier), y.evaluate(cells, carrier), strict=True)
        if u != v
    ]
    assert verdict.verdict == ("wrong" if wrong else "correct")
    assert verdict.counterexample == (wrong[0] if wrong else None)


@pytest.mark.parametrize("name", ["ring", "field", "full"])
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_an_identity_holds_for_every_prime(name: str, data: st.DataObject) -> None:
    which = language(name, 2)
    x = data.draw(programs(which, 2))
    b = which.variable(1)
    make = which.make
    others = [x, make("-", make("+", x, b), b), make("+", make("*", x, make("1")), make("0"))]
    if "/" in which:
        others += [make("*", make("/", x, b), b), make("/", x, make("1")), make("inverse", make("inverse", x))]
    y = data.draw(st.sampled_from(others))
    cells = grid(11, 2)
    cells = cells[cells[:, 1] != 0]
    at_eleven = Target(Residues(11), cells, x.evaluate(cells, Residues(11)), x)
    if proved_identical(y, at_eleven):
        for p in (5, 7, 13, 23):  # no constant of these programs has such a factor
            carrier, cells = Residues(p), grid(p, 2)
            cells = cells[cells[:, 1] != 0]
            np.testing.assert_array_equal(x.evaluate(cells, carrier), y.evaluate(cells, carrier))


@pytest.mark.parametrize(
    ("program", "formula", "nonzero_b", "proof"),
    [
        ("b + a", "a + b", False, "identity"),
        ("(a + b)*(a + b) - 2*a*b", "a**2 + b**2", False, "identity"),
        ("a*inv(b)", "a/b", False, "identity"),
        ("inv(b/a)", "a/b", False, "identity"),
        ("(a*b + 1)/b", "a + 1/b", True, "identity"),
        ("(a*b + 1)/b", "a + 1/b", False, None),  # at b = 0 they differ
        ("a*b/b", "a", True, "identity"),
        ("b + a if odd(a*b) else b - a", "a + b if odd(b*a) else b - a", False, "identity"),
        ("a*(a + b)/(a + b)", "a", False, None),
        ("a*(b*b + 1)/(b*b + 1)", "a", False, "exhaustive"),  # b² = -1 has no solution modulo 11, but has modulo 13
        ("a**11", "a", False, "exhaustive"),  # Fermat, at 11 only
        ("a + 11*b", "a", False, "exhaustive"),
        ("max(a, b)", "a + b - min(a, b)", False, "exhaustive"),
        ("a/11", "0", False, "exhaustive"),  # inv(11) = inv(0) = 0
        ("a*11/11", "a", False, None),
        ("a + 1", "a", False, None),
    ],
)
def test_which_rung_decides(program: str, formula: str, nonzero_b: bool, proof: str | None) -> None:
    verdict = verify(read(program), target_of(formula, 11, nonzero_b=nonzero_b))
    assert (verdict.verdict, verdict.proof) == (("correct", proof) if proof else ("wrong", "exhaustive"))
    assert verdict.every_modulus == (proof == "identity")


def test_quotients_are_proved_for_primes_only() -> None:
    assert verify(read("a*inv(b)"), target_of("a/b", 12)).proof == "exhaustive"
    assert same_rational(read("a/b + 1"), read("(a + b)/b")) is True
    assert same_polynomial(read("a/b"), read("a/b")) is None


def test_the_counterexample_is_the_first_in_order() -> None:
    target = target_of("a*b", 59)
    assert target.table is not None
    table = target.table.copy()
    table[[1700, 900]] += 1
    verdict = verify(read("a*b"), Target(target.carrier, target.domain, table % 59))
    assert verdict == Verdict("wrong", "exhaustive", (900 // 59, 900 % 59), 901)


def test_groups_are_checked_cell_by_cell() -> None:
    group, cells = symmetric_group(4), grid(24, 2)
    table = group.table[group.table[cells[:, 0], cells[:, 1]], group.inverses[cells[:, 0]]]
    word = read("a*b*inv(a)", "group")
    assert verify(word, Target(group, cells, table, word)).proof == "exhaustive"
    verdict = verify(read("a*b", "group"), Target(group, cells, table))
    assert verdict.verdict == "wrong"
    assert verdict.counterexample is not None


def test_what_cannot_be_listed_goes_to_z3_or_stays_unknown() -> None:
    a_fourth = Target(Residues(997), None, None, read("a*b + c*d", arity=4), arity=4)
    assert verify(read("d*c + b*a", arity=4), a_fourth).proof == "identity"
    wrong = verify(read("a*b + c*d + 1", arity=4), a_fourth)
    assert wrong.verdict == "wrong"
    by_parity = Target(Residues(997), None, None, read("a if odd(a) else b", arity=4), arity=4)
    verdict = verify(read("a if odd(a) else b + 0*(min(c, d) - 1)", arity=4), by_parity)
    assert verdict.verdict == "correct"
    swapped = read("max(min(a, b), c)", arity=4)
    verdict = verify(read("max(c, min(b, a)) + 0*d", arity=4), Target(Residues(997), None, None, swapped, arity=4))
    assert verdict.verdict == "correct"
    once = read("a if a == 3 else b", arity=4)  # differs from b where a = 3 only: probes miss most of it
    verdict = verify(read("a if a < 4 else b", arity=4), Target(Residues(997), None, None, once, arity=4))
    assert verdict.verdict == "wrong"
    deep = Target(Residues(997), None, None, read("max(a, b)", arity=4), arity=4)
    verdict = verify(read("a + b - min(a, b)", arity=4), deep, z3_seconds=5)
    assert (verdict.verdict, verdict.proof) == ("correct", "z3")
    hopeless = Target(Residues(997), None, None, read("a**64*b - min(a, c)", arity=4), arity=4)
    given_up = verify(read("a**64*b - min(a + 997, c)*(b*inv(b) + 1 - b*inv(b))", arity=4), hopeless, z3_seconds=0.2)
    assert given_up.verdict in {"unknown", "correct"}
    assert (given_up.proof == "") == (given_up.verdict == "unknown")


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_z3_agrees_with_brute_force(data: st.DataObject) -> None:
    which, carrier = language("full", 2), Residues(5)
    x, y = data.draw(programs(which, 2)), data.draw(programs(which, 2))
    target = Target(carrier, None, None, y, arity=2)
    by_z3 = verify(x, target, max_cells=0, z3_seconds=2.0)
    brute = verify(x, Target(carrier, grid(5, 2), y.evaluate(grid(5, 2), carrier)))
    assert by_z3.verdict in {brute.verdict, "unknown"}


def test_predictions_are_scored_without_a_program() -> None:
    target = target_of("a + b", 7)
    assert target.table is not None
    assert verify_predictions(target.table, target) == (1.0, None)
    off = target.table.copy()
    off[10] = (off[10] + 1) % 7
    assert verify_predictions(off, target) == (48 / 49, (1, 3))
    with pytest.raises(ValueError, match="49 predictions"):
        verify_predictions(off[:5], target)


def test_transfer() -> None:
    def rebuilt(p: int) -> Target | None:
        return target_of("a", p) if p != 13 else None

    assert transfers_to(read("a + b - b"), target_of("a", 11), (7, 23), rebuilt) == "all"
    assert transfers_to(read("a**11"), target_of("a", 11), (3, 7, 11, 13), rebuilt) == (3, 11)  # where p - 1 divides 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((Residues(5), None, None, read("a")), "arity must be given"),
        ((Residues(5), grid(5, 2), None), "needs a table or a formula"),
        ((Residues(5), grid(5, 2), np.zeros(3, dtype=np.int64)), "one answer a cell"),
    ],
)
def test_targets_are_checked(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Target(*arguments)


@pytest.mark.parametrize(("m", "arity"), [(997, 2), (101, 3)])
def test_a_million_cells_are_checked_in_little_memory(m: int, arity: int) -> None:
    carrier, formula = Residues(m), read("a**3 + a*b**2 + b", arity=arity)
    cells = grid(m, arity)
    target = Target(carrier, cells, formula.evaluate(cells, carrier))
    tracemalloc.start()
    try:
        assert verify(read("a*(a*a + b*b) + b", arity=arity), target).correct
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


def test_the_first_wrong_block_ends_the_check() -> None:
    cells = grid(997, 2)
    target = Target(Residues(997), cells, cells.sum(axis=1) % 997)
    verdict = verify(read("a + b + 1"), target)
    assert (verdict.counterexample, verdict.cells_checked) == ((0, 0), 1)
    assert target.table is not None
    target.table[500 * 997 + 3] += 1
    verdict = verify(read("a + b"), target)
    assert (verdict.counterexample, verdict.cells_checked) == ((500, 3), 500 * 997 + 4)
