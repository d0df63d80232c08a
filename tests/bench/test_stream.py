"""The stream is one fixed order; its prefixes nest; noise and splits keep that so."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import UserError
from bench.registry import load_task
from bench.stream import Stream
from bench.task import Task

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "stream.json").read_text())
TASKS = {ref: load_task(ref, {"p": 11}).task for ref in ("modadd", "moddiv", "modadd3", "a**2 + 1", "random")}
TASKS["s5"] = load_task("s5").task


@pytest.mark.parametrize("entry", GOLDEN["streams"], ids=lambda x: f"{x['task']}-{x['seed']}-{x['split']}-{x['noise']}")
def test_the_stream_never_changes(entry: dict[str, object]) -> None:
    task = load_task(str(entry["task"])).task
    stream = Stream(task, int(str(entry["seed"])), str(entry["split"]), float(str(entry["noise"])))
    inputs, outputs, reached = stream.examples(8)
    assert inputs.tolist() == entry["inputs"]
    assert outputs.tolist() == entry["outputs"]
    assert reached == entry["reached"]


@pytest.mark.parametrize("split", ["cells", "pairs"])
@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 1000), data=st.data())
def test_prefixes_nest(task: Task, split: str, seed: int, data: st.DataObject) -> None:
    stream = Stream(task, seed, split, noise=0.3)
    n = data.draw(st.integers(0, len(task.domain)))
    more = data.draw(st.integers(n, len(task.domain)))
    inputs, outputs, reached = stream.examples(n)
    longer_inputs, longer_outputs, longer = stream.examples(more)
    assert n <= reached <= longer <= len(task.domain)
    assert inputs.shape == (reached, task.arity)
    assert outputs.shape == (reached,)
    assert np.array_equal(inputs, longer_inputs[:reached])
    assert np.array_equal(outputs, longer_outputs[:reached])
    assert len({tuple(x) for x in inputs.tolist()}) == reached


@pytest.mark.parametrize("split", ["cells", "pairs"])
@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_the_whole_stream_is_the_domain(task: Task, split: str) -> None:
    inputs, outputs, reached = Stream(task, 5, split).examples(len(task.domain))
    assert reached == len(task.domain)
    order = np.lexsort(inputs.T[::-1])
    assert np.array_equal(inputs[order], task.domain)
    assert np.array_equal(outputs[order], task.table)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 1000), share=st.floats(0, 1))
def test_pairs_are_closed_under_swapping(task: Task, seed: int, share: float) -> None:
    n = round(share * len(task.domain))
    inputs, _, reached = Stream(task, seed, "pairs").examples(n)
    there, domain = {tuple(x) for x in inputs.tolist()}, {tuple(x) for x in task.domain.tolist()}
    swapped = {cell for x in there for cell in permutations(x)} & domain
    assert swapped == there
    assert n <= reached < n + len(list(permutations(range(task.arity)))) or reached == n == 0


@pytest.mark.parametrize("split", ["cells", "pairs"])
def test_diagonal_cells_come_as_early_as_others(split: str) -> None:
    """Over many seeds a cell's place is uniform, on the diagonal too: mean half the stream."""
    task = TASKS["modadd"]
    diagonal = task.domain[:, 0] == task.domain[:, 1]
    places = np.array([np.argsort(Stream(task, seed, split).order)[diagonal].mean() for seed in range(200)])
    # The mean of 11 places of 121 has a standard error of about 10 in one stream and .75 over 200.
    assert abs(places.mean() - 60) < 3


def test_seeds_give_different_streams() -> None:
    orders = [Stream(TASKS["modadd"], seed).order for seed in range(20)]
    assert len({tuple(x.tolist()) for x in orders}) == 20
    agreement = np.mean([(x == y).mean() for x in orders for y in orders if x is not y])
    assert agreement < 0.02


def test_a_masked_task_sees_its_cells_in_the_full_task_s_order() -> None:
    whole = Stream(TASKS["modadd"], 4).examples(121)[0].tolist()
    assert Stream(TASKS["moddiv"], 4).examples(110)[0].tolist() == [x for x in whole if x[1] != 0]


@pytest.mark.parametrize("noise", [0.02, 0.1, 0.5, 1.0])
def test_noise_replaces_the_declared_share(noise: float) -> None:
    task = TASKS["s5"]
    stream = Stream(task, 1, noise=noise)
    wrong = stream.labels != task.table
    assert abs(wrong.mean() - noise) <= 4 * (noise * (1 - noise) / len(wrong)) ** 0.5
    assert ((stream.labels >= 0) & (stream.labels < 120)).all()
    replaced = np.bincount((stream.labels - task.table)[wrong] % 120, minlength=120)
    assert replaced[0] == 0
    assert (replaced[1:] > 0).all() or noise < 0.1  # by each of the other values


def test_noise_leaves_the_order_alone_and_grows_with_its_share() -> None:
    task = TASKS["modadd"]
    clean, some, more = (Stream(task, 1, noise=x) for x in (0.0, 0.1, 0.4))
    assert np.array_equal(clean.order, more.order)
    assert np.array_equal(clean.labels, task.table)
    assert set(np.flatnonzero(some.labels != task.table)) < set(np.flatnonzero(more.labels != task.table))


def test_noise_does_not_depend_on_the_place_in_the_order() -> None:
    stream = Stream(TASKS["s5"], 2, noise=0.5)
    wrong = (stream.labels != stream.task.table)[stream.order]
    assert abs(wrong[:7200].mean() - wrong[7200:].mean()) < 0.04


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"noise": 2.0}, "noise: expected a probability from 0 to 1, got 2.0"),
        ({"noise": -0.1}, "noise: expected"),
        ({"noise": float("nan")}, "noise: expected"),
        ({"split": "pear"}, "split: expected cells or pairs, got 'pear'"),
    ],
)
def test_bad_streams_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Stream(TASKS["modadd"], 0, **change)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("n", [-1, 122])
def test_no_more_examples_than_cells(n: int) -> None:
    with pytest.raises(UserError, match=f"expected 0 to 121 examples, got {n}"):
        Stream(TASKS["modadd"], 0).examples(n)
