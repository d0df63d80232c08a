"""The parameter-free code of a predictor's exceptions."""

from __future__ import annotations

from itertools import product
from math import comb, log2

import pytest

from synth.twopart import exceptions_bits


@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize("n", [0, 1, 4])
def test_the_probabilities_of_all_labels_sum_to_one(n, size):
    """Whatever the predictor says, the labels differ from it at k places in comb(n, k) (size - 1)^k ways."""
    total = sum(comb(n, k) * (size - 1) ** k * 2.0 ** -exceptions_bits(n, k, size) for k in range(n + 1))
    assert total == pytest.approx(1.0)
    assert len(list(product(range(size), repeat=n))) == sum(comb(n, k) * (size - 1) ** k for k in range(n + 1))


def test_no_exceptions_cost_half_a_logarithm():
    assert exceptions_bits(1024, 0, 59) == pytest.approx(0.5 * log2(1024) + 0.5 * log2(3.14159265), abs=0.01)
    assert exceptions_bits(0, 0, 1) == 0


def test_what_cannot_be_is_refused():
    for n, misses, size in ((3, 4, 5), (3, -1, 5), (3, 1, 1)):
        with pytest.raises(ValueError, match="exceptions_bits"):
            exceptions_bits(n, misses, size)
