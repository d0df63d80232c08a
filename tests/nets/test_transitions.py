"""When a measure makes its change: on its way, after a turn, through spikes, transients and noise; and the jump."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nets.transitions import jump, transition

STEPS = list(range(0, 500, 5))


def sigmoid(middle: float, width: float = 20.0) -> np.ndarray:
    return 1 / (1 + np.exp(-(np.array(STEPS) - middle) / width))


def found(values, **of):
    return transition(STEPS[: len(values)], list(values), of.get("accuracy", [None] * len(values)))


@given(st.lists(st.floats(-1e3, 1e3), min_size=8, max_size=60), st.booleans())
def test_a_way_without_detours_gives_the_first_step_past_each_share(values, falls):
    values = sorted(values, reverse=falls)
    shown = found(values)
    if shown.steps[0] is None:
        return
    assert shown.turn is None
    way = (np.array(values) - shown.start) / (shown.end - shown.start)
    assert shown.steps == tuple(STEPS[int(np.argmax(way >= q - 1e-9))] for q in (0.1, 0.5, 0.9))


@given(st.integers(0, 2**32), st.floats(-50, 50), st.sampled_from([-2.0, 0.5, 3.0]))
def test_steps_come_in_order_and_know_neither_scale_nor_sign(seed, shift, scale):
    rng = np.random.default_rng(seed)
    values = sigmoid(250) + 0.02 * rng.normal(size=len(STEPS)).cumsum()
    one = found(values)
    if one.steps[0] is not None:
        assert one.steps[0] <= one.steps[1] <= one.steps[2]
    other = found(scale * values)
    assert (one.steps, one.turn) == (other.steps, other.turn)
    assert found(values + shift).turn in (one.turn, None)  # what is 2% of 50 is no change


def test_an_overshoot_on_the_way_is_no_turn():
    values = sigmoid(200) + 0.3 * np.exp(-(((np.array(STEPS) - 300) / 30) ** 2))
    assert found(values).turn is None
    assert found(values).steps[1] == pytest.approx(200, abs=5)


def test_a_measure_that_rises_and_falls_back_has_turned():
    """Weights grow while examples are learned by heart, and shrink after: from 1 to 10 and back to 4."""
    values = 1 + 9 * sigmoid(50, 8) - 6 * sigmoid(300)
    shown = found(values)
    assert (shown.start, round(shown.end, 2)) == (values[0], 4.0)
    assert 75 <= shown.turn <= 200
    assert shown.steps[1] == pytest.approx(300, abs=5)
    assert shown.steps[0] == pytest.approx(300 - 20 * np.log(9), abs=10)
    assert shown.steps[2] == pytest.approx(300 + 20 * np.log(9), abs=10)


def test_a_detour_on_the_near_side_is_waited_for():
    """A held-out loss that rises before it falls: its change is the fall below where it began."""
    values = 4 + 8 * sigmoid(60, 10) - 12 * sigmoid(250)
    shown = found(values)
    assert shown.turn is None
    assert 250 < shown.steps[0] < shown.steps[1] < shown.steps[2]


@pytest.mark.parametrize("height", [-100.0, -1.0, 1.0, 1e6])
@pytest.mark.parametrize("at", [3, 20, 70, 97])
def test_a_spike_moves_no_step(at, height):
    values = sigmoid(250)
    spiked = values.copy()
    spiked[at] += height
    assert found(spiked).steps == found(values).steps
    assert found(spiked).turn is None


def test_a_transient_is_not_the_change():
    values = sigmoid(350, 5) + 0.4 * np.exp(-(((np.array(STEPS) - 60) / 15) ** 2))
    assert found(values).steps[0] == pytest.approx(350 - 5 * np.log(9), abs=10)


def test_a_late_dip_is_not_the_change():
    values = sigmoid(150, 5)
    values[80:84] = 0.4
    assert found(values).steps == found(sigmoid(150, 5)).steps


@pytest.mark.parametrize("seed", range(20))
def test_noise_and_constants_do_not_change(seed):
    noise = np.random.default_rng(seed).normal(size=len(STEPS))
    for values in (np.full(len(STEPS), 3.0), 3 + 0.01 * noise, noise):
        assert found(values).steps == (None, None, None)
        assert found(values).turn is None


def test_what_is_missing_is_left_out_and_one_value_is_no_change():
    values = [None if i % 3 else float(x) for i, x in enumerate(sigmoid(250))]
    shown = transition(STEPS, values, values)
    assert shown.steps[1] == 255
    assert shown.correlation == pytest.approx(1.0)
    assert found([0.5]).steps == (None, None, None)


def test_the_jump_has_the_width_of_each_accuracy():
    steps, mirrors = STEPS, np.where(np.array(STEPS) < 50, 0.0, 0.4)
    apart = np.where(np.array(STEPS) < 10, 0.0, sigmoid(250))
    trace = {
        "train_accuracy": [1.0] * len(steps), "apart_accuracy": list(apart),
        "test_accuracy": list(np.maximum(mirrors, apart)),
        "law_accepted": [1.0] * len(steps), "law_accuracy": [1.0] * len(steps),
    }  # fmt: skip
    shown = jump(steps, trace)
    assert (shown.memorised, shown.law, shown.half, shown.apart_half) == (0, 0, 250, 250)
    assert shown.apart_width == pytest.approx(2 * 20 * np.log(9), abs=10)
    assert shown.width > shown.apart_width
    assert jump(steps, {"train_accuracy": [1.0] * len(steps)}).apart_width is None
