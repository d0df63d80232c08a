"""n*, medians with censored values, and the coverage that an interval claims."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.stats import median, median_interval, n_star

SIZES = st.dictionaries(st.integers(1, 50), st.booleans(), min_size=1)


@given(SIZES)
def test_n_star_is_solved_with_every_larger_size_and_no_smaller_size_is(sizes):
    star = n_star(sizes)
    larger = [solved for size, solved in sizes.items() if size >= star]
    assert all(larger)
    below = [size for size in sizes if size < star]
    if below:
        assert not sizes[max(below)]
    assert math.isinf(star) == (not sizes[max(sizes)])


def test_a_hole_ends_n_star():
    assert n_star({10: True, 20: False, 30: True, 40: True}) == 30


def test_medians_keep_censored_runs_censored():
    assert median([1.0, None, 3.0]) == 3.0
    assert math.isinf(median([1.0, None, None]))
    assert median([1.0, 2.0]) == 2.0  # never the flattering one
    with pytest.raises(ValueError, match="at least one"):
        median([])


@pytest.mark.parametrize(("count", "coverage"), [(1, 0.0), (3, 0.75), (6, 0.96875), (10, 0.978515625)])
def test_the_coverage_is_the_binomials(count, coverage):
    assert median_interval(list(range(count))).coverage == coverage


def test_the_interval_covers_the_true_median_as_often_as_it_says():
    draws = np.random.default_rng(0).exponential(size=(4000, 10))
    intervals = [median_interval(list(row)) for row in draws]
    covered = np.mean([x.low <= math.log(2) <= x.high for x in intervals])
    assert abs(covered - intervals[0].coverage) < 0.02


@given(st.lists(st.one_of(st.floats(0, 9), st.just(math.inf)), min_size=1, max_size=12))
def test_the_interval_holds_its_median(values):
    interval = median_interval(values)
    assert interval.low <= interval.median <= interval.high
    assert interval.median in values
