"""Classes of several cyclic groups: characters, shifts, and circuits of product laws recovered from their logits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sympy
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from nets.circuit import Circuit, evaluated, read_circuit
from nets.cycles import Cycles
from nets.dual import Dual
from nets.keys import loudest_keys
from nets.models import FloatArray
from synth.carrier import IntArray, Residues
from synth.factored import cycles
from synth.language import default_language
from synth.laws import Law, phi
from synth.parse import parse
from synth.products import Part, ProductLaw, prime_powers

Seed = st.integers(0, 10**6)


def grid(m: int) -> IntArray:
    return np.stack(np.meshgrid(np.arange(m), np.arange(m), indexing="ij"), axis=-1).reshape(-1, 2)


def law_of(m: int, operations: str, offset: int = 0) -> ProductLaw:
    """a and b added or multiplied modulo each factor of m."""
    parts = [
        Part(q, "+" if x == "+" else "*", (np.arange(m) % q,) * 2)
        for q, x in zip(prime_powers(m), operations, strict=True)
    ]
    return ProductLaw(Residues(m), tuple(parts), offset)


LAWS = [law_of(15, "**"), law_of(15, "+*", 4), law_of(35, "**"), law_of(24, "*+"), law_of(60, "**+", 7), law_of(9, "*")]


def logits_of(circuit: Circuit, cells: IntArray, rng: np.random.Generator, noise: float) -> FloatArray:
    """Cosines class by class where cells and answers have one, and whatever elsewhere."""
    seen = circuit.cycles
    entries, usual = seen.entries(cells)
    said = 5.0 * rng.normal(size=(len(cells), circuit.law.carrier.modulus))
    elements = np.stack(np.unravel_index(np.arange(seen.size), seen.orders))
    for n in np.flatnonzero(usual):
        off = elements - entries[:, :, n].sum(axis=0)[:, None]
        said[n, seen.decode] = 0.0
        for k, a, turn in zip(circuit.frequencies, circuit.amplitudes, circuit.phases, strict=True):
            angle = sum(x * y / order for x, y, order in zip(np.atleast_1d(k), off, seen.orders, strict=True))
            said[n, seen.decode] += a * np.cos(-2 * np.pi * angle + turn)
    return (said + noise * rng.normal(size=said.shape)).astype(np.float32)


@pytest.mark.parametrize("law", LAWS, ids=lambda x: x.basis)
def test_the_law_is_the_sum_of_its_exponents(law: ProductLaw) -> None:
    seen, cells = Cycles.of(law), grid(law.carrier.modulus)
    entries, usual = seen.entries(cells)
    np.testing.assert_array_equal(seen.decode[seen.number(entries[:, :, usual].sum(axis=0))], law.predict(cells[usual]))
    assert seen.size == len(np.unique(seen.decode))
    assert seen.keys.tolist() == [list(k) for k in Dual(law).keys]
    assert 1 + seen.weights.sum() == seen.size
    waves = np.concatenate([np.ones((seen.size, 1)), seen.turns.real, seen.turns.imag], axis=1)
    gram = waves.T @ waves
    np.testing.assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-9)


@settings(max_examples=30, deadline=None)
@for_all(Seed, st.sampled_from(LAWS))
def test_functions_have_their_spectrum_and_shifts_are_undone(seed: int, law: ProductLaw) -> None:
    seen, rng = Cycles.of(law), np.random.default_rng(seed)
    function, total = rng.normal(size=seen.size), rng.integers(0, seen.size, 9)
    np.testing.assert_allclose(seen.function(seen.spectrum(function)), function - function.mean(), atol=1e-9)
    moved = seen.moved(function, total)
    np.testing.assert_array_equal(seen.aligned(moved, total), np.tile(function, (9, 1)))
    assert (moved[np.arange(9), total] == function[0]).all()


@settings(max_examples=30, deadline=None)
@for_all(Seed, st.sampled_from([5, 12, 13]))
def test_one_cycle_is_what_several_would_be(seed: int, n: int) -> None:
    """The quick ways of a single cyclic group against the tables of all others."""
    rng = np.random.default_rng(seed)
    one = Cycles.of(Law.of(Residues(n), "additive", (np.arange(n),) * 2))
    two = Cycles((n, 1), one.decode, tuple(np.concatenate([x, 0 * x]) for x in one.tables))
    assert [k for k, _ in two.keys.tolist()] == one.keys[:, 0].tolist()
    function, total = rng.normal(size=n), rng.integers(0, n, 7)
    np.testing.assert_allclose(one.spectrum(function), two.spectrum(function), atol=1e-9)
    np.testing.assert_allclose(one.function(one.spectrum(function)), two.function(two.spectrum(function)), atol=1e-9)
    np.testing.assert_array_equal(one.moved(function, total), two.moved(function, total))
    rows = rng.normal(size=(7, n))
    np.testing.assert_array_equal(one.aligned(rows, total), two.aligned(rows, total))


@pytest.mark.parametrize(("law", "keys"), [(LAWS[2], ((1, 2), (0, 3), (2, 1))), (LAWS[1], ((1, 1), (0, 2)))])
def test_a_circuit_of_a_product_law_is_recovered_from_its_logits(
    law: ProductLaw, keys: tuple[tuple[int, ...], ...]
) -> None:
    known = {tuple(k) for k in Cycles.of(law).keys.tolist()}
    assert set(keys) <= known
    made = Circuit(law, keys, (3.0, 2.0, 1.0)[: len(keys)], (0.3, 0.0, -0.2)[: len(keys)])
    rng = np.random.default_rng(0)
    cells = rng.permutation(grid(law.carrier.modulus))[::2]
    found = read_circuit(law, cells, logits_of(made, cells, rng, 0.1))
    assert found.circuit.frequencies[: len(keys)] == keys
    np.testing.assert_allclose(found.circuit.amplitudes[: len(keys)], made.amplitudes, atol=0.1)
    np.testing.assert_allclose(found.circuit.phases[: len(keys)], made.phases, atol=0.1)
    assert found.claim.interaction > 0.95
    assert found.kept > 0.99
    assert found.removed < 0.3
    whole = grid(law.carrier.modulus)
    exact = replace(made, phases=(0.0,) * len(keys))
    assert exact.exact
    np.testing.assert_array_equal(evaluated(exact, whole), law.predict(whole))


def test_the_expression_of_a_product_laws_circuit_is_what_the_circuit_says() -> None:
    law = LAWS[1]  # a + b modulo 3, a * b modulo 5, and 4 more
    circuit = Circuit(law, ((1, 1), (0, 2)), (2.0, 0.5), (0.25, 0.0))
    logs = cycles(5)[0][2]
    f3, f5, g3, g5, dlog = (sympy.Function(x) for x in ("f3", "f5", "g3", "g5", "dlog5"))
    a, b, c = sympy.symbols("a b c")
    expression = circuit.expression()
    where = circuit.cycles
    for x, y in ((1, 2), (4, 13), (7, 8)):
        cells = np.array([[x, y]])
        entries, usual = where.entries(cells)
        assert usual.all()
        total = where.number(entries.sum(axis=0))
        for z in where.decode.tolist():
            here = expression.subs({a: x, b: y, c: z})
            for table, q in ((f3, 3), (f5, 5), (g3, 3), (g5, 5)):
                here = here.replace(table, lambda v, q=q: sympy.Integer(int(v) % q))
            here = here.replace(dlog, lambda v: sympy.Integer(int(logs[int(v) % 5])))
            place = int(np.flatnonzero(where.decode == z)[0])
            assert float(here) == pytest.approx(float(where.moved(circuit.classes, total)[0, place]), abs=2e-3), (
                "three digits"
            )


def test_with_a_program_products_are_written_in_its_terms() -> None:
    law = law_of(15, "**")
    program = parse("a*b", default_language(Residues(15), 2))
    text = str(Circuit(law, ((1, 0), (0, 1)), (2.0, 0.5), (0.0, 0.0)).expression(program))
    assert "dlog3(a*b)" in text
    assert "dlog5(a*b)" in text


def test_a_law_of_one_class_has_no_circuit() -> None:
    law = law_of(2, "*")
    with pytest.raises(ValueError, match="the law has no frequencies"):
        read_circuit(law, grid(2), np.zeros((4, 2), dtype=np.float32))
    assert loudest_keys(Cycles.of(law), grid(2), np.zeros((4, 2), dtype=np.float32)) == []
    assert Law.of(Residues(7), "dlog", (phi(Residues(7), "dlog"),) * 2).abelian.basis == "dlog"
