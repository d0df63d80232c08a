"""The parser reads what programs print, computes what Python would, and refuses the rest in one line."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.carrier import Residues, symmetric_group
from synth.constants import integer, residue
from synth.language import Language, language, language_names
from synth.parse import arity_of, parse
from synth.program import Program

LANGUAGES = [
    language(name, arity) for name in (*language_names("residues"), *language_names("group")) for arity in (1, 2, 4)
]


@st.composite
def programs(draw: st.DrawFn, of: Language, sort: str = "value", depth: int = 5) -> Program:
    rules = [x for x in of.productions if x.sort == sort and (depth > 0 or x.arity == 0 or sort == "condition")]
    rule = draw(st.sampled_from(rules))
    return Program(rule, tuple(draw(programs(of, argument, depth - 1)) for argument in rule.arguments))


@pytest.mark.parametrize("of", LANGUAGES, ids=lambda x: f"{x.name}-{x.arity}")
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_parsing_what_a_program_prints_gives_the_same_tree(of: Language, data: st.DataObject) -> None:
    program = data.draw(programs(of))
    assert parse(str(program), of, functions=True) == program
    assert max((i + 1 for i in program.variables), default=1) == arity_of(str(program))


@pytest.mark.parametrize("text", ["-a*b", "-a**2", "(-a)**2", "a - -b", "-(a + b)", "-0", "- -a", "a*-b", "2**3 - -7"])
@pytest.mark.parametrize("name", ["ring", "field", "full"])
def test_signs_bind_as_in_python(name: str, text: str) -> None:
    assert outputs(text, name) == [eval(text, {"a": a, "b": b}) % 13 for a in range(13) for b in range(13)]


def outputs(text: str, name: str = "full", modulus: int = 13) -> list[int]:
    cells = np.stack([x.ravel() for x in np.indices((modulus, modulus))], axis=1)
    return parse(text, language(name, 2)).evaluate(cells, Residues(modulus)).tolist()


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a", "b", "1", "7", "12", "100", "9999"]), min_size=2, max_size=6), st.data())
def test_arithmetic_agrees_with_python(pieces: list[str], data: st.DataObject) -> None:
    text = pieces[0]
    for piece in pieces[1:]:
        text = f"({text}) {data.draw(st.sampled_from('+-*'))} {piece}"
        if data.draw(st.booleans()):
            text = f"({text})**{data.draw(st.integers(0, 3))}"
    for name in ("ring", "full"):
        assert outputs(text, name) == [eval(text, {"a": a, "b": b}) % 13 for a in range(13) for b in range(13)]


@pytest.mark.parametrize("name", ["ring", "field"])
@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 5, 8, 31, 63, 64])
def test_powers(name: str, exponent: int) -> None:
    assert outputs(f"a**{exponent}", name) == [pow(a, exponent, 13) for a in range(13) for _ in range(13)]


def test_a_power_is_never_dearer_than_its_product() -> None:
    for name in ("ring", "field"):
        of = language(name, 2)
        for k in (2, 3, 4, 7):
            product = "*".join(["a"] * k)
            assert parse(f"a**{k}", of).bits <= parse(product, of).bits


def test_groups_compose_and_invert() -> None:
    group = symmetric_group(3)
    program = parse("a*b*inv(a)", language("group", 2), functions=True)
    cells = np.stack([x.ravel() for x in np.indices((6, 6))], axis=1)
    expected = [group.table[group.table[a, b], group.inverses[a]] for a in range(6) for b in range(6)]
    assert program.evaluate(cells, group).tolist() == expected
    assert program == parse(str(program), language("group", 2), functions=True)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a + f(b)", "f(b)"),
        ("max(a, b)", "max(a, b)"),
        ("a.real + b", "a.real"),
        ("().__class__", "().__class__"),
        ("a[0]", "a[0]"),
        ("a + x", "'x'"),
        ("a + A", "did you mean 'a'"),
        ("a + c", "variables are a, b"),
        ("a**65", "65"),
        ("a**99999999999", "99999999999"),
        ("a**b", "literal"),
        ("a**-1", "literal"),
        ("a**True", "literal"),
        ("a +", "syntax error"),
        ("a b", "syntax error"),
        ("a = 1", "syntax error"),
        ("import os", "syntax error"),
        ("", "empty"),
        ("   ", "empty"),
        ("'a'", "only integers"),
        ("1.5*a", "1.5"),
        ("a*1j", "1j"),
        ("True", "True"),
        ("None", "None"),
        ("...", "only integers"),
        ("f'{a}'", "only integers"),
        ("a < b < 3", "a < b < 3"),
        ("a % 59", "a % 59"),
        ("a // b", "a // b"),
        ("a @ b", "a @ b"),
        ("~a", "~a"),
        ("not a", "not a"),
        ("a and b", "a and b"),
        ("a, b", "a, b"),
        ("lambda: a", "lambda"),
        ("(a := 3)", "a := 3"),
        ("[a for a in b]", "only arithmetic"),
        ("a if b else a", "conditions"),
        ("1" + "0" * 18, "18 digits"),
        ("9" * 1500, "18 digits"),
        ("a" + " " * 2000 + "+ b", "characters"),
        ("a + " * 600 + "b", "characters"),
        ("+".join("a" * 900), "nested"),
        ("(" * 500 + "a" + ")" * 500, "nested"),
        ("-" * 1500 + "a", "nested"),
        ("((((((a**63)**63)**63)**63)**63)**63)", "nodes"),
        ("a\x00b", "null"),
        ("a\n+ b", "syntax error"),
        ("a\udc80", "not an expression"),
    ],
)
def test_what_is_not_arithmetic_is_refused_in_one_line(text: str, names: str) -> None:
    with pytest.raises(ValueError, match=re.escape(names)) as caught:
        parse(text, language("full", 2))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("maximum(a, b)", "did you mean 'max'"),
        ("max(a)", "takes 2 arguments, got 1"),
        ("max(a, b=b)", "takes 2 arguments"),
        ("a.max(b)", "calls"),
        ("odd(a)", "unknown function 'odd'"),
        ("a if b else a", "a condition is"),
        ("a if a < b < a else b", "chained"),
        ("a if a > b else b", "a condition is"),
        ("a == b", "comparisons"),
        ("inv(*a)", "only arithmetic"),
    ],
)
def test_misused_functions_are_refused(text: str, names: str) -> None:
    with pytest.raises(ValueError, match=re.escape(names)):
        parse(text, language("full", 2), functions=True)


@pytest.mark.parametrize(
    ("text", "name"),
    [("a/b", "ring"), ("min(a, b)", "field"), ("a + b", "group"), ("3", "group"), ("-a", "group"), ("a**0", "group")],
)
def test_what_the_language_lacks_is_named(text: str, name: str) -> None:
    with pytest.raises(ValueError, match=f"the language {name} has no"):
        parse(text, language(name, 2), functions=True)


@pytest.mark.parametrize("name", ["ring", "field"])
def test_integers_are_what_they_say(name: str) -> None:
    of = language(name, 2)
    values = [*range(-300, 301), 999, 1000, 1001, -5000, 10**18 - 1, -(10**18)]
    assert [eval(str(integer(of, value))) for value in values] == values


def test_integers_cost_the_least_there_is() -> None:
    """Against all ring programs of up to five constants, by plain enumeration over the number of constants."""
    of = language("ring", 1)
    by_leaves: list[set[int]] = [set(), {0, 1, 2, 3}]
    for leaves in range(2, 6):
        by_leaves.append(
            {
                z
                for i in range(1, leaves)
                for x in by_leaves[i]
                for y in by_leaves[leaves - i]
                for z in (x + y, x - y, x * y)
            }
        )
    for value in range(-100, 101):
        leaves = next((i for i, values in enumerate(by_leaves) if value in values), None)
        if leaves is not None:
            assert integer(of, value).bits == 9 * leaves - 4
        else:
            assert integer(of, value).bits > 9 * 5 - 4
    assert str(integer(of, 11)) == "3*3 + 2"


@pytest.mark.parametrize("modulus", [2, 3, 59, 60])
def test_residues_wrap_around_and_never_cost_more_than_integers(modulus: int) -> None:
    of = language("field", 1)
    for value in range(modulus):
        program = residue(of, value, modulus)
        assert program.evaluate(np.zeros((1, 1), dtype=np.int64), Residues(modulus)).tolist() == [value]
        assert program.bits <= min(integer(of, value).bits, integer(of, value - modulus).bits)
    assert residue(of, 10_006, 10_007).bits == integer(of, -1).bits


def test_a_group_has_no_constants() -> None:
    with pytest.raises(ValueError, match="no constants"):
        integer(language("group", 2), 3)
