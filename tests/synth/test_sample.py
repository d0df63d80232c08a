"""Laws of random programs and of the ladder's certificate."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from oracle import all_programs, cheapest_by_behaviour

from synth.bank import Bank
from synth.carrier import Residues, symmetric_group
from synth.language import language
from synth.parse import parse
from synth.sample import depends_on, draw_program, hashed_points, ladder_program, lower_bound


def test_draws_of_one_length_are_uniform():
    lang = language("ring", 1)
    programs = all_programs(lang, 14)["value"][14]
    drawn = Counter(str(draw_program(lang, 14, 0, 0, every_variable=False, skip=i)) for i in range(30 * len(programs)))
    assert set(drawn) == {str(x) for x in programs}
    # 30 expected of each; Poisson's tail beyond 5 standard deviations is under 1e-4 in all
    assert max(abs(x - 30) for x in drawn.values()) < 5 * 30**0.5


@pytest.mark.parametrize(("name", "arity", "bits"), [("ring", 2, 40), ("full", 3, 50), ("group", 2, 30)])
def test_a_drawn_program_has_its_length_and_every_input(name, arity, bits):
    lang = language(name, arity)
    for seed in range(10):
        program = draw_program(lang, bits, 2, seed)
        assert abs(program.bits - bits) <= 2
        assert program.variables == set(range(arity))
        assert lang.holds(program)
        assert program == draw_program(lang, bits, 2, seed)


def test_an_impossible_length_is_one_line():
    with pytest.raises(ValueError, match="no program of 1 ± 0 bits"):
        draw_program(language("ring", 2), 1, 0, 0)
    with pytest.raises(ValueError, match="mentions every input"):
        draw_program(language("ring", 4), 5, 0, 0)


def test_dependence_is_seen_and_its_absence_too():
    lang, carrier = language("ring", 2), Residues(59)
    assert depends_on(parse("a*b + 1", lang), carrier) == {0, 1}
    assert depends_on(parse("b - b + a", lang), carrier) == {0}
    conjugate = parse("a*b*inv(a)*a*inv(b)*inv(a)", language("group", 2), functions=True)
    assert depends_on(conjugate, symmetric_group(4)) == frozenset()


def test_a_lower_bound_is_below_every_equivalent():
    lang, carrier = language("ring", 2), Residues(5)
    domain = np.array([(x, y) for x in range(5) for y in range(5)])
    shortest = cheapest_by_behaviour(lang, carrier, domain, 20)
    bank = Bank.build(lang, carrier, hashed_points(carrier, 2), max_bits=16)
    bounded = 0
    for skip in range(60):
        program = draw_program(lang, 24, 4, 1, skip=skip, every_variable=False)
        bound = lower_bound(program, bank)
        best = shortest.get(tuple(program.evaluate(domain, carrier).tolist()))
        if bound is None:
            assert best is None or best <= 16
        else:
            bounded += 1
            assert best is None or best >= bound == 17
    assert bounded > 5


@pytest.mark.parametrize("modulus", [59, 60, 257])
def test_a_ladder_program_is_deterministic_and_bounded(modulus):
    carrier = Residues(modulus)
    program, bound, name = ladder_program(carrier, bits=40, seed=7, floor=30)
    assert (program, bound, name) == ladder_program(carrier, bits=40, seed=7, floor=30)
    assert abs(program.bits - 40) <= 2
    assert (bound, name) == (31, "full")
    assert depends_on(program, carrier) == {0, 1}
    assert ladder_program(carrier, bits=40, seed=8, floor=30)[0] != program
    assert ladder_program(carrier, bits=20, seed=7, floor=30)[1] == 18


def test_a_ladder_that_cannot_be_is_one_line():
    with pytest.raises(ValueError, match="short equivalent"):
        ladder_program(Residues(2), bits=40, seed=0, floor=30)
