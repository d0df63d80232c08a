"""Figures of the proof and law rooms: ``pytest tests/perf --benchmark-only``."""

from __future__ import annotations

import numpy as np
import pytest

from synth.carrier import IntArray, Residues
from synth.closed_forms import law_program
from synth.identity import same_polynomial
from synth.interpolate import interpolate
from synth.language import language
from synth.parse import parse
from synth.program import Program
from synth.spectral import additive_tables, read_labels
from synth.symbolic import canonical, to_sympy
from synth.verify import Target, verify


def grid(m: int, arity: int = 2) -> IntArray:
    return np.stack(np.meshgrid(*[np.arange(m)] * arity, indexing="ij"), -1).reshape(-1, arity)


def read(text: str, arity: int = 2) -> Program:
    return parse(text, language("full", arity), functions=True)


def examples(text: str, m: int, share: float) -> tuple[Residues, IntArray, IntArray]:
    carrier, cells = Residues(m), grid(m)
    if "/" in text:
        cells = cells[cells[:, 1] != 0]
    seen = cells[np.random.default_rng(0).permutation(len(cells))[: round(share * len(cells))]]
    return carrier, seen, read(text).evaluate(seen, carrier)


@pytest.mark.parametrize(("m", "arity"), [(59, 2), (113, 2), (997, 2), (101, 3)])
def test_exhaustive_check(benchmark, m, arity):
    carrier, cells = Residues(m), grid(m, arity)
    formula = read("a**3 + a*b**2 + b", arity)
    target = Target(carrier, cells, formula.evaluate(cells, carrier))
    assert benchmark(verify, read("a*(a*a + b*b) + b", arity), target).proof == "exhaustive"


def test_polynomial_identity(benchmark):
    assert benchmark(same_polynomial, read("a*(a*a + b*b) + b"), read("a**3 + a*b**2 + b"))


def test_polynomial_identity_by_sympy(benchmark):
    import sympy
    from sympy.core.cache import clear_cache

    x, y = to_sympy(read("a*(a*a + b*b) + b")), to_sympy(read("a**3 + a*b**2 + b"))
    assert benchmark.pedantic(lambda: sympy.expand(x - y) == 0, setup=clear_cache, rounds=50)


def test_polynomial_identity_by_z3(benchmark):
    target = Target(Residues(59), None, None, read("a**3 + a*b**2 + b"), arity=2)
    program = read("a*(a*a + b*b) + b + 0*min(a, b)")  # the minimum keeps the identity's rung out
    assert benchmark.pedantic(verify, (program, target), {"max_cells": 0}, rounds=3).proof in {"z3", "identity"}


def test_quotient_identity(benchmark):
    cells = grid(59)[1:]
    cells = cells[cells[:, 1] != 0]
    target = Target(Residues(59), cells, read("a + 1/b").evaluate(cells, Residues(59)), read("a + 1/b"))
    assert benchmark(verify, read("(a*b + 1)/b"), target).proof == "identity"


@pytest.mark.parametrize("text", ["a + b", "a**3 + a*b**2 + b", "a/b if odd(b) else a - b"])
def test_canonical_text(benchmark, text):
    assert benchmark(canonical, read(text), Residues(59))


@pytest.mark.parametrize("m", [59, 113])
@pytest.mark.parametrize("share", [0.1, 0.5])
@pytest.mark.parametrize("text", ["a + b", "a*b", "a/b"])
def test_law_from_labels(benchmark, text, m, share):
    assert benchmark(read_labels, *examples(text, m, share))


@pytest.mark.parametrize("m", [59, 113])
def test_law_from_scores(benchmark, m):
    _, cells, labels = examples("a + b", m, 0.5)
    scores = np.cos(2 * np.pi * 5 * (labels[:, None] - np.arange(m)) / m) + np.random.default_rng(0).normal(
        size=(len(cells), m)
    )
    assert len(benchmark(additive_tables, cells, scores, m)) == 2


@pytest.mark.parametrize("m", [59, 113])
@pytest.mark.parametrize("text", ["a + b", "2*a + 3*b + 7", "a**2 + b**2", "a*b", "a/b"])
def test_program_of_a_law(benchmark, text, m):
    law = read_labels(*examples(text, m, 0.5))[0]
    assert benchmark(law_program, law, language("full", 2)) is not None


@pytest.mark.parametrize("n", [10, 100])
@pytest.mark.parametrize("text", ["a + b", "2*a + 3*b + 7", "a**2 + a*b + b**2", "a**3 + a*b**2 + b", "a/b"])
def test_interpolation(benchmark, text, n):
    carrier, inputs, outputs = examples(text, 59, 1.0)
    assert benchmark(lambda: list(interpolate(carrier, inputs[:n], outputs[:n])))
