"""Laws of what the truncated mixture counts: behaviours with all their derivations, and joins of them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from oracle import all_programs

from synth.bank import Bank
from synth.behaviours import probes
from synth.carrier import Carrier, Residues, symmetric_group
from synth.derivations import Derivations
from synth.joins import Joins
from synth.language import Language, language
from synth.mixture import prior, total_mass
from synth.program import Production, Program

S3, S4 = symmetric_group(3), symmetric_group(4)


def with_a_mean(of: Language) -> Language:
    """A user's language: a production that the exact mixture does not know."""
    mean = Production("mean", 6, lambda c, x, y: (x + y) // 2, "mean({0}, {1})", ("value", "value"), commutes=True)
    return replace(of, name="means", productions=(*of.productions, mean))


CASES: list[tuple[Language, Carrier, int]] = [
    (language("ring", 2), Residues(59), 18),
    (language("ring", 3), Residues(12), 16),
    (language("ring", 1), Residues(257), 18),
    (language("field", 2), Residues(13), 16),
    (language("full", 2), Residues(59), 16),
    (language("full", 4), Residues(10), 14),
    (language("group", 2), S4, 13),
    (language("int", 2), Residues(59), 15),
    (with_a_mean(language("ring", 2)), Residues(59), 18),
]


def name_of(case: tuple[Language, Carrier, int]) -> str:
    return f"{case[0].name}{case[0].arity}-{case[1].name}"


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_every_program_counts_once_and_nothing_weighs_more_than_it_may(case):
    """Masses are at least those of all programs of so many bits, one by one; and both have the same behaviours."""
    of, carrier, bits = case
    found = Derivations(of, carrier, max_bits=bits)
    assert found.deepest == bits
    short: dict[tuple[int, ...], float] = defaultdict(float)
    cheapest: dict[tuple[int, ...], int] = {}
    for program in (x for programs in programs_of(of, bits) for x in programs):
        behaviour = tuple(program.evaluate(found.inputs, carrier).tolist())
        short[behaviour] += 2.0**-program.bits
        cheapest.setdefault(behaviour, program.bits)
    packed, words = found.evaluate(np.arange(len(found)), found.inputs)
    behaviours = [tuple(int(v) for v in row) for row in packed.values(words)]
    assert len(set(behaviours)) == len(behaviours) == len(short)
    masses = found.behaviours["value"].masses
    for i, behaviour in enumerate(behaviours):
        assert masses[i] >= short[behaviour] * (1 - 1e-12)
        assert found.behaviours["value"].bits[i] == cheapest[behaviour] == found.program(i).bits
    assert found.total < total_mass(of)
    assert sum(short.values()) < found.total


def programs_of(of: Language, bits: int) -> list[list[Program]]:
    if not of.integers:
        return all_programs(of, bits)["value"]
    from synth.integers import literal, literals_of

    literals = tuple(literal(v) for c in range(bits + 1) for v in literals_of(c))
    return all_programs(replace(of, productions=(*of.productions, *literals)), bits)["value"]


@pytest.mark.parametrize("name", ["ring", "field", "full"])
@pytest.mark.parametrize("p", [5, 7])
def test_masses_are_below_the_exact_ones_and_get_there(name, p):
    of, inputs = language(name, 2), probes(Residues(p), 2)[[3, 8, 13]]
    exact = prior(of, Residues(p), inputs).masses[0]
    missing = []
    for most in (1 << 8, 1 << 12, 1 << 16):
        found = Derivations(of, Residues(p), inputs=inputs, most_candidates=most)
        packed, words = found.evaluate(np.arange(len(found)), inputs)
        above = found.behaviours["value"].masses - exact[tuple(packed.values(words).astype(int).T)]
        assert above.max() < 1e-13
        missing.append(total_mass(of) - found.total)
    assert missing[0] > missing[1] > missing[2] > 0


@pytest.mark.parametrize("name", ["ring", "full"])
def test_behaviours_are_those_of_the_bank(name):
    of, carrier = language(name, 2), Residues(59)
    found = Derivations(of, carrier, max_bits=22)
    bank = Bank.build(of, carrier, found.inputs, max_bits=22)
    assert len(bank) == len(found)
    assert [bank.bits(i) for i in range(len(bank))] == found.behaviours["value"].bits.tolist()


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_values_anywhere_are_those_of_the_cheapest_program(case):
    of, carrier, bits = case
    found, rng = Derivations(of, carrier, max_bits=bits), np.random.default_rng(0)
    inputs = rng.integers(0, carrier.size, (11, of.arity))
    chosen = np.sort(rng.choice(len(found), min(60, len(found)), replace=False))
    packed, words = found.evaluate(chosen, inputs)
    for i, row in zip(chosen.tolist(), packed.values(words), strict=True):
        np.testing.assert_array_equal(row, found.program(i).evaluate(inputs, carrier))


def test_the_work_is_kept_to_whole_levels():
    of, carrier = language("full", 2), Residues(59)
    sizes = [Derivations(of, carrier, most_candidates=most) for most in (1 << 10, 1 << 13, 1 << 16)]
    assert all(x.candidates <= most for x, most in zip(sizes, (1 << 10, 1 << 13, 1 << 16), strict=True))
    assert sizes[0].deepest < sizes[1].deepest < sizes[2].deepest
    assert Derivations(of, carrier, memory_mib=1).candidates <= 2**20 // 100


def test_a_language_is_asked_for_its_own_carrier():
    with pytest.raises(ValueError, match="no programs on S3"):
        Derivations(language("ring", 2), S3)
    with pytest.raises(ValueError, match=r"\(points, 2\)"):
        Derivations(language("ring", 2), Residues(7), inputs=np.zeros((3, 3), dtype=np.int64))


JOINED: list[tuple[Language, Carrier, int]] = [
    (language("ring", 2), Residues(7), 14),
    (language("ring", 2), Residues(59), 14),
    (language("field", 2), Residues(7), 13),
    (language("full", 2), Residues(13), 12),
    (language("group", 2), S3, 9),
    (language("ring", 2), Residues(12), 14),
]


@pytest.mark.parametrize("case", JOINED, ids=name_of)
@pytest.mark.parametrize("count", [1, 2, 4])
def test_joins_are_the_pairs_beyond(case, count):
    """Against all pairs, one by one. Where labels are not 0 and the modulus is prime none may be left out."""
    of, carrier, bits = case
    found, rng = Derivations(of, carrier, max_bits=bits), np.random.default_rng(count)
    joins, masses, costs = Joins(found), found.behaviours["value"].masses, found.behaviours["value"].bits
    inputs = rng.integers(0, carrier.size, (count, 2))
    packed, words = found.evaluate(np.arange(len(found)), inputs)
    values = packed.values(words).astype(np.int64)
    solved = {x.name for x in of.of_sort("value") if x.arity and (x.arity == 1 or None not in x.inverses)}
    solved -= {"if", "min", "max"}
    for labels in (values[len(found) // 3], rng.integers(0, carrier.size, count), np.zeros(count, dtype=np.int64)):
        total = 0.0
        for rule in (of[x] for x in sorted(solved)):
            if rule.arity == 1:
                hit = (np.asarray(rule.semantics(carrier, values)) == labels).all(axis=1)
                total += 2.0**-rule.bits * masses[hit & (costs + rule.bits > found.deepest)].sum()
                continue
            hit = (np.asarray(rule.semantics(carrier, values[:, None], values[None])) == labels).all(axis=2)
            hit &= costs[:, None] + costs + rule.bits > found.deepest
            total += 2.0**-rule.bits * (np.outer(masses, masses) * hit).sum()
        counted, pairs = joins.look_up(values, labels, 1 << 20)
        assert pairs is not None
        assert counted == pytest.approx(sum(x.masses.sum() for x in pairs), rel=1e-9)
        assert counted <= total * (1 + 1e-9)
        complete = carrier.kind == "group" or (labels.all() and carrier.size != 12)
        if complete:
            assert counted == pytest.approx(total, rel=1e-9)
        for x in pairs:
            made = x.rule.semantics(carrier, *(values[i] for i in x.arguments))
            np.testing.assert_array_equal(made, np.broadcast_to(labels, np.shape(made)))


def test_all_joins_together_are_what_their_labels_sum_to():
    of, carrier = language("group", 2), S3
    found = Derivations(of, carrier, max_bits=9)
    joins = Joins(found)
    packed, words = found.evaluate(np.arange(len(found)), np.array([[1, 4]]))
    values = packed.values(words)
    assert sum(joins.mass(values, np.array([label])) for label in range(6)) == pytest.approx(joins.total)


def test_too_many_pairs_are_not_listed():
    of, carrier = language("ring", 2), Residues(7)
    found = Derivations(of, carrier, max_bits=14)
    packed, words = found.evaluate(np.arange(len(found)), np.array([[1, 4]]))
    mass, pairs = Joins(found).look_up(packed.values(words), np.array([5]), 10)
    assert pairs is None
    assert mass == Joins(found).mass(packed.values(words), np.array([5])) > 0
