"""Circuits: recovered from logits made of them, priced, and claimed only where cosines say more than peaks do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sympy
from data import data, trained
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from nets.circuit import Circuit, evaluated, read_circuit
from nets.claims import Claim, failed_in
from nets.front import cheapest
from nets.law import read_law
from nets.models import FloatArray, architecture, fresh
from synth.carrier import IntArray, Residues
from synth.closed_forms import law_program
from synth.language import default_language
from synth.laws import Law, phi

P = 31


def law_of(basis: str, p: int = P) -> Law:
    carrier = Residues(p)
    if basis == "additive":
        return Law.of(carrier, "additive", (np.arange(p), 3 * np.arange(p) % p))
    return Law.of(carrier, "dlog", (phi(carrier, "dlog"), phi(carrier, "dlog")))


def held_out(p: int = P, share: float = 0.5) -> IntArray:
    cells = np.stack(np.meshgrid(np.arange(p), np.arange(p), indexing="ij"), axis=-1).reshape(-1, 2)
    return cells[np.random.default_rng(3).random(len(cells)) < share]


def logits_of(circuit: Circuit, cells: IntArray, rng: np.random.Generator, alone: float, noise: float) -> FloatArray:
    """The formula as it stands, for each c by itself, with parts of one input and noise."""
    law, p = circuit.law, circuit.law.carrier.modulus
    h = phi(law.carrier, law.basis)
    total = law.tables[0][cells[:, 0]] + law.tables[1][cells[:, 1]]
    said = np.zeros((len(cells), p))
    for k, a, turn in zip(circuit.frequencies, circuit.amplitudes, circuit.phases, strict=True):
        said += a * np.cos(2 * np.pi * k * (total[:, None] - h[None, :]) / law.order + turn)
    said += alone * rng.normal(size=(p, p))[cells[:, 0]] + alone * rng.normal(size=(p, p))[cells[:, 1]]
    return (said + noise * rng.normal(size=said.shape)).astype(np.float32)


@pytest.mark.parametrize("basis", ["additive", "dlog"])
def test_a_circuit_is_recovered_from_its_logits_with_the_parts_of_one_input_apart(basis: str) -> None:
    made = Circuit(law_of(basis), (7, 2, 11), (3.0, 2.0, 1.0), (0.3, -0.2, 0.0))
    found = read_circuit(made.law, held_out(), logits_of(made, held_out(), np.random.default_rng(0), 1.0, 0.05))
    assert found.circuit.frequencies == (7, 2, 11)
    np.testing.assert_allclose(found.circuit.amplitudes, made.amplitudes, atol=0.05)
    np.testing.assert_allclose(found.circuit.phases, made.phases, atol=0.05)
    assert found.claim.interaction > 0.98
    assert found.claim.explained < 0.85, "most of the rest depends on one input alone"
    assert found.inputs_alone == pytest.approx(1 - found.claim.explained, abs=0.05)
    assert found.claimed
    assert found.delta.explained < 0.3


@pytest.mark.parametrize("basis", ["additive", "dlog"])
def test_what_is_found_does_not_depend_on_phases_of_other_cells(basis: str) -> None:
    """The expression, evaluated by sympy, is what the circuit says."""
    circuit = Circuit(law_of(basis, 11), (3, 1), (2.0, 0.5), (0.25, 0.0))
    program = law_program(circuit.law, default_language(Residues(11), 2))
    expression = circuit.expression(program)
    a, b, c = sympy.symbols("a b c")
    h = phi(Residues(11), basis)
    for x, y, z in ((1, 2, 3), (4, 9, 10), (7, 7, 1)):
        here = expression.subs({a: x, b: y, c: z})
        here = here.replace(sympy.Function("dlog"), lambda v: sympy.Integer(int(h[int(v) % 11])))
        s = (h[z] - circuit.law.tables[0][x] - circuit.law.tables[1][y]) % circuit.law.order
        assert float(here) == pytest.approx(float(circuit.classes[s]), abs=1e-6)
    tables = circuit.expression()
    assert {str(f.func) for f in tables.atoms(sympy.core.function.AppliedUndef)} >= {"f", "g"}


def test_a_delta_is_no_circuit() -> None:
    law, cells = law_of("additive"), held_out()
    rng = np.random.default_rng(0)
    logits = 5.0 * np.eye(P)[law.predict(cells)] + 0.3 * rng.normal(size=(len(cells), P))
    found = read_circuit(law, cells, logits.astype(np.float32))
    assert len(found.circuit.frequencies) >= 14
    assert found.circuit.exact
    assert not found.claimed
    assert found.delta.explained > 0.99 * found.claim.explained, "with one number"


def test_the_front_rises_and_prices_what_it_says() -> None:
    made = Circuit(law_of("additive"), (7, 2, 11), (3.0, 2.0, 1.0), (0.3, -0.2, 0.0))
    found = read_circuit(made.law, held_out(), logits_of(made, held_out(), np.random.default_rng(0), 0.0, 0.05))
    bits = [x.bits for x in found.front]
    shares = [x.interaction for x in found.front]
    assert bits == sorted(bits)
    assert shares == sorted(shares)
    best = cheapest(found.front, 0.99)
    assert best is not None
    assert best.frequencies == 3
    assert best.bits == pytest.approx(made.bits(best.precision))
    assert made.bits(4) == pytest.approx(np.log2(15) + np.log2(15 * 14 * 13 / 6) + 24)
    assert cheapest(found.front, 1.1) is None
    assert max(shares) <= 1.0


def test_a_circuits_answers_are_its_argmax() -> None:
    cells = held_out()
    right = Circuit(law_of("dlog"), (1,), (1.0,), (0.0,))
    np.testing.assert_array_equal(evaluated(right, cells), right.law.predict(cells))
    assert right.exact
    turned = Circuit(right.law, (1,), (1.0,), (2 * np.pi / 30,))
    assert not turned.exact
    wrong = evaluated(turned, cells) != turned.law.predict(cells)
    assert (wrong == (cells > 0).all(axis=1)).all()


def test_there_must_be_cells_with_a_class() -> None:
    cells = np.array([[0, 3], [4, 0]])
    with pytest.raises(ValueError, match="no class to any of the cells"):
        read_circuit(law_of("dlog"), cells, np.zeros((2, P), dtype=np.float32))


@pytest.mark.parametrize("name", ["bilinear", "quadratic", "transformer"])
def test_cosines_are_claimed_for_the_transformer_and_not_for_sums_of_all_frequencies(name: str) -> None:
    given = data("a + b", 53, 0.6, 1)
    network, _ = trained(name, given, 1)
    reading = read_law(network, Residues(53), given.held_out, given.inputs, given.labels)
    assert reading is not None
    assert reading.accepted
    assert isinstance(reading.law, Law)
    found = read_circuit(reading.law, given.held_out, network.logits(given.held_out))
    assert (found.claimed_from > 0) is (name == "transformer")
    assert found.claimed_from or found.failed == ("variance", "worst error")
    assert found.circuit.exact
    np.testing.assert_array_equal(evaluated(found.circuit, given.cells), given.cell_labels)


def test_a_claim_is_for_cosines_that_beat_both_rivals_in_both_measures() -> None:
    better, worse = Claim(0.9, 0.95, 2.0, 1.5, 9), Claim(0.5, 0.55, 3.0, 2.5, 9)
    assert failed_in(better, worse, worse) == ()
    assert failed_in(better, worse, better) == ("variance", "worst error")
    assert failed_in(better, replace(worse, interaction=0.95), worse) == ("variance",)
    assert failed_in(better, worse, replace(worse, rest=1.4)) == ("worst error",)
    assert failed_in(better, replace(worse, worst=1.0, explained=1.0)) == (), "parts of one input count for none"


def test_the_scale_of_a_rival_is_no_merit() -> None:
    """Over its own margin a delta's error would come to 2 however wrong it was; the network's is the same for all."""
    made = Circuit(law_of("additive"), (7, 2, 11), (3.0, 2.0, 1.0), (0.0, 0.0, 0.0))
    logits = logits_of(made, held_out(), np.random.default_rng(0), 0.0, 0.05)
    once, louder = (read_circuit(made.law, held_out(), x * logits) for x in (np.float32(1), np.float32(100)))
    for claim in ("claim", "delta", "peaks"):
        assert getattr(once, claim).worst == pytest.approx(getattr(louder, claim).worst, rel=1e-3)
    assert once.claim.worst < 1 < once.delta.worst
    assert once.claimed


@settings(max_examples=25, deadline=None)
@for_all(st.integers(0, 10**6), st.sampled_from(["additive", "dlog"]))
def test_claims_are_what_their_words_say(seed: int, basis: str) -> None:
    """Explained variance and worst error, computed cell by cell."""
    rng = np.random.default_rng(seed)
    made = Circuit(law_of(basis), (3, 5), (2.0, 1.0), (0.2, 0.1))
    cells = held_out()
    logits = logits_of(made, cells, rng, 0.3, 0.2)
    found = read_circuit(made.law, cells, logits)
    law, usual = made.law, (cells > 0).all(axis=1) | (basis == "additive")
    values = logits[usual][:, law.decode].astype(np.float64)
    values -= values.mean(axis=1, keepdims=True)
    total = law.tables[0][cells[usual, 0]] + law.tables[1][cells[usual, 1]]
    said = found.circuit.classes[(np.arange(law.order)[None, :] - total[:, None]) % law.order]
    assert found.claim.explained == pytest.approx(1 - ((values - said) ** 2).sum() / (values**2).sum(), abs=1e-6)
    best = np.sort(logits[usual].astype(np.float64), axis=1)
    half = (best[:, -1] - best[:, -2]) / 2
    assert found.claim.worst == pytest.approx((np.abs(values - said).max(axis=1) / half).max(), rel=1e-3)
    if found.claim.worst < 1:
        np.testing.assert_array_equal(said.argmax(axis=1), values.argmax(axis=1))


def test_the_exact_circuit_of_an_untrained_network_explains_nothing() -> None:
    """Projected on a + b - c anything gives a sum of cosines, even one that is exact by argmax; its claim is empty."""
    cells = held_out(53)
    law = Law.of(Residues(53), "additive", (np.arange(53), np.arange(53)))
    for seed in range(5):
        found = read_circuit(law, cells, fresh(architecture("relu", 53, 2), seed).logits(cells))
        assert found.claim.explained < 0.02
        assert found.profile < 0.02
