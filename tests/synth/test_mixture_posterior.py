"""Laws of the mixture after some labels: a measure, below the exact one, whose code is a code and a short one."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import product
from math import log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.carrier import Carrier, IntArray, Residues, symmetric_group
from synth.derivations import Derivations
from synth.draws import permutation
from synth.language import Language, language
from synth.mixture import prior, total_mass
from synth.parse import parse
from synth.posterior import Posterior
from synth.program import Production
from synth.sample import draw_program

S3 = symmetric_group(3)


def with_a_mean(of: Language) -> Language:
    mean = Production("mean", 6, lambda c, x, y: (x + y) // 2, "mean({0}, {1})", ("value", "value"), commutes=True)
    return replace(of, name="means", productions=(*of.productions, mean))


CASES: dict[str, tuple[Language, Carrier]] = {
    "ring": (language("ring", 2), Residues(59)),
    "ring3": (language("ring", 3), Residues(11)),
    "field": (language("field", 2), Residues(13)),
    "full": (language("full", 2), Residues(59)),
    "full1": (language("full", 1), Residues(59)),
    "full4": (language("full", 4), Residues(7)),
    "composite": (language("full", 2), Residues(12)),
    "group": (language("group", 2), S3),
    "int": (language("int", 2), Residues(13)),
    "user's": (with_a_mean(language("ring", 2)), Residues(17)),
}


@cache
def counted(name: str) -> Derivations:
    of, carrier = CASES[name]
    return Derivations(of, carrier, most_candidates=1 << 12)


def cells_of(carrier: Carrier, arity: int, count: int, seed: int) -> IntArray:
    chosen = permutation(seed, "cells", min(carrier.size**arity, 1 << 16))[:count]
    return np.stack(np.unravel_index(chosen, (carrier.size,) * arity), axis=1)


def random_labels(size: int, count: int, seed: int) -> IntArray:
    return np.random.default_rng(seed).integers(0, size, count)


@given(st.sampled_from(["ring", "ring3", "field", "full", "full1"]), st.integers(0, 10**6), st.booleans())
@settings(max_examples=30, deadline=None)
def test_truncated_masses_are_below_exact_ones(name, seed, meant):
    of, carrier = CASES[name]
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 3))
    inputs = cells_of(carrier, of.arity, count, seed)
    labels = random_labels(carrier.size, count, seed)
    if meant:
        labels = draw_program(of, int(rng.integers(8, 40)), 4, seed, every_variable=False).evaluate(inputs, carrier)
    posterior = Posterior(counted(name), exact_points=0)
    posterior.observe(inputs, labels)
    mass = 2**posterior.log2_mass * (1 - posterior.residual) * total_mass(of)
    assert mass <= prior(of, carrier, inputs).masses[(0, *labels.tolist())] + 1e-12


@given(st.sampled_from(sorted(CASES)), st.integers(0, 10**6), st.sampled_from([0, None]))
@settings(max_examples=30, deadline=None)
def test_no_labels_cost_more_than_the_bits_of_a_program_that_counts(name, seed, exact):
    """At every length of the stream. One that counts has at most ``deepest`` bits, and the values of its behaviour's
    cheapest program."""
    of, carrier = CASES[name]
    deepest = counted(name).deepest
    program = draw_program(of, min(deepest - 3, 6 + seed % deepest), 3, seed, every_variable=False)
    inputs = cells_of(carrier, of.arity, 80, seed)
    labels = program.evaluate(inputs, carrier)
    if (labels < 0).any() or (labels >= carrier.size).any():
        return  # a program on integers without labels
    found = counted(name).find(program.evaluate(counted(name).inputs, carrier)[None])
    assert found[0] >= 0
    if (counted(name).program(int(found[0])).evaluate(inputs, carrier) != labels).any():
        return  # it differs where the probes do not show it
    costs = np.cumsum(Posterior(counted(name), exact_points=exact).observe(inputs, labels))
    assert (costs <= program.bits + log2(total_mass(of)) + 1e-6).all()


@given(st.sampled_from([("ring", "+"), ("ring", "-"), ("group", "compose")]), st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_no_labels_cost_more_than_the_bits_of_a_join(case, seed):
    """Of any two behaviours, by a production whose inverses see all: up to twice the bits that the derivations have."""
    name, joined = case
    of, carrier = CASES[name]
    rng, found = np.random.default_rng(seed), counted(name)
    program = of.make(joined, *(found.program(int(i)) for i in rng.integers(0, len(found), 2)))
    inputs = cells_of(carrier, 2, 60, seed)
    costs = np.cumsum(Posterior(found).observe(inputs, program.evaluate(inputs, carrier)))
    assert (costs <= program.bits + log2(total_mass(of)) + 1e-6).all()


def test_programs_far_deeper_than_the_derivations_count():
    of, carrier = CASES["full"]
    program = parse("a*a*b + (b*b + a)", of)
    inputs = cells_of(carrier, 2, 200, 1)
    short = counted("full")
    assert program.bits > short.deepest
    costs = Posterior(short).observe(inputs, program.evaluate(inputs, carrier)).sum()
    assert costs < 1.5 * program.bits
    assert Posterior(short, joins=False).observe(inputs, program.evaluate(inputs, carrier)).sum() > 1000


@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_random_labels_cost_what_the_residual_bounds(name, noise):
    """No more than the uniform code and -log2 of the residual's share, and not much less than the uniform code."""
    of, carrier = CASES[name]
    inputs = cells_of(carrier, of.arity, 300, 0)
    labels = random_labels(carrier.size, len(inputs), 5)
    start = Posterior(counted(name), noise=noise, exact_points=0)
    costs = start.online(inputs, labels)
    uniform = len(inputs) * log2(carrier.size)
    assert uniform - 20 < costs.sum() <= uniform - log2(start.residual) + 1e-6


@pytest.mark.parametrize(("name", "p"), [("ring", 3), ("full", 3), ("full", 4), ("group", 6)])
@pytest.mark.parametrize("noise", [0.0, 0.25])
@pytest.mark.parametrize("exact", [0, 2])
def test_it_is_a_code(name, p, noise, exact):
    """Kraft: 2^-cost of all lists of labels sum to at most 1, and to 1 but for what inverses do not see."""
    carrier = Residues(p) if name != "group" else S3
    derivations = Derivations(language(name, 2), carrier, most_candidates=1 << 9)
    inputs, count = np.array([[1, 2], [0, 2], [2, 2], [1, 1]]), 4 if p == 3 else 2
    start = Posterior(derivations, noise=noise, exact_points=exact)
    total = 0.0
    for labels in product(range(p), repeat=count):
        total += 2.0 ** -start.online(inputs[:count], np.array(labels)).sum()
    assert 0.97 < total <= 1 + 1e-9


@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_no_label_counts_before_it_is_seen(name, noise):
    """Permuting the labels after t leaves the first t costs unchanged; so does leaving them out."""
    of, carrier = CASES[name]
    inputs = cells_of(carrier, of.arity, 40, 2)
    labels = draw_program(of, 10, 3, 1, every_variable=False).evaluate(inputs, carrier) % carrier.size
    start = Posterior(counted(name), noise=noise)
    whole = start.online(inputs, labels)
    for t in (0, 1, 2, 3, 5, 20):
        later = labels.copy()
        later[t:] = np.random.default_rng(t).permutation(labels[t:])
        np.testing.assert_array_equal(Posterior(counted(name), noise=noise).online(inputs, later)[:t], whole[:t])
        np.testing.assert_allclose(start.online(inputs[:t], labels[:t]), whole[:t], atol=1e-9)


@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_labels_may_come_in_parts(name, noise):
    of, carrier = CASES[name]
    inputs = cells_of(carrier, of.arity, 60, 3)
    labels = draw_program(of, 10, 3, 2, every_variable=False).evaluate(inputs, carrier) % carrier.size
    whole = Posterior(counted(name), noise=noise)
    costs = whole.observe(inputs, labels)
    for cut in (1, 3, 4, 30):
        parts = Posterior(counted(name), noise=noise)
        parts.observe(inputs[:cut], labels[:cut], each=False)
        rest = parts.online(inputs[cut:], labels[cut:])
        np.testing.assert_allclose(rest, costs[cut:], atol=1e-6)
        assert parts.log2_mass == pytest.approx(-costs[:cut].sum(), abs=1e-6)
        parts.observe(inputs[cut:], labels[cut:])  # which ``online`` did not do
        shown = np.exp(parts.predictive(inputs[:5])), np.exp(whole.predictive(inputs[:5]))
        np.testing.assert_allclose(*shown, atol=1e-9)


@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.parametrize("noise", [0.0, 0.1])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 6, 40])
def test_predictions_are_probabilities(name, noise, n):
    of, carrier = CASES[name]
    inputs = cells_of(carrier, of.arity, 60, 4)
    labels = draw_program(of, 10, 3, 4, every_variable=False).evaluate(inputs, carrier) % carrier.size
    posterior = Posterior(counted(name), noise=noise)
    posterior.observe(inputs[:n], labels[:n])
    found = posterior.predictive(inputs)
    assert found.shape == (len(inputs), carrier.size)
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1.0)
    assert 0 <= posterior.residual <= 1
    best = posterior.predictions(inputs)
    np.testing.assert_allclose(found[np.arange(len(inputs)), best], found.max(axis=1))


@pytest.mark.parametrize(
    ("name", "text"), [("full", "a + b"), ("ring", "a*b"), ("composite", "a - b"), ("group", "a*b")]
)
@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_it_finds_what_the_labels_say(name, text, noise):
    of, carrier = CASES[name]
    program = parse(text, of)
    inputs = cells_of(carrier, 2, 36, 6)
    truth = program.evaluate(inputs, carrier)
    wrong = np.random.default_rng(1).random(36) < noise
    labels = np.where(wrong, (truth + 1) % carrier.size, truth)
    posterior = Posterior(counted(name), noise=noise)
    posterior.observe(inputs[:30], labels[:30])
    np.testing.assert_array_equal(posterior.predictions(inputs), truth)
    found = posterior.map_program
    assert found is not None
    np.testing.assert_array_equal(found.evaluate(inputs, carrier), truth)
    assert posterior.residual < 1e-3


@pytest.mark.parametrize("name", ["ring", "composite", "int"])
def test_where_all_that_counts_is_dead_every_value_is_as_likely(name):
    carrier = CASES[name][1]
    inputs, labels = cells_of(carrier, 2, 60, 7), random_labels(carrier.size, 60, 8)
    posterior = Posterior(counted(name))
    posterior.observe(inputs[:50], labels[:50])
    assert posterior.map_program is None
    assert posterior.residual == pytest.approx(1)
    np.testing.assert_allclose(posterior.predictive(inputs[50:]), -np.log(carrier.size))
    np.testing.assert_allclose(posterior.online(inputs[50:], labels[50:]), log2(carrier.size))


def test_the_exact_mixture_codes_the_first_labels():
    of, carrier = CASES["full"]
    inputs, labels = cells_of(carrier, 2, 2, 9), np.array([7, 50])
    exact = prior(of, carrier, inputs).masses[0]
    expected = [-log2(exact[7].sum() / total_mass(of)), -log2(exact[7, 50] / exact[7].sum())]
    posterior = Posterior(counted("full"))
    assert posterior.exact_points == 2
    np.testing.assert_allclose(posterior.observe(inputs, labels), expected, atol=1e-9)
    assert Posterior(counted("composite")).exact_points == 0


def test_a_contradiction_leaves_nothing_but_the_residual():
    posterior = Posterior(counted("ring"))
    posterior.observe(np.array([[1, 2]] * 8), np.array([3, 4, 3, 4, 3, 4, 3, 4]))
    assert posterior.residual == pytest.approx(1)
    assert np.isfinite(posterior.log2_mass)


def test_what_cannot_be_taken_in_is_told():
    posterior = Posterior(counted("ring"))
    with pytest.raises(ValueError, match="every label"):
        posterior.observe(np.array([[1, 2]]), np.array([59]))
    with pytest.raises(ValueError, match=r"shape \(t, 2\)"):
        posterior.observe(np.array([[1, 2, 3]]), np.array([5]))
    with pytest.raises(ValueError, match="noise"):
        Posterior(counted("ring"), noise=1.0)


def sums_alone(arity: int) -> Language:
    """Inputs and their sums: no program has other labels at (0, 0) than 0."""
    ring = language("ring", arity)
    kept = [x for x in ring.productions if x.name == "+" or x.variable is not None]
    return replace(ring, name="sums", productions=tuple(kept))


@pytest.mark.parametrize("modulus", [5, 6])
def test_labels_that_no_program_has_are_coded_evenly(modulus):
    """Where the exact mixture has no mass left, rounding is no evidence: what follows costs the uniform code."""
    carrier = Residues(modulus)
    derivations = Derivations(sums_alone(2), carrier, most_candidates=2000)
    cells = np.array([[0, 0], [1, 2], [0, 3], [2, 2]])
    for first in range(modulus):
        posterior = Posterior(derivations, exact_points=2)
        posterior.observe(cells[:1], np.array([first]))
        costs = [float(posterior.online(cells[1:2], np.array([y]))[0]) for y in range(modulus)]
        assert sum(2.0**-x for x in costs) <= 1 + 1e-9
        if first:
            assert costs == pytest.approx([log2(modulus)] * modulus, abs=1e-6)
    whole = [
        Posterior(derivations, exact_points=2).observe(cells[:3], np.array(labels)).sum()
        for labels in product(range(modulus), repeat=3)
    ]
    assert sum(2.0**-x for x in whole) <= 1 + 1e-9


def test_counting_goes_on_until_it_adds_nothing():
    """Behaviours have derivations through one another at any depth: where all are there, all mass is counted."""
    derivations = Derivations(language("full", 2), Residues(2), most_candidates=1 << 14)
    assert derivations.total == pytest.approx(total_mass(language("full", 2)), abs=1e-6)


@pytest.mark.parametrize("name", ["full", "ring3", "group", "int"])
@pytest.mark.parametrize("taken", [0, 2, 5])
def test_what_is_remembered_is_what_would_be_reckoned(name: str, taken: int) -> None:
    """Of lists of further labels that begin alike; and of none that were asked for before labels were taken in."""
    of, carrier = CASES[name]
    inputs = cells_of(carrier, of.arity, 24, seed=3)
    labels = parse("a*b" if carrier is S3 else "a + b", of).evaluate(inputs, carrier) % carrier.size
    asked = Posterior(counted(name))
    asked.online(inputs, labels)
    asked.observe(inputs[:taken], labels[:taken])
    for cut, shift in ((24, 0), (12, 0), (12, 1), (24, 0), (9, 3)):
        later = np.append(labels[taken : cut - 1], (labels[cut - 1] + shift) % carrier.size)
        fresh = Posterior(counted(name))
        fresh.observe(inputs[:taken], labels[:taken])
        expected = fresh.online(inputs[taken:cut], later)
        np.testing.assert_array_equal(asked.online(inputs[taken:cut], later), expected)
