"""Component-based synthesis: what it finds agrees with the examples, and it refutes no size that holds an answer."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.carrier import Residues
from synth.cegis import synthesise
from synth.components import Components, encoded
from synth.examples import Contradiction
from synth.language import language
from synth.parse import parse


def grid(m: int, arity: int = 2) -> np.ndarray:
    return np.array(list(product(range(m), repeat=arity)), dtype=np.int64)


def labelled(text: str, m: int, n: int, name: str = "full", seed: int = 0):
    """n random examples of the expression's values, and all of its inputs."""
    cells = grid(m)
    program = parse(text, language(name, 2), functions=True)
    shown = np.random.default_rng(seed).permutation(cells)[:n]
    return shown, program.evaluate(shown, Residues(m)), cells, program.evaluate(cells, Residues(m))


def last(*arguments, **options):
    *_, end = synthesise(*arguments, **options)
    return end


@pytest.mark.parametrize("text", ["a + b", "a - b", "a*b", "(a + b)**2"])
@pytest.mark.parametrize("m", [59, 997])
def test_short_ring_programs_are_found_from_five_examples(text, m):
    inputs, outputs, cells, truth = labelled(text, m, 5)
    end = last(language("ring", 2), Residues(m), inputs, outputs, max_rlimit=10_000_000)
    assert end.status == "found"
    assert (end.program.evaluate(cells, Residues(m)) == truth).all()


@pytest.mark.parametrize("text", ["a/b", "inv(a)", "-a", "min(a, b)", "max(a, b)", "b if odd(a) else 0", "a/(b + 1)"])
@pytest.mark.parametrize("m", [23, 24])
def test_every_operator_means_what_the_language_says(text, m):
    """All cells are shown, so that an encoding with another value anywhere cannot pass."""
    inputs, outputs, _, _ = labelled(text, m, m * m)
    end = last(language("full", 2), Residues(m), inputs, outputs, max_rlimit=30_000_000)
    assert end.status == "found"
    assert (end.program.evaluate(inputs, Residues(m)) == outputs).all()


@pytest.mark.parametrize("test", ["a == b", "a < b", "odd(a)"])
def test_conditions_choose(test):
    m = 7
    inputs, outputs, _, _ = labelled(f"b if {test} else 3", m, m * m)
    end = last(language("full", 2), Residues(m), inputs, outputs, max_rlimit=30_000_000)
    assert end.components == 2
    assert (end.program.evaluate(inputs, Residues(m)) == outputs).all()


def reachable(m: int, inputs: np.ndarray, components: int, name: str) -> dict[bytes, int]:
    """Brute force: every behaviour of straight-line programs, with the fewest components that make it."""
    lang, carrier = language(name, 2), Residues(m)
    leaves = [x for x in lang.of_sort("value") if not x.arguments]
    operators = [x for x in lang.of_sort("value") if x.arguments and "condition" not in x.arguments]
    start = tuple(np.asarray(lang.make(x.name).evaluate(inputs, carrier)) for x in leaves)
    fewest = {x.tobytes(): 0 for x in start}
    states = [start]
    for size in range(1, components + 1):
        grown = []
        for state in states:
            for operator in operators:
                for arguments in product(state, repeat=operator.arity):
                    made = np.asarray(operator.semantics(carrier, *arguments), dtype=np.int64)
                    fewest.setdefault(made.tobytes(), size)
                    grown.append((*state, made))
        states = grown
    return fewest


@pytest.mark.parametrize(("name", "m"), [("ring", 2), ("ring", 5), ("field", 6)])
def test_no_size_is_refuted_that_holds_an_answer(name, m):
    """What is ruled out as adding nothing adds nothing: the sizes are those of brute force over two components."""
    inputs = np.random.default_rng(3).permutation(grid(m))[:4]
    fewest = reachable(m, inputs, 2, name)
    behaviours = sorted(fewest)
    for behaviour in np.random.default_rng(0).permutation(len(behaviours))[:15]:
        outputs = np.frombuffer(behaviours[behaviour], dtype=np.int64)
        end = last(language(name, 2), Residues(m), inputs, outputs, max_components=2)
        assert (end.status, end.components) == ("found", fewest[behaviours[behaviour]])


def test_a_size_is_refuted_where_brute_force_finds_nothing():
    m, inputs = 5, np.random.default_rng(1).permutation(grid(5))[:6]
    fewest, rng = reachable(m, inputs, 2, "ring"), np.random.default_rng(2)
    tables = [rng.integers(0, m, 6) for _ in range(20)]
    outputs = next(x for x in tables if x.tobytes() not in fewest)
    steps = list(synthesise(language("ring", 2), Residues(m), inputs, outputs, max_components=2))
    assert [x.status for x in steps] == ["refuted"] * 3 + ["out of components"]


@pytest.mark.parametrize("seed", range(12))
def test_a_program_of_three_lines_needs_no_fourth(seed):
    m, rng = 11, np.random.default_rng(seed)
    lang, carrier = language(("ring", "field", "full")[seed % 3], 2), Residues(m)
    made = [lang.make(x.name) for x in lang.of_sort("value") if not x.arguments]
    operators = [x for x in lang.of_sort("value") if x.arguments and "condition" not in x.arguments]
    for line in range(3):
        operator = operators[rng.integers(len(operators))]
        arguments = [made[-1] if line and i == 0 else made[rng.integers(len(made))] for i in range(operator.arity)]
        made.append(lang.make(operator.name, *arguments))
    inputs = rng.permutation(grid(m))[:8]
    end = last(lang, carrier, inputs, made[-1].evaluate(inputs, carrier), max_components=3)
    assert end.status == "found"


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 30), st.lists(st.tuples(*[st.integers(0, 10**6)] * 3), max_size=6))
def test_what_is_found_agrees_with_every_example(m, rows):
    table = {(a % m, b % m): c % m for a, b, c in rows}
    inputs = np.array(list(table), dtype=np.int64).reshape(-1, 2)
    outputs = np.array(list(table.values()), dtype=np.int64)
    end = last(language("full", 2), Residues(m), inputs, outputs, max_rlimit=500_000)
    assert end.status in {"found", "out of work"}
    if end.program is not None:
        assert (end.program.evaluate(inputs, Residues(m)) == outputs).all()


def test_the_same_examples_cost_the_same_work():
    inputs, outputs, _, _ = labelled("a*a + b*b", 59, 10, "ring")
    runs = [list(synthesise(language("ring", 2), Residues(59), inputs, outputs)) for _ in range(2)]
    assert [x.rlimit for x in runs[0]] == [x.rlimit for x in runs[1]]
    assert str(runs[0][-1].program) == str(runs[1][-1].program)


def test_work_is_bounded():
    inputs, outputs = grid(59)[7:400:19], np.random.default_rng(0).integers(0, 59, 21)
    end = last(language("full", 2), Residues(59), inputs, outputs, max_rlimit=1_000_000)
    assert end.status == "out of work"
    assert end.rlimit == pytest.approx(1_000_000, rel=0.01)


def test_time_is_bounded():
    inputs, outputs = grid(59)[7:400:19], np.random.default_rng(0).integers(0, 59, 21)
    started = time.perf_counter()
    end = last(
        language("full", 2), Residues(59), inputs, outputs, seconds_left=lambda: 0.5 - (time.perf_counter() - started)
    )
    assert end.status == "out of time"
    assert 0.5 <= time.perf_counter() - started < 1.0


def test_memory_is_bounded():
    inputs, outputs = grid(59)[7:400:19], np.random.default_rng(0).integers(0, 59, 21)
    with pytest.raises(MemoryError, match="z3"):
        last(language("full", 2), Residues(59), inputs, outputs, memory_mib=1, max_rlimit=10_000_000)


def test_no_examples_leave_the_cheapest_program():
    end = last(language("full", 2), Residues(59), np.zeros((0, 2), dtype=np.int64), np.zeros(0, dtype=np.int64))
    assert (end.status, str(end.program)) == ("found", "a")


def test_contradictory_examples_have_no_program():
    with pytest.raises(Contradiction):
        last(language("ring", 2), Residues(5), np.array([[1, 2], [1, 2]]), np.array([3, 4]))


def test_an_example_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"0\.\.4"):
        last(language("ring", 2), Residues(5), np.array([[1, 5]]), np.array([3]))


def test_uses_of_constants_that_add_nothing_are_known():
    components = Components(language("ring", 2), Residues(59))
    zero = [x.name for x in components.leaves].index("0")
    assert {("+", "x", zero), ("+", "y", zero), ("-", "y", zero), ("*", "x", zero)} <= components.idle
    assert ("-", "x", zero) not in components.idle  # 0 - x is new
    assert components.twice == {"-"}  # x - x is 0, and x + x and x*x are new


def test_operators_of_another_meaning_are_left_out():
    ring = language("ring", 2)
    other = replace(ring["*"], semantics=lambda c, x, y: (x * y + 1) % c.modulus)
    odd = replace(ring, productions=tuple(other if x.name == "*" else x for x in ring.productions))
    assert [x.name for x in encoded(odd)] == ["+", "-"]
