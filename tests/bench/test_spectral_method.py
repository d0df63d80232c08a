"""The rival that reads the raw table: as strong as the reader of networks, and as slow to believe."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bench.method import Budget, Candidate, Problem
from bench.methods.spectral import spectral
from bench.registry import load_task
from bench.stream import Stream
from synth.carrier import IntArray, Residues
from synth.language import default_language


def answer(p: int, inputs: IntArray, labels: IntArray, noise: float) -> Candidate:
    domain = np.stack(np.meshgrid(np.arange(p), np.arange(p), indexing="ij"), -1).reshape(-1, 2)
    carrier = Residues(p)
    problem = Problem(carrier, 2, inputs, labels, domain, default_language(carrier, 2), noise)
    *_, last = spectral.run(problem, Budget(seconds=60), np.random.default_rng(0))
    return last


def believed(candidate: Candidate) -> bool:
    return candidate.program is not None or "refused" not in candidate.notes


@pytest.mark.parametrize("seeds", [range(6), pytest.param(range(100, 140), marks=pytest.mark.slow)])
@pytest.mark.parametrize("p", [23, 24])
def test_random_labels_are_no_law_under_heavy_noise(
    p: int, seeds: range, announce: Callable[[str, list[bool]], None]
) -> None:
    found: list[bool] = []
    cells = np.stack(np.meshgrid(np.arange(p), np.arange(p), indexing="ij"), -1).reshape(-1, 2)
    for seed in seeds:
        rng = np.random.default_rng(seed)
        for n, noise in ((8, 0.3), (16, 0.5), (60, 0.7), (264, 0.9), (len(cells), 0.3)):
            seen = cells[rng.permutation(len(cells))[:n]]
            found.append(believed(answer(p, seen, rng.integers(0, p, n), noise)))
    announce(f"spectral on random labels modulo {p} under noise", found)


@pytest.mark.parametrize(("p", "n"), [(35, 300), (60, 700)])
def test_a_product_is_read_modulo_what_is_no_prime(p: int, n: int) -> None:
    task = load_task("modmul", {"p": str(p)}).task
    inputs, labels, _ = Stream(task, 0, "cells").examples(n)
    assert str(answer(p, inputs, labels, 0.0).program) == "a*b"
