"""Figures of the mixture, one core: ``OMP_NUM_THREADS=1 pytest tests/perf/test_mixture_perf.py --benchmark-only``.

Codes of whole streams, over the data seeds 0..9, stand in ``extra_info`` beside the times.
"""

from __future__ import annotations

from math import log2

import numpy as np
import pytest

from bench.registry import load_task
from bench.stream import Stream
from synth.carrier import Residues
from synth.derivations import Derivations
from synth.language import language
from synth.mixture import prior
from synth.posterior import Posterior

P59 = Residues(59)
SEEDS = range(10)
TASKS = {"a + b": "modadd", "squares": "a**2 + b**2", "cubic_b": "a**3 + a*b**2 + b", "random": "random"}


@pytest.mark.parametrize("points", [1, 2, 3])
@pytest.mark.parametrize("name", ["ring", "field", "full"])
def test_exact(benchmark, name, points):
    inputs = np.random.default_rng(0).integers(0, 59, (points, 2))
    found = benchmark(prior, language(name, 2), P59, inputs)
    benchmark.extra_info.update(states=59**points, turns=found.turns, rounding=found.rounding)
    if name == "ring":
        assert benchmark.stats.stats.median < 1


@pytest.mark.parametrize("name", ["ring", "full"])
def test_derivations(benchmark, name):
    found = benchmark(Derivations, language(name, 2), P59)
    benchmark.extra_info.update(bits=found.deepest, behaviours=len(found), candidates=found.candidates)


@pytest.mark.parametrize("name", ["ring", "full"])
@pytest.mark.parametrize("n", [2, 3, 8, 1000])
def test_posterior(benchmark, name, n):
    """From examples to predictions everywhere, with derivations at hand."""
    derivations = Derivations(language(name, 2), P59)
    stream = Stream(load_task("modadd", {"p": "59"}).task, 0)
    inputs, outputs, _ = stream.examples(n)

    def answer() -> np.ndarray:
        posterior = Posterior(derivations)
        posterior.observe(inputs, outputs, each=False)
        return posterior.predictions(stream.task.domain)

    np.testing.assert_array_equal(benchmark(answer), stream.task.table)


@pytest.mark.parametrize("name", ["ring", "full"])
@pytest.mark.parametrize("task", sorted(TASKS))
def test_codes(benchmark, name, task):
    """Bits of all 3 481 labels; uniform costs 20 477."""
    derivations = Derivations(language(name, 2), P59)
    found = load_task(TASKS[task], {"p": "59"}).task
    streams = [Stream(found, seed) for seed in SEEDS]

    def code(stream: Stream) -> np.ndarray:
        return Posterior(derivations).observe(found.domain[stream.order], stream.labels[stream.order])

    benchmark(code, streams[0])
    totals = [float(code(x).sum()) for x in streams]
    benchmark.extra_info.update(median=float(np.median(totals)), least=min(totals), most=max(totals))
    uniform = len(found.domain) * log2(59)
    assert max(totals) < 10 if task == "a + b" else max(totals) < 1.01 * uniform
