"""Laws of the languages: prices are probabilities, meanings stay in the carrier, inverses invert."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from synth.carrier import Carrier, Residues, symmetric_group
from synth.language import MAX_ARITY, Language, default_language, language, language_names
from synth.program import ANY, NONE, Production, Program

NAMES = (*language_names("residues"), *language_names("group"))
ALL = [language(name, arity) for name in NAMES for arity in range(1, MAX_ARITY + 1)]
CARRIERS: list[Carrier] = [Residues(2), Residues(7), Residues(11), Residues(12), symmetric_group(3)]
RULES = [
    pytest.param(carrier, production, id=f"{carrier.name}-{production.name}")
    for carrier in CARRIERS
    for production in default_language(carrier, 2).productions
    if production.variable is None
]


@pytest.mark.parametrize("of", ALL, ids=lambda x: f"{x.name}-{x.arity}")
def test_probabilities_sum_to_at_most_one(of: Language) -> None:
    assert 0 < of.mass("value") <= 1
    assert of.mass("condition") <= 1


def test_the_mass_of_ring_is_the_documented_one() -> None:
    """Z solves Z = leaves + Z² * operators: .723 of the mass is on finite programs of ring with two inputs."""
    of = language("ring", 2)
    leaves = sum(2.0**-x.bits for x in of.productions if x.arity == 0)
    operators = sum(2.0**-x.bits for x in of.productions if x.arity == 2)
    total = (1 - (1 - 4 * operators * leaves) ** 0.5) / (2 * operators)
    assert total == pytest.approx(0.723, abs=5e-4)


def test_a_production_costs_the_same_in_every_language_that_holds_it() -> None:
    for arity in range(1, MAX_ARITY + 1):
        costs: dict[tuple[str, str], int] = {}
        for name in NAMES:
            of = language(name, arity)
            for production in of.productions:
                assert costs.setdefault((of.kind, production.name), production.bits) == production.bits


def test_variables_cost_one_bit_and_their_choice() -> None:
    assert [language("full", arity)["a"].bits for arity in (1, 2, 3, 4)] == [1, 2, 3, 3]


def _values(carrier: Carrier, production: Production) -> list[np.ndarray]:
    ranges = [range(carrier.size) if x == "value" else (False, True) for x in production.arguments]
    return [np.array(x) for x in zip(*itertools.product(*ranges), strict=True)]


@pytest.mark.parametrize(("carrier", "production"), RULES)
def test_meanings_stay_in_the_carrier(carrier: Carrier, production: Production) -> None:
    result = np.asarray(production.semantics(carrier, *_values(carrier, production)))
    if production.sort == "condition":
        assert result.dtype == np.bool_
    else:
        assert np.issubdtype(result.dtype, np.integer)
        assert ((result >= 0) & (result < carrier.size)).all()


@pytest.mark.parametrize(("carrier", "production"), [x for x in RULES if x.values[1].arity == 2])
def test_what_commutes_is_what_says_so(carrier: Carrier, production: Production) -> None:
    x, y = _values(carrier, production)
    swapped = production.semantics(carrier, y, x)
    if production.commutes:
        assert np.array_equal(production.semantics(carrier, x, y), swapped)
    elif carrier.size > 2:
        assert not np.array_equal(production.semantics(carrier, x, y), swapped)


@pytest.mark.parametrize(("carrier", "production"), [x for x in RULES if any(x.values[1].inverses)])
def test_inverses_solve(carrier: Carrier, production: Production) -> None:
    """Over a field or a group the inverse finds the only solution, or knows that all or none solve."""
    everything = np.arange(carrier.size)
    field = not isinstance(carrier, Residues) or carrier.is_prime
    for place, inverse in enumerate(production.inverses):
        if inverse is None:
            continue
        for result, other in itertools.product(range(carrier.size), everything if production.arity == 2 else [0]):
            found = int(inverse(carrier, np.array([result]), np.array([other]))[0])
            arguments = [everything] if production.arity == 1 else [np.full_like(everything, other)] * 2
            arguments[place] = everything
            solutions = np.flatnonzero(production.semantics(carrier, *arguments) == result).tolist()
            if found == ANY:
                assert solutions == everything.tolist(), (result, other, place)
            elif found == NONE:
                assert solutions == [] or not field, (result, other, place)
            else:
                assert found in solutions, (result, other, place)
                assert solutions == [found] or not field, (result, other, place)


def test_programs_price_and_print_as_documented() -> None:
    of = language("full", 2)
    a, b = of.variable(0), of.variable(1)
    program = of.make("if", of.make("odd", b), of.make("/", a, b), of.make("-", a, b))
    assert str(program) == "a/b if odd(b) else a - b"
    assert program.bits == 6 + 1 + 2 + (5 + 4) + (4 + 4)
    assert program.size == 9
    assert program.variables == {0, 1}
    assert of.holds(program)
    assert not language("ring", 2).holds(program)
    assert [str(x) for x in of.make("neg", of.make("*", a, b)).nodes()] == ["-(a*b)", "a*b", "a", "b"]


def test_programs_are_equal_by_their_tree() -> None:
    ring, full = language("ring", 2), language("full", 2)
    assert ring.make("+", ring.variable(0), ring.variable(1)) == full.make("+", full.variable(0), full.variable(1))
    assert ring.make("+", ring.variable(0), ring.variable(1)) != ring.make("+", ring.variable(1), ring.variable(0))


def test_a_wrong_tree_cannot_be_made() -> None:
    of = language("full", 2)
    a = of.variable(0)
    with pytest.raises(ValueError, match=r"\+ takes 2 arguments, got 1"):
        Program(of["+"], (a,))
    with pytest.raises(ValueError, match="if takes a condition, got the value a"):
        of.make("if", a, a, a)


def test_unknown_languages_name_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'field'"):
        language("feild", 2)
    with pytest.raises(ValueError, match="1 to 4 inputs, got 5"):
        language("ring", 5)
    with pytest.raises(KeyError, match="no production '/'"):
        language("ring", 2)["/"]
    coins = tuple(Production(name, 1, lambda c: 0, name) for name in "xyz")
    with pytest.raises(ValueError, match=r"Language greedy: .* sum to 1.5 > 1"):
        Language("greedy", "residues", 1, coins)
