"""Programs survive the way to sympy and back, and canonical texts never merge two functions."""

from __future__ import annotations

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.carrier import IntArray, Residues, symmetric_group
from synth.identity import denominators
from synth.language import Language, language
from synth.parse import parse
from synth.program import Program
from synth.symbolic import canonical, from_sympy, to_sympy


def grid(size: int, arity: int) -> IntArray:
    return np.stack(np.meshgrid(*[np.arange(size)] * arity, indexing="ij"), -1).reshape(-1, arity)


@st.composite
def programs(draw: st.DrawFn, which: Language, depth: int = 3, sort: str = "value") -> Program:
    rules = [p for p in which.productions if p.sort == sort and (depth > 0 or not p.arguments)]
    if not rules:
        rules = [p for p in which.productions if p.sort == sort]
    rule = draw(st.sampled_from(rules))
    return Program(rule, tuple(draw(programs(which, depth - 1, s)) for s in rule.arguments))


def regular(program: Program, cells: IntArray, carrier: Residues) -> np.ndarray:
    """Where no denominator vanishes: sympy's quotients mean nothing elsewhere."""
    ok = np.ones(len(cells), dtype=bool)
    for x in denominators(program):
        ok &= x.evaluate(cells, carrier) != 0
    return ok


@pytest.mark.parametrize("name", ["ring", "field", "full"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_round_trip_keeps_the_function(name: str, data: st.DataObject) -> None:
    which = language(name, 2)
    program = data.draw(programs(which))
    back = from_sympy(to_sympy(program), which)
    carrier = Residues(101)
    cells = grid(101, 2)[::7]
    ok = regular(program, cells, carrier) & regular(back, cells, carrier)
    np.testing.assert_array_equal(program.evaluate(cells, carrier)[ok], back.evaluate(cells, carrier)[ok])


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_words_round_trip_exactly(data: st.DataObject) -> None:
    which, group = language("group", 2), symmetric_group(3)
    program = data.draw(programs(which))
    back = from_sympy(to_sympy(program), which)
    cells = grid(6, 2)
    np.testing.assert_array_equal(program.evaluate(cells, group), back.evaluate(cells, group))
    assert canonical(program, group) == canonical(back, group)


@pytest.mark.parametrize("name", ["ring", "field", "full"])
@pytest.mark.parametrize("m", [7, 12])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_equal_canonical_texts_mean_equal_functions(name: str, m: int, data: st.DataObject) -> None:
    which, carrier = language(name, 2), Residues(m)
    drawn = [data.draw(programs(which, 2)) for _ in range(8)]
    functions: dict[str, bytes] = {}
    for program in drawn:
        outputs = program.evaluate(grid(m, 2), carrier).tobytes()
        assert functions.setdefault(canonical(program, carrier), outputs) == outputs


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_equal_polynomials_have_one_canonical_text(data: st.DataObject) -> None:
    which, carrier = language("ring", 2), Residues(59)
    x, y = data.draw(programs(which)), data.draw(programs(which))
    make = which.make
    assert canonical(make("*", x, y), carrier) == canonical(make("*", y, x), carrier)
    assert canonical(make("-", make("+", x, y), y), carrier) == canonical(x, carrier)
    a, b = sympy.symbols("a b")
    expected = sympy.Poly(to_sympy(make("+", make("*", x, y), x)), a, b, modulus=59)
    text = canonical(make("+", make("*", x, y), x), carrier)
    assert sympy.Poly(sympy.sympify(text), a, b, modulus=59) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(a + b)**2", "a**2 + 2*a*b + b**2"),
        ("(a + b)*(a - b) + 58", "a**2 - b**2 - 1"),
        ("30*a", "-29*a"),
        ("a - a", "0"),
        ("a*inv(b)", "a/b"),
        ("inv(b/a)", "a/b"),
        ("a/(b*2)", "-29*a/b"),
        ("a*b/b", "a*b/b"),
        ("(a + 3)/b", "a/b + 3/b"),
        ("1/(2*a + 2*b)", "-29/(a + b)"),
        ("inv(inv(a + b))", "a + b"),
        ("2/(1/(a + b)**2)", "2*a**2 + 4*a*b + 2*b**2"),
        ("inv(b/(a + b))", "a/b + b/b"),
        ("min(b, a)", "min(a, b)"),
        ("a/b if odd(b) else a - b", "(a/b if odd(b) else a - b)"),
        ("2*max(b + a, a)", "2*max(a, a + b)"),
    ],
)
def test_canonical_texts(text: str, expected: str) -> None:
    assert canonical(parse(text, language("full", 2), functions=True), Residues(59)) == expected


def test_words_are_reduced() -> None:
    which, group = language("group", 2), symmetric_group(3)
    a, b = which.variable(0), which.variable(1)
    word = which.make("compose", which.make("compose", a, b), which.make("inverse", which.make("compose", a, b)))
    assert canonical(word, group) == "identity"
    conjugate = which.make("compose", which.make("compose", a, b), which.make("inverse", a))
    assert canonical(conjugate, group) == "a*b*inv(a)"
    assert str(to_sympy(conjugate)) == "a*b*a**(-1)"


def test_a_huge_expansion_falls_back_on_structure() -> None:
    which = language("full", 4)
    text = "*".join(["(a + b + c + d + 1)"] * 20)
    x, y = parse(text, which), parse(text.replace("a + b", "b + a"), which)
    assert canonical(x, Residues(59)) == canonical(y, Residues(59))


def test_every_relation_of_sympy_is_understood() -> None:
    a, b = sympy.symbols("a b")
    even, which = sympy.Eq(sympy.Mod(a, 2), 0), language("full", 2)
    x, y = grid(7, 2).T
    expected = {
        even: x % 2 == 0,
        sympy.Ne(sympy.Mod(a, 2), 0): x % 2 == 1,
        sympy.Eq(sympy.Mod(a, 2), 1): x % 2 == 1,
        sympy.Eq(a, b): x == y,
        sympy.Ne(a, b): x != y,
        a < b: x < y,
        a <= b: x <= y,
        a > b: x > y,
        a >= b: x >= y,
    }
    for condition, holds in expected.items():
        program = from_sympy(sympy.Piecewise((a, condition), (b, True)), which)
        np.testing.assert_array_equal(program.evaluate(grid(7, 2), Residues(7)), np.where(holds, x, y))
    with pytest.raises(ValueError, match="a last case"):
        from_sympy(sympy.Piecewise((a, even)), which)


def test_comparisons_are_not_decided_as_if_on_numbers() -> None:
    program = parse("1 if a < a + 1 else 0", language("full", 1), functions=True)
    back = from_sympy(to_sympy(program), language("full", 1))
    carrier = Residues(5)
    np.testing.assert_array_equal(back.evaluate(grid(5, 1), carrier), [1, 1, 1, 1, 0])


def test_equal_terms_are_all_kept() -> None:
    program = parse("a + min(a, a)", language("full", 1), functions=True)  # sympy drops the minimum
    back = from_sympy(to_sympy(program), language("full", 1))
    np.testing.assert_array_equal(back.evaluate(grid(7, 1), Residues(7)), [0, 2, 4, 6, 1, 3, 5])


def test_conditionals_within_conditions() -> None:
    which, carrier = language("full", 2), Residues(11)
    for text in ("a if odd(b if a == 3 else a) else 0", "a if (b if odd(a if b < a else 2) else a) < 2 + b else b*b"):
        program = parse(text, which, functions=True)
        back = from_sympy(to_sympy(program), which)
        np.testing.assert_array_equal(back.evaluate(grid(11, 2), carrier), program.evaluate(grid(11, 2), carrier))


@pytest.mark.parametrize(
    ("expression", "name", "message"),
    [
        (sympy.sin(sympy.Symbol("a")), "full", "sin"),
        (sympy.Symbol("x"), "full", "no input 'x'; there are a, b"),
        (sympy.Symbol("a") ** sympy.Rational(1, 2), "full", "Pow sqrt"),
        (sympy.Symbol("a") / sympy.Symbol("b"), "ring", "no production '/'"),
        (sympy.Symbol("a") + 1, "group", "has no form in language group"),
        (sympy.Float(0.5), "full", "Float"),
    ],
)
def test_refusals_are_one_line(expression: sympy.Expr, name: str, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        from_sympy(expression, language(name, 2))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_large_powers_are_cheap() -> None:
    program = from_sympy(sympy.Symbol("a") ** 64, language("full", 1))
    assert program.bits == (1 + 4 + 1) + 5 * 6  # a*a, then five squares
    assert program.evaluate(np.array([[3]]), Residues(59))[0] == pow(3, 64, 59)
