"""Groups: character tables against theory, laws recovered from scores and networks, and none from untrained ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from nets.groups import (
    GroupLaw,
    characters,
    conjugacy_classes,
    filtered_by_irreps,
    isotypic,
    key_irreps,
    read_group_law,
    recognised,
)
from nets.models import FloatArray, Network, architecture, fresh
from nets.recipes import recipe
from nets.train import train
from synth.carrier import Group, IntArray, symmetric_group
from synth.language import default_language


def cyclic(n: int) -> Group:
    return Group(f"Z{n}", np.add.outer(np.arange(n), np.arange(n)) % n)


def grid(size: int) -> IntArray:
    return np.stack(np.meshgrid(np.arange(size), np.arange(size), indexing="ij"), axis=-1).reshape(-1, 2)


@pytest.mark.parametrize("group", [symmetric_group(3), symmetric_group(4), symmetric_group(5), cyclic(5)])
def test_characters_are_orthonormal_and_their_squares_of_dimensions_sum_to_the_order(group: Group) -> None:
    found = characters(group)
    assert (found.dimensions**2).sum() == group.size
    each = found.values[:, found.classes]
    np.testing.assert_allclose(each @ np.conj(each).T / group.size, np.eye(len(each)), atol=1e-8)
    np.testing.assert_allclose(found.values[0], 1, atol=1e-8)
    assert found.classes[group.identity] == 0
    np.testing.assert_allclose(found.values[:, 0], found.dimensions, atol=1e-8)


def test_the_character_table_of_s5_is_the_known_one() -> None:
    found = characters(symmetric_group(5))
    assert found.names == ["1a", "1b", "4a", "4b", "5a", "5b", "6"]
    assert sorted(np.bincount(found.classes).tolist()) == [1, 10, 15, 20, 20, 24, 30]
    fixed = np.array([sum(x == str(i + 1) for i, x in enumerate(y)) for y in symmetric_group(5).labels])
    np.testing.assert_allclose(found.values[2][found.classes].real, fixed - 1, atol=1e-8)


def test_conjugates_share_a_class() -> None:
    group = symmetric_group(4)
    classes = conjugacy_classes(group)
    for g in range(group.size):
        np.testing.assert_array_equal(classes[group.table[group.table[g], group.inverses[g]]], classes)


def test_isotypic_parts_are_projections_that_sum_to_everything() -> None:
    group = symmetric_group(4)
    found = characters(group)
    parts = [isotypic(group, found, i) for i in range(len(found.values))]
    np.testing.assert_allclose(sum(parts), np.eye(24), atol=1e-8)
    for part, d in zip(parts, found.dimensions, strict=True):
        np.testing.assert_allclose(part @ part, part, atol=1e-8)
        assert np.trace(part) == pytest.approx(d**2)


def of_scores(answers: IntArray, size: int, noise: float) -> FloatArray:
    rng = np.random.default_rng(0)
    return (np.eye(size)[answers] + noise * rng.normal(size=(len(answers), size))).astype(np.float32)


class Told:
    """Something that has logits."""

    def __init__(self, table: FloatArray) -> None:
        self.table = table

    def logits(self, inputs: IntArray) -> FloatArray:
        return self.table[inputs[:, 0], inputs[:, 1]]


@pytest.mark.parametrize("word", ["a*b", "b*a", "a*inv(b)", "inv(a)*b", "a*a*b"])
def test_words_are_recovered_as_tables_and_recognised(word: str) -> None:
    group = symmetric_group(4)
    cells = np.random.default_rng(1).permutation(grid(24))
    inverse, table = group.inverses, group.table
    a, b = cells.T
    answers = {
        "a*b": table[a, b],
        "b*a": table[b, a],
        "a*inv(b)": table[a, inverse[b]],
        "inv(a)*b": table[inverse[a], b],
        "a*a*b": table[table[a, a], b],
    }[word]
    told = np.zeros((24, 24, 24), dtype=np.float32)
    told[a, b] = of_scores(answers, 24, 0.2)
    found = read_group_law(Told(told), group, cells[200:], cells[:200], answers[:200])  # pyright: ignore[reportArgumentType]
    assert found is not None
    if word == "b*a":  # f(a) g(b) it is not
        assert not found.accepted
        return
    assert found.accepted
    np.testing.assert_array_equal(found.law.predict(cells), answers)
    assert sum(found.shares.values()) == pytest.approx(1.0, abs=1e-6)
    program = recognised(found.law, default_language(group, 2))
    assert program is not None
    np.testing.assert_array_equal(program.evaluate(cells, group), answers)
    assert program.bits <= {"a*b": 6, "a*a*b": 10}.get(word, 9)


@pytest.fixture(scope="module")
def s5() -> tuple[Network, Group, IntArray, IntArray]:
    group = symmetric_group(5)
    cells = np.random.default_rng(0).permutation(grid(120))
    answers = group.table[cells[:, 0], cells[:, 1]]
    kind = architecture("bilinear", 120, 2, h=384)
    n = 10_000
    plan = recipe("fast", kind, n)
    *_, point = train(kind, cells[:n], answers[:n], plan, 0, watched=cells)
    return point.network, group, cells, answers


def test_s5_is_read_out_of_a_network(s5: tuple[Network, Group, IntArray, IntArray], say: Callable[[str], None]) -> None:
    network, group, cells, answers = s5
    found = read_group_law(network, group, cells[10_000:], cells[:10_000], answers[:10_000])
    assert found is not None
    assert found.accepted
    assert found.agreement > 0.99
    np.testing.assert_array_equal(found.law.predict(cells), answers)
    assert str(recognised(found.law, default_language(group, 2))) == "a*b"
    shares = ", ".join(f"{name} {share:.2f}" for name, share in found.shares.items())
    say(f"S5: {found.explained:.2f} of the variance, {found.central:.2f} of it in characters; irreps {shares}")
    assert found.shares["1a"] < 1e-6
    assert found.central > 0.9
    everything = list(range(1, 7))
    right = answers[10_000:]
    kept = filtered_by_irreps(network, found.law, everything, keep=True).predict(cells[10_000:])
    np.testing.assert_array_equal(kept, network.predict(cells[10_000:]))
    gone = filtered_by_irreps(network, found.law, key_irreps(found), keep=False).predict(cells[10_000:])
    assert (gone == right).mean() < 0.5


def test_untrained_networks_have_no_group_law(
    s5: tuple[Network, Group, IntArray, IntArray], announce: Callable[[str, list[bool]], None]
) -> None:
    _, group, cells, answers = s5
    accepted: list[bool] = []
    for seed in range(6):
        found = read_group_law(
            fresh(architecture("bilinear", 120, 2, h=32), seed), group, cells[7000:], cells[:7000], answers[:7000]
        )
        assert found is not None
        accepted.append(found.accepted)
    announce("untrained networks on S5", accepted)


def test_there_must_be_held_out_cells_of_two_inputs() -> None:
    group = symmetric_group(3)
    network = fresh(architecture("bilinear", 6, 2), 0)
    empty = np.zeros((0, 2), dtype=np.int64)
    assert read_group_law(network, group, empty, empty, np.zeros(0, dtype=np.int64)) is None


def test_a_law_spells_its_tables() -> None:
    group = symmetric_group(3)
    law = GroupLaw(group, np.arange(6), np.arange(6))
    assert law.text == "result = f(a)*g(b); f = 0 1 2 3 4 5; g = 0 1 2 3 4 5"
    assert law.bits == pytest.approx(12 * np.log2(6))
