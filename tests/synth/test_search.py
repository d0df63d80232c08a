"""Laws of the searches: answers agree with every example, and what is called minimal is, by brute force."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import cheapest_by_behaviour

from synth.bank import Bank
from synth.carrier import Carrier, Residues, symmetric_group
from synth.certificate import Roots
from synth.draws import integers
from synth.language import language
from synth.parse import parse
from synth.program import NONE, Production, Program
from synth.sample import draw_program
from synth.search import Contradiction, Progress, enumerate_programs, meet_in_the_middle
from synth.solvers import solvers

S4 = symmetric_group(4)
SEARCHES = [enumerate_programs, meet_in_the_middle]
both = pytest.mark.parametrize("search", SEARCHES, ids=["enumerate", "mitm"])


def points(carrier: Carrier, arity: int, count: int, seed: int = 0) -> np.ndarray:
    return integers(seed, "test-search", np.arange(count * arity), carrier.size).reshape(count, arity)


def last(search, lang, carrier, inputs, outputs, **limits) -> Progress:
    steps = list(search(lang, carrier, inputs, outputs, **limits))
    assert [x.visited for x in steps] == sorted(x.visited for x in steps)
    bounds = [x.lower_bound_bits for x in steps]
    assert bounds == sorted(bounds)
    lengths = [x.program.bits for x in steps if x.program is not None]
    assert lengths == sorted(lengths, reverse=True)
    for x in steps:
        if x.program is not None:
            assert (x.program.evaluate(inputs, carrier) == outputs).all()
            assert lang.holds(x.program)
            assert x.lower_bound_bits <= x.program.bits
            assert not x.minimal or x.lower_bound_bits == x.program.bits
    return steps[-1]


# language, arity, carrier, examples, bits
CASES = [
    ("ring", 2, Residues(59), 10, 20),
    ("ring", 2, Residues(3), 6, 20),
    ("ring", 2, Residues(3), 9, 20),
    ("ring", 1, Residues(12), 7, 20),
    ("ring", 3, Residues(97), 5, 18),
    ("ring", 2, Residues(5), 20, 20),
    ("field", 2, Residues(7), 12, 17),
    ("field", 2, Residues(12), 9, 17),
    ("full", 2, Residues(11), 10, 17),
    ("full", 1, Residues(5), 5, 17),
    ("full", 2, Residues(131), 10, 17),
    ("group", 2, S4, 6, 16),
]


@both
@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[0]}{c[1]}-{c[2].name}-n{c[3]}")
def test_minimal_is_minimal_by_brute_force(search, case):
    name, arity, carrier, n, bits = case
    lang, inputs = language(name, arity), points(carrier, arity, n)
    best = cheapest_by_behaviour(lang, carrier, inputs, bits)
    behaviours = sorted(best, key=lambda x: (best[x], x))
    for behaviour in behaviours[:: max(1, len(behaviours) // 12)]:
        end = last(search, lang, carrier, inputs, np.array(behaviour), max_programs=400_000)
        assert end.program is not None
        assert end.minimal, f"{end.program} of {end.program.bits} bits, bound {end.lower_bound_bits}"
        assert end.program.bits == best[behaviour]


@both
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), modulus=st.sampled_from([2, 3, 4, 5, 6]), n=st.integers(1, 30))
def test_few_values_and_many_examples_need_more_points_than_a_fingerprint(search, seed, modulus, n):
    carrier, lang = Residues(modulus), language("ring", 3)
    inputs = points(carrier, 3, n, seed)
    program = draw_program(lang, 20, 2, seed, every_variable=False)
    end = last(search, lang, carrier, inputs, program.evaluate(inputs, carrier), max_programs=300_000)
    assert end.program is not None
    assert end.program.bits <= program.bits
    assert end.minimal


@pytest.mark.parametrize("small", [False, True], ids=["gathered", "swept"])
def test_what_is_certified_is_what_enumeration_finds(small, monkeypatch):
    """Certificates by roots and contexts, against every program in order; with small limits the large levels' code."""
    if small:
        monkeypatch.setattr("synth.bank._SMALL", 300)
        monkeypatch.setattr("synth.search._MOST_CONTEXTS", 500)
        monkeypatch.setattr("synth.tiles.BLOCK", 256)
    certified = 0
    for i in range(60):
        name = ("ring", "field", "full", "full", "group")[i % 5]
        carrier = symmetric_group(2 + i % 3) if name == "group" else Residues((2, 3, 7, 11, 12, 59, 131)[i % 7])
        lang = language(name, 1 + i % 3)
        program = draw_program(lang, 14 + i % 13, 3, i, every_variable=False)
        inputs = points(carrier, lang.arity, 1 + 5 * i % 23, i)
        outputs = program.evaluate(inputs, carrier)
        straight = last(enumerate_programs, lang, carrier, inputs, outputs, max_programs=300_000)
        met = last(meet_in_the_middle, lang, carrier, inputs, outputs, max_programs=300_000)
        if straight.minimal and met.minimal:
            certified += 1
            assert straight.program is not None
            assert met.program is not None
            assert straight.program.bits == met.program.bits
        if straight.minimal:
            assert straight.program is not None
            assert met.lower_bound_bits <= straight.program.bits
            assert met.program is not None
    assert certified > 50


@pytest.mark.parametrize(("name", "modulus"), [("ring", 59), ("ring", 60), ("field", 12), ("full", 13)])
def test_roots_tell_of_a_few_levels_beyond_the_bank(name, modulus):
    """Zeros in the target, which products hide, and moduli by which not everything divides cost no reach."""
    carrier, lang = Residues(modulus), language(name, 2)
    inputs = points(carrier, 2, 8)
    inputs[0, 0] = inputs[1, 1] = 0
    shallow = Bank(lang, carrier, inputs, max_bits=1000)  # with every condition that longer programs may want
    depth = next(x for x in shallow.grow() if x >= 12)
    deep = Bank.build(lang, carrier, inputs, max_bits=depth + 6)
    beyond = np.array([i for i in range(len(deep)) if deep.bits(i) > depth])
    with_zeros = beyond[(deep.outputs(beyond) == 0).any(axis=1)]
    assert len(with_zeros) > 5
    for some in (beyond, with_zeros):
        chosen = some[:: max(1, len(some) // 30)]
        for i, target in zip(chosen.tolist(), deep.outputs(chosen), strict=True):
            roots = Roots(shallow, shallow.lanes.pack(target[None]))
            assert roots.reach == depth + 6
            bits, build = roots.matches()[0]
            assert bits == build().bits == deep.bits(i)
            assert (build().evaluate(inputs, carrier) == target).all()


def test_programs_far_outside_any_bank_are_met_in_the_middle():
    carrier, lang = Residues(59), language("ring", 2)
    for seed in (5, 18, 24):
        target = draw_program(lang, 68, 2, seed)
        inputs = points(carrier, 2, 32, seed)
        outputs = target.evaluate(inputs, carrier)
        found = next(x.program for x in meet_in_the_middle(lang, carrier, inputs, outputs) if x.program is not None)
        assert exact(found, target, carrier)


def test_memory_is_honoured_and_the_deepest_complete_level_counts():
    carrier = Residues(59)
    inputs = np.stack([np.arange(30), np.arange(30) ** 3 % 59], axis=1)
    labels = integers(5, "labels", np.arange(30), 59)
    for name in ("ring", "full"):
        for search in SEARCHES:
            end = last(search, language(name, 2), carrier, inputs, labels, memory_mib=24)
            assert end.program is None
            assert end.lower_bound_bits > 25


TARGETS = ["a + b", "a - b", "a*b", "a*a + b*b", "(a + b)**2", "a**3 + a*b", "a*a + a*b + b*b", "a**3 + a*b*b + b"]


@both
@pytest.mark.parametrize("text", TARGETS)
def test_polynomials_are_exact_from_ten_examples(search, text):
    carrier, lang = Residues(59), language("ring", 2)
    target = parse(text, language("field", 2))
    inputs = points(carrier, 2, 10)
    end = last(search, lang, carrier, inputs, target.evaluate(inputs, carrier))
    assert end.minimal
    assert exact(end.program, target, carrier)


def exact(program: Program | None, target: Program, carrier: Carrier) -> bool:
    axes = np.meshgrid(np.arange(carrier.size), np.arange(carrier.size), indexing="ij")
    domain = np.stack([x.ravel() for x in axes], axis=1)
    return program is not None and (program.evaluate(domain, carrier) == target.evaluate(domain, carrier)).all()


@pytest.mark.parametrize("text", ["a/b if odd(b) else a - b", "2*a + 3*b + 7", "a/b", "a**3 + a*b*b + b"])
def test_mitm_in_the_full_language(text):
    carrier, lang = Residues(59), language("full", 2)
    target = parse(text, lang, functions=True)
    inputs = points(carrier, 2, 10)
    for seed in range(3):
        inputs = points(carrier, 2, 10, seed)
        end = last(meet_in_the_middle, lang, carrier, inputs, target.evaluate(inputs, carrier), max_programs=150_000)
        assert exact(end.program, target, carrier)


@pytest.mark.parametrize("text", ["a*b", "a*b*inv(a)", "a*b*a"])
@both
def test_products_in_s5(search, text):
    carrier, lang = symmetric_group(5), language("group", 2)
    target = parse(text, lang, functions=True)
    inputs = points(carrier, 2, 6)
    end = last(search, lang, carrier, inputs, target.evaluate(inputs, carrier))
    assert end.minimal
    assert exact(end.program, target, carrier)


@both
def test_no_examples_leave_the_shortest_program(search):
    lang = language("full", 2)
    end = last(search, lang, Residues(59), np.zeros((0, 2), dtype=np.int64), np.zeros(0, dtype=np.int64))
    assert end.minimal
    assert str(end.program) == "a"


@both
def test_a_constant_and_an_ignored_input(search):
    carrier, lang = Residues(59), language("ring", 2)
    inputs = points(carrier, 2, 10)
    constant = last(search, lang, carrier, inputs, np.full(10, 6))
    assert constant.minimal
    assert constant.program is not None
    assert constant.program.variables == frozenset()
    ignored = last(search, lang, carrier, inputs, inputs[:, 1] ** 2 % 59)
    assert str(ignored.program) == "b*b"


@both
def test_repeated_examples_do_no_harm_and_contradictions_are_one_line(search):
    carrier, lang = Residues(59), language("ring", 2)
    inputs = np.array([[3, 4], [3, 4], [5, 6]])
    assert str(last(search, lang, carrier, inputs, np.array([7, 7, 11])).program) == "a + b"
    with pytest.raises(Contradiction, match=r"the input \(3, 4\) has the labels 7 and 8"):
        list(search(lang, carrier, inputs, np.array([7, 8, 11])))


@both
def test_values_outside_the_carrier_are_one_line(search):
    lang = language("ring", 2)
    with pytest.raises(ValueError, match=r"every output must be an element 0\.\.58 of Z_59"):
        list(search(lang, Residues(59), np.zeros((1, 2)), np.array([59])))
    with pytest.raises(ValueError, match="every input"):
        list(search(lang, Residues(59), np.full((1, 2), -1), np.array([5])))


@both
def test_random_labels_end_at_the_limit_with_a_true_bound(search):
    carrier, lang = Residues(59), language("ring", 2)
    inputs = np.stack([np.arange(40), np.arange(40) ** 2 % 59], axis=1)
    labels = integers(1, "labels", np.arange(40), 59)
    end = last(search, lang, carrier, inputs, labels, max_programs=200_000)
    assert end.program is None
    assert not end.minimal
    assert end.lower_bound_bits > 30
    assert end.visited <= 220_000
    by_memory = last(search, lang, carrier, inputs, labels, memory_mib=16)
    assert by_memory.program is None


def test_searches_are_deterministic():
    carrier, lang = Residues(59), language("full", 2)
    inputs = points(carrier, 2, 10)
    outputs = (2 * inputs[:, 0] + 3 * inputs[:, 1] + 7) % 59
    for search in SEARCHES:
        runs = [list(search(lang, carrier, inputs, outputs, max_programs=100_000)) for _ in range(2)]
        assert runs[0] == runs[1]


def test_short_answers_of_both_searches_are_the_same_program():
    """With few examples many programs are minimal; the methods must not differ by luck."""
    carrier, lang = Residues(59), language("full", 2)
    for seed in range(12):
        inputs = integers(seed, "tie inputs", np.arange(2 * (1 + seed % 3)), 59).reshape(-1, 2)
        outputs = (inputs[:, 0] + inputs[:, 1]) % 59
        first = last(enumerate_programs, lang, carrier, inputs, outputs)
        second = last(meet_in_the_middle, lang, carrier, inputs, outputs)
        assert first.minimal
        assert second.minimal
        assert first.program == second.program


def commutators(arity):
    """Words with x y x^-1 y^-1 at one bit, whose inverses name one of several solutions, or none."""

    def commutator(c, x, y):
        return c.table[c.table[x, y], c.inverses[c.table[y, x]]]

    def first(c, result, made):
        found = np.stack([np.broadcast_to(made(np.full(np.shape(result), z)), np.shape(result)) for z in range(c.size)])
        found = found == result
        return np.where(found.any(axis=0), found.argmax(axis=0), NONE)

    rule = Production(
        "comm", 1, commutator, "comm({0}, {1})", ("value", "value"),
        inverses=(
            lambda c, r, y: first(c, r, lambda z: commutator(c, z, y)),
            lambda c, r, x: first(c, r, lambda z: commutator(c, x, z)),
        ),
    )  # fmt: skip
    base = language("group", arity)
    return replace(base, name="comm", productions=(*(replace(x, bits=x.bits + 1) for x in base.productions), rule))


def test_an_inverse_that_names_one_of_several_solutions_certifies_nothing():
    group, words = symmetric_group(3), commutators(2)
    for x in solvers(words, group):
        assert x.complete == (x.rule.name != "comm")
    for seed in range(40):
        rng = np.random.default_rng(seed)
        inputs, outputs = rng.integers(6, size=(4, 2)), rng.integers(6, size=4)
        try:
            *_, shortest = enumerate_programs(words, group, inputs, outputs, max_programs=4000)
            *_, found = meet_in_the_middle(words, group, inputs, outputs, max_programs=4000)
        except Contradiction:
            continue
        if shortest.program is not None and found.program is not None and found.minimal:
            assert found.program.bits <= shortest.program.bits, (inputs, outputs)
