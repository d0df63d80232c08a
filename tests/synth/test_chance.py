"""What a law must get right: as much as noise allows, and more than chance, also where it was chosen to fit."""

from __future__ import annotations

from math import comb, log

import numpy as np
import pytest

from synth.chance import LEAST_EXAMPLES, against_chance, evenly, fits


@pytest.mark.parametrize(("n", "order", "hits"), [(20, 7, 12), (50, 3, 30), (100, 59, 70), (8, 5, 8)])
def test_chance_is_bounded_from_above(n: int, order: int, hits: int) -> None:
    tail = sum(comb(n, k) * (1 / order) ** k * (1 - 1 / order) ** (n - k) for k in range(hits, n + 1))
    assert log(tail) / log(order) <= -against_chance(hits / n, n, order) + 1e-9


def test_all_right_is_as_good_as_its_number() -> None:
    assert against_chance(1.0, 17, 59) == pytest.approx(17)
    assert against_chance(1 / 59, 1000, 59) == 0
    assert fits(1.0, LEAST_EXAMPLES, 59, 0.0)
    assert not fits(1.0, LEAST_EXAMPLES - 1, 59, 0.0)


def test_what_was_chosen_to_fit_pays_for_it() -> None:
    assert not fits(1.0, 117 + LEAST_EXAMPLES - 1, 59, 0.0, free=117)
    assert fits(1.0, 117 + LEAST_EXAMPLES, 59, 0.0, free=117)
    assert not fits(0.7, 150, 59, 0.3, free=117)
    assert fits(0.7, 300, 59, 0.3, free=117)


def test_noise_is_spread_over_elements() -> None:
    rng = np.random.default_rng(0)
    cells = np.stack(np.meshgrid(np.arange(47), np.arange(47), indexing="ij"), -1).reshape(-1, 2)
    refused = 0
    for _ in range(200):
        seen = cells[rng.permutation(len(cells))[:1100]]
        right = rng.random(len(seen)) >= 0.05
        refused += not evenly(right, seen, 0.05)
        assert not evenly(right & (seen[:, 0] != 5), seen, 0.05)
        assert not evenly(right & (seen[:, 1] != 46), seen, 0.05)
    assert refused <= 3
    assert evenly(np.ones(8, dtype=np.bool_), cells[:8], 0.0)
    assert not evenly(np.arange(8) > 0, cells[:8], 0.0)
    assert evenly(np.ones(0, dtype=np.bool_), cells[:0], 0.1)
