"""Laws of the bank: all behaviours, once each, in cost order, each with a program that has it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import all_programs, cheapest_by_behaviour

from synth.bank import Bank
from synth.carrier import Carrier, Residues, symmetric_group
from synth.draws import integers
from synth.grammar import program_counts
from synth.kernels import Kernels
from synth.lanes import Lanes
from synth.language import language
from synth.program import Sort
from synth.tiles import build_levels

S3, S4, S5 = symmetric_group(3), symmetric_group(4), symmetric_group(5)

# language, arity, carrier, points, bits
CASES = [
    ("ring", 2, Residues(59), 8, 18),
    ("ring", 2, Residues(59), 3, 18),
    ("ring", 2, Residues(59), 16, 18),
    ("ring", 1, Residues(60), 9, 16),
    ("ring", 3, Residues(101), 5, 18),
    ("ring", 4, Residues(7), 8, 18),
    ("ring", 2, Residues(251), 6, 16),
    ("ring", 2, Residues(257), 9, 16),
    ("ring", 2, Residues(65521), 3, 16),
    ("ring", 2, Residues(2), 4, 18),
    ("field", 2, Residues(97), 8, 16),
    ("field", 2, Residues(60), 8, 16),
    ("field", 2, Residues(251), 8, 15),
    ("full", 2, Residues(59), 8, 17),
    ("full", 2, Residues(59), 13, 17),
    ("full", 1, Residues(12), 7, 15),
    ("full", 2, Residues(509), 5, 15),
    ("full", 2, Residues(40009), 5, 15),
    ("group", 2, S3, 6, 14),
    ("group", 2, S5, 8, 14),
    ("group", 3, S4, 20, 14),
    ("group", 2, symmetric_group(6), 5, 14),
]


def points(carrier: Carrier, arity: int, count: int, seed: int = 0) -> np.ndarray:
    return integers(seed, "test-points", np.arange(count * arity), carrier.size).reshape(count, arity)


def name_of(case: tuple) -> str:
    return f"{case[0]}{case[1]}-{case[2].name}-{case[3]}pts"


@pytest.mark.parametrize("case", CASES, ids=name_of)
@pytest.mark.parametrize("small", [1 << 17, 0], ids=["gathered", "swept"])
def test_the_bank_is_brute_force(case, small, monkeypatch):
    monkeypatch.setattr("synth.bank._SMALL", small)
    monkeypatch.setattr("synth.tiles.BLOCK", 64 if small == 0 else 1 << 15)
    name, arity, carrier, count, bits = case
    lang, inputs = language(name, arity), points(carrier, arity, count)
    bank = Bank.build(lang, carrier, inputs, max_bits=bits)
    best = cheapest_by_behaviour(lang, carrier, inputs, bits)
    behaviours = bank.outputs(np.arange(len(bank)))
    assert bank.stopped in (None, "closed")
    assert {tuple(x): bank.bits(i) for i, x in enumerate(behaviours.tolist())} == best
    assert len(bank) == len(best)
    costs = [bank.bits(i) for i in range(len(bank))]
    assert costs == sorted(costs)
    assert (bank.find(behaviours) == np.arange(len(bank))).all()
    for i in range(0, len(bank), max(1, len(bank) // 50)):
        program = bank.program(i)
        assert program.bits == bank.bits(i)
        assert lang.holds(program)
        assert (program.evaluate(inputs, carrier) == behaviours[i]).all()


@pytest.mark.parametrize("small", [1 << 17, 0], ids=["gathered", "swept"])
@pytest.mark.parametrize("count", [4, 11])
def test_conditions_are_brute_force(count, small, monkeypatch):
    monkeypatch.setattr("synth.bank._SMALL", small)
    lang, carrier = language("full", 2), Residues(13)
    inputs = points(carrier, 2, count)
    bank = Bank.build(lang, carrier, inputs, max_bits=15, sort="condition")
    best = cheapest_by_behaviour(lang, carrier, inputs, 15, "condition")
    found = {tuple(x): bank.bits(i) for i, x in enumerate(bank.outputs(np.arange(len(bank))).tolist())}
    assert found == {tuple(int(v) for v in x): b for x, b in best.items()}
    program = bank.program(len(bank) - 1)
    assert program.bits == bank.bits(len(bank) - 1)


def test_keys_only_levels_rederive_their_programs():
    carrier = Residues(59)
    for count in (8, 16):
        inputs = points(carrier, 2, count)
        bank = Bank.build(language("ring", 2), carrier, inputs, max_bits=42)
        shelf = bank.shelves["value"]
        assert shelf.levels, "the case must reach levels that are held by keys alone"
        for i in np.linspace(shelf.held, len(bank) - 1, 7).astype(int).tolist():
            program = bank.program(i)
            values = program.evaluate(inputs, carrier)
            assert program.bits == bank.bits(i)
            assert bank.find(values[None])[0] == i


@settings(max_examples=30, deadline=None)
@given(
    modulus=st.sampled_from([2, 3, 4, 9, 59, 64, 67, 97, 127, 128, 131, 251, 256, 257, 1000, 32768, 32771, 65521]),
    count=st.integers(1, 17),
    seed=st.integers(0, 10**6),
)
def test_kernels_are_the_semantics(modulus, count, seed):
    carrier = Residues(modulus)
    lanes = Lanes(count, modulus)
    kernels = Kernels(carrier, lanes)
    for i, rule in enumerate(language("full", 1).productions):
        if not rule.arity:
            continue
        draws = integers(seed + i, "kernel", np.arange(3 * 40 * count), modulus).reshape(3, 40, count)
        draws[:, 0], draws[:, 1], draws[:2, 2] = 0, modulus - 1, 0
        arguments = [x % 2 if sort == "condition" else x for x, sort in zip(draws, rule.arguments, strict=False)]
        result = lanes.unpack(kernels.of(rule)(*(lanes.pack(x) for x in arguments)))
        typed = [x == 1 if s == "condition" else x for x, s in zip(arguments, rule.arguments, strict=True)]
        expected = np.asarray(rule.semantics(carrier, *typed)).astype(np.int64)
        assert (result == expected).all(), rule


def test_a_group_of_any_size_has_its_products():
    for group in (S3, S5, symmetric_group(6)):
        x, y = points(group, 2, 50).T
        lanes = Lanes(50, group.size)
        kernels = Kernels(group, lanes)
        compose, invert = (kernels.of(language("group", 1)[n]) for n in ("compose", "inverse"))
        assert (lanes.unpack(compose(lanes.pack(x[None]), lanes.pack(y[None])))[0] == group.table[x, y]).all()
        assert (lanes.unpack(invert(lanes.pack(x[None])))[0] == group.inverses[x]).all()


@pytest.mark.parametrize(("name", "arity"), [("ring", 2), ("full", 2), ("field", 1), ("group", 3)])
def test_counts_are_the_grammars(name, arity):
    lang = language(name, arity)
    programs, counts = all_programs(lang, 15), program_counts(lang, 15)
    sorts: tuple[Sort, ...] = ("value", "condition")
    for sort in sorts:
        assert [len(x) for x in programs[sort]] == counts[sort]


def test_the_mass_of_programs_by_length_approaches_the_languages_fixed_point():
    counts = program_counts(language("ring", 2), 160)["value"]
    mass = sum(n * 2.0**-bits for bits, n in enumerate(counts))
    # Z = leaves + operators Z²: 5/8 + 3/16 Z²
    assert mass == pytest.approx((1 - (1 - 4 * 0.625 * 3 / 16) ** 0.5) / (2 * 3 / 16), abs=2e-3)
    assert mass == pytest.approx(0.723, abs=2e-3)


def test_budgets_end_at_a_complete_level():
    lang, carrier = language("ring", 2), Residues(59)
    inputs = points(carrier, 2, 16)
    whole = Bank.build(lang, carrier, inputs, max_bits=36)
    by_work = Bank.build(lang, carrier, inputs, max_bits=36, max_programs=20_000)
    assert by_work.stopped == "work"
    assert by_work.candidates <= 20_000
    by_memory = Bank.build(lang, carrier, inputs, max_bits=60, memory_mib=24)
    assert by_memory.stopped == "memory"
    for part in (by_work, by_memory):
        assert 0 < part.deepest < part.max_bits
    assert len(by_work) == sum(whole.bits(i) <= by_work.deepest for i in range(len(whole)))


def test_last_levels_that_do_not_fit_together_are_built_one_by_one(monkeypatch):
    lang, carrier = language("ring", 2), Residues(59)
    inputs = points(carrier, 2, 16)
    monkeypatch.setattr("synth.bank._SMALL", 0)
    monkeypatch.setattr("synth.tiles.BLOCK", 1 << 8)
    monkeypatch.setattr("synth.tiles._CHUNK", 1 << 11)
    monkeypatch.setattr("synth.tiles._LEAST", 1 << 8)
    whole = Bank.build(lang, carrier, inputs, max_bits=30)
    ended: list[tuple[int, int, bool]] = []

    def tight(shelf, low, high, blocks, expected, fits):
        allowed = iter([True] * 4)
        yield from build_levels(
            shelf, low, high, blocks, expected, fits if high == low else lambda more: next(allowed, False)
        )
        ended.append((low, high, shelf.closed == high))

    monkeypatch.setattr("synth.bank.build_levels", tight)
    bank = Bank.build(lang, carrier, inputs, max_bits=30)
    assert (26, 30, False) in ended  # there is nothing of 24 or 25 bits
    assert (30, 30, True) in ended
    assert bank.shelves["value"].offsets == whole.shelves["value"].offsets
    assert all(
        (keys == whole.shelves["value"].levels[bits]).all() for bits, keys in bank.shelves["value"].levels.items()
    )


def test_a_bank_with_nothing_more_to_build_says_so():
    bank = Bank.build(language("ring", 1), Residues(2), np.array([[0], [1]]), max_bits=200)
    assert bank.stopped == "closed"
    assert len(bank) == 4


def test_a_language_of_some_variables_keeps_its_costs():
    lang = language("ring", 3)
    bank = Bank.build(lang.only([1]), Residues(59), points(Residues(59), 3, 8), max_bits=20)
    programs = [bank.program(i) for i in range(len(bank))]
    assert frozenset().union(*(x.variables for x in programs)) == {1}
    assert min(x.bits for x in programs if x.variables) == lang["b"].bits


def test_one_variable_on_every_point():
    carrier = Residues(997)
    inputs = np.arange(997)[:, None]
    bank = Bank.build(language("full", 1), carrier, inputs, max_bits=20)
    found = bank.find(np.stack([inputs[:, 0] ** 3 % 997, (inputs[:, 0] + 2) % 997, (inputs[:, 0] * 123 + 456) % 997]))
    assert found[0] >= 0
    assert str(bank.program(int(found[1]))) in ("a + 2", "2 + a")
    assert found[2] == -1


def test_bad_inputs_are_one_line():
    lang = language("ring", 2)
    with pytest.raises(ValueError, match=r"shape \(points, 2\)"):
        Bank.build(lang, Residues(5), np.zeros((3, 1)), max_bits=9)
    with pytest.raises(ValueError, match=r"elements 0\.\.4"):
        Bank.build(lang, Residues(5), np.full((3, 2), 5), max_bits=9)
    with pytest.raises(ValueError, match="computes on residues"):
        Bank.build(lang, S3, np.zeros((3, 2)), max_bits=9)
    bank = Bank.build(lang, Residues(5), np.zeros((3, 2)), max_bits=9)
    with pytest.raises(ValueError, match=r"shape \(q, 3\)"):
        bank.find(np.zeros((1, 2)))
    with pytest.raises(IndexError):
        bank.program(len(bank))
