"""Prequential codes: what each kind of learner pays for a label, and that nobody pays with a label not yet seen."""

from __future__ import annotations

from math import lgamma, log, log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.codelength import (
    assemble,
    calibrated_bits,
    hits_of,
    online_bits,
    predictive_bits,
    run_lengths,
)
from bench.run import run
from bench.schedule import default_grid
from bench.store import Store

RNG = np.random.default_rng(7)


@given(st.lists(st.booleans(), max_size=60), st.integers(2, 61))
def test_a_point_predictors_code_is_krichevsky_and_trofimovs(hits, size):
    bits = predictive_bits(np.array(hits, dtype=bool), size)
    right, wrong = sum(hits), len(hits) - sum(hits)
    # the closed form of the KT mixture: a Beta(1/2, 1/2) prior on the rate of hits
    closed = lgamma(right + 0.5) + lgamma(wrong + 0.5) - 2 * lgamma(0.5) - lgamma(len(hits) + 1)
    assert bits.sum() == pytest.approx(-closed / log(2) + wrong * log2(size - 1), abs=1e-9)


@given(st.lists(st.booleans(), min_size=2, max_size=40), st.integers(0, 40), st.integers(2, 9))
def test_a_code_goes_on_where_the_block_before_ended(hits, cut, size):
    whole = np.array(hits, dtype=bool)
    head, tail = whole[:cut], whole[cut:]
    joined = np.concatenate([predictive_bits(head, size), predictive_bits(tail, size, (len(head), int(head.sum())))])
    assert joined == pytest.approx(predictive_bits(whole, size))


@given(st.lists(st.booleans(), max_size=50))
def test_run_lengths_go_both_ways(hits):
    lengths = run_lengths(np.array(hits, dtype=float))
    assert hits_of(lengths).tolist() == hits
    assert all(x > 0 for x in lengths[1:])


def scores_of(table):
    return lambda inputs: table[inputs[:, 0]]


@pytest.mark.parametrize("scale", [0.0, 0.1, 1.0, 30.0, 1e6])
@pytest.mark.parametrize("right", [0.02, 0.5, 1.0])
def test_calibration_is_never_worse_than_uniform_by_more_than_a_bit_and_finds_the_best_expert(scale, right):
    size, t = 13, 400
    labels = RNG.integers(size, size=t)
    said = np.where(RNG.random(t) < right, labels, RNG.integers(size, size=t))
    table = (scale * np.eye(size)[said]).astype(np.float32)
    bits = calibrated_bits(scores_of(table), np.arange(t)[:, None], labels, size)
    assert bits.shape == (t,)
    assert bits.sum() <= t * log2(size) + 1 + 1e-9
    # within the prior's price of the best calibration in hindsight
    best = np.inf
    for temperature in 2.0 ** np.arange(-4, 4.5, 0.5):
        z = table / temperature
        p = np.exp(z - np.logaddexp.reduce(z, axis=1)[:, None])[np.arange(t), labels]
        for spread in (1e-4, 1e-3, 0.01, 0.03, 0.1, 0.3, 0.6):
            best = min(best, -np.log2((1 - spread) * p + spread / size).sum())
    assert bits.sum() <= best + 1 + log2(17 * 7) + 1e-3


def test_a_calibrated_code_is_a_distribution_of_the_first_label():
    size = 7
    table = RNG.normal(size=(1, size)).astype(np.float32) * 5
    costs = [calibrated_bits(scores_of(table), np.array([[0]]), np.array([v]), size)[0] for v in range(size)]
    assert sum(2.0**-x for x in costs) == pytest.approx(1.0, abs=1e-6)


def test_calibration_goes_in_blocks_as_in_one(monkeypatch):
    size, t = 5, 300
    labels, table = RNG.integers(size, size=t), RNG.normal(size=(t, size)).astype(np.float32)
    whole = calibrated_bits(scores_of(table), np.arange(t)[:, None], labels, size)
    monkeypatch.setattr("bench.codelength.BLOCK", 64)
    assert calibrated_bits(scores_of(table), np.arange(t)[:, None], labels, size) == pytest.approx(whole)


def test_scores_that_are_no_numbers_cost_no_more_than_uniform_and_a_bit():
    table = np.full((20, 3), np.nan, dtype=np.float32)
    bits = calibrated_bits(scores_of(table), np.arange(20)[:, None], np.zeros(20, dtype=np.int64), 3)
    assert bits.sum() <= 20 * log2(3) + 1 + 1e-6


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (lambda inputs, labels: np.zeros(len(labels)), "sum to more than 1"),
        (lambda inputs, labels: np.full(len(labels), 2.0 + labels[-1]), "depends on later labels"),
        (lambda inputs, labels: np.full(len(labels), np.inf), "finite costs"),
        (lambda inputs, labels: np.zeros(3), "expected 4 finite costs"),
    ],
)
def test_an_online_code_that_is_none_is_refused(code, says):
    with pytest.raises(TypeError, match=says):
        online_bits(code, np.arange(4)[:, None], np.array([0, 1, 2, 3]), 4)


def codes(folder, method):
    store = Store(folder)
    records = [x for x in store.records() if x.spec.method == method]
    code = assemble(records, store.load_code)
    assert code is not None
    return code


METHODS = ["mixture", "enumerate", "mitm", "interpolate", "spectral", "bilinear", "bilinear+law", "lookup"]
SHORT = {"bilinear": ":steps=80", "bilinear+law": ":steps=80"}
PERMUTED = '''
import numpy as np
from bench.stream import Stream
from bench.task import Task, task


@task(version=1)
def permuted(t: int = 60, p: int = 11):
    """a + b, but the labels after the first t of the stream of data seed 0 permuted."""
    plain = Task(modulus=p, arity=2, target=lambda a, b: (a + b) % p)
    order = Stream(plain, 0).order
    table = plain.table.copy()
    later = order[t:]
    table[later] = table[np.random.default_rng(t).permutation(later)]
    return Task(modulus=p, arity=2, target=lambda a, b: table[a * p + b])
'''


def test_no_later_label_enters_a_code(tmp_path):
    (tmp_path / "twins.py").write_text(PERMUTED)
    sizes = [0, 20, 60, 90]
    short = [f"{x}{SHORT.get(x, '')}" for x in METHODS]
    for name, t in (("plain", 121), ("permuted", 60)):
        task = str(tmp_path / "twins.py:permuted")
        run(task, t=t, methods=short, examples=sizes, seeds=1, jobs=1, out=tmp_path / name)
    (plain,) = (x for x in (tmp_path / "plain").iterdir() if x.is_dir())
    (other,) = (x for x in (tmp_path / "permuted").iterdir() if x.is_dir())
    for method in METHODS:
        one, two = codes(plain, method), codes(other, method)
        assert one.bits[:60] == pytest.approx(two.bits[:60], abs=1e-6), method
        assert not np.allclose(one.bits[60:], two.bits[60:]), method


def test_codes_of_a_task_and_of_random_labels(tmp_path):
    """Structure is worth bits, and where there is none nobody pays more than a little for having looked."""
    boards = run("modadd", p=31, methods=["enumerate", "lookup"], seeds=2, jobs=1, out=tmp_path)
    bits = dict(zip(boards.leaderboard["method"], boards.leaderboard["code_length_bits"], strict=True))
    uniform = 31**2 * log2(31)
    assert bits["enumerate"] < 25  # two labels at log2(31) bits, then a certainty that has to be learned
    assert 0.99 * uniform < bits["lookup"] < 1.01 * uniform
    curve = boards.curves[boards.curves["method"] == "enumerate"]
    grown = curve.sort_values("n").groupby("data_seed")["code_length_bits"].apply(list)
    assert all(x == sorted(x) for x in grown)

    noise = run("random", p=31, methods=["enumerate", "lookup"], seeds=2, jobs=1, out=tmp_path)
    for method, total in zip(noise.leaderboard["method"], noise.leaderboard["code_length_bits"], strict=True):
        assert uniform - 20 <= total <= 1.01 * uniform, method


def test_all_blocks_are_run_when_asked(tmp_path):
    run("random", p=5, methods=["lookup"], seeds=1, codelength="full", out=tmp_path)
    store = Store(next(x for x in tmp_path.iterdir() if x.is_dir()))
    assert sorted(x.spec.n for x in store.records()) == sorted(default_grid(25))


@pytest.mark.slow
def test_nobody_finds_bits_in_random_labels(tmp_path):
    """At p = 59, every method of the default run: a code far below uniform would be a leak, one above a bad code."""
    boards = run("random", p=59, seeds=1, jobs=2, out=tmp_path)
    uniform = 59**2 * log2(59)
    assert len(boards.leaderboard) >= 9
    for row in boards.leaderboard.itertuples():
        assert uniform - 20 <= row.code_length_bits <= 1.01 * uniform, row.method


@pytest.mark.slow
def test_what_a_sum_costs_each_road(tmp_path):
    boards = run("modadd", p=59, methods=["mixture", "mitm", "bilinear"], seeds=2, jobs=2, out=tmp_path)
    bits = dict(zip(boards.leaderboard["method"], boards.leaderboard["code_length_bits"], strict=True))
    assert bits["mixture"] < 8  # the bits of a + b: the mixture normalises by the mass of all programs
    assert bits["mixture"] < bits["mitm"] < 30
    assert bits["bilinear"] < 0.4 * 59**2 * log2(59)
