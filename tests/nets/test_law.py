"""Laws: exact on networks that have one, and never accepted on networks that have none."""

from __future__ import annotations

import numpy as np
import pytest
from data import Data, data, trained

from nets.law import Reading, held_out_sample, read_law, read_logits, unmirrored
from nets.models import Network, architecture, fresh
from nets.recipes import Recipe
from nets.train import train
from synth.carrier import IntArray, Residues
from synth.chance import fits
from synth.closed_forms import law_program
from synth.language import default_language


def reading(network: Network, given: Data) -> Reading:
    found = read_law(network, Residues(given.p), given.held_out, given.inputs, given.labels)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "target", "program"),
    [
        ("bilinear", "a + b", "a + b"),
        ("bilinear", "a - b", "a - b"),
        ("bilinear", "a * b", "a*b"),
        ("bilinear", "a² + b²", "a*a + b*b"),
        ("bilinear", "2a + 3b + 7", None),
        ("transformer", "a + b", "a + b"),
    ],
)
def test_the_law_of_a_grokked_network_is_the_target(name: str, target: str, program: str | None) -> None:
    p = 53
    given = data(target, p, 0.6, 1)
    network, _ = trained(name, given, 1)
    found = reading(network, given)
    assert found.accepted
    assert found.fit == 1.0
    np.testing.assert_array_equal(found.law.predict(given.cells), given.cell_labels)
    assert found.agreement == (network.predict(given.held_out) == given.held_out_labels).mean()
    assert found.law.basis == ("dlog" if target == "a * b" else "additive")
    closed = law_program(found.law, default_language(Residues(p), 2))
    assert closed is not None
    if program is not None:
        assert str(closed) == program


def test_a_composite_modulus_has_laws_too() -> None:
    given = data("a + b", 36, 0.6, 0)
    network, _ = trained("bilinear", given, 0)
    found = reading(network, given)
    assert found.accepted
    np.testing.assert_array_equal(found.law.predict(given.cells), given.cell_labels)


def test_a_law_of_three_inputs() -> None:
    p, rng = 11, np.random.default_rng(0)
    cells = rng.permutation(np.stack(np.meshgrid(*[np.arange(p)] * 3, indexing="ij"), axis=-1).reshape(-1, 3))
    scores = np.eye(p, dtype=np.float32)[(cells[:, 0] + 2 * cells[:, 1] - cells[:, 2]) % p]
    scores += 0.3 * rng.normal(size=scores.shape).astype(np.float32)
    labels = (cells[:, 0] + 2 * cells[:, 1] - cells[:, 2]) % p
    found = read_logits(cells[600:], scores[600:], Residues(p), cells[:600], labels[:600])
    assert found.accepted
    np.testing.assert_array_equal(found.law.predict(cells), labels)


def test_the_law_comes_before_the_network_is_right() -> None:
    given = data("a + b", 53, 0.5, 0)
    kind = architecture("bilinear", 53, 2, h=256)
    first: tuple[float, IntArray] | None = None
    for point in train(kind, given.inputs, given.labels, Recipe(rate=0.1, decay=2.0, steps=200), 0):
        found = reading(point.network, given)
        if found.accepted and first is None:
            right = (point.network.predict(given.held_out) == given.held_out_labels).mean()
            first = float(right), found.law.predict(given.cells)
    assert first is not None
    assert first[0] < 0.9
    np.testing.assert_array_equal(first[1], given.cell_labels)


class Listening:
    """A network that says what it was asked, and lies at the training cells."""

    def __init__(self, network: Network, given: Data, rng: np.random.Generator) -> None:
        self.network, self.given, self.rng = network, given, rng

    def logits(self, inputs: IntArray) -> np.ndarray:
        said = self.network.logits(inputs)
        p = self.given.p
        training = np.isin(inputs @ [p, 1], self.given.inputs @ [p, 1])
        assert not training.any()
        said[training] = self.rng.normal(size=(training.sum(), p))
        return said


def test_nothing_that_the_network_says_at_training_cells_enters_the_law() -> None:
    given = data("a + b", 37, 0.6, 0)
    network, _ = trained("bilinear", given, 0)
    liar = Listening(network, given, np.random.default_rng(0))
    one = reading(network, given)
    two = read_law(liar, Residues(37), given.held_out, given.inputs, given.labels)  # pyright: ignore[reportArgumentType]
    assert two is not None
    assert one.law == two.law
    assert one.shares == two.shares


def test_labels_decide_on_acceptance_alone() -> None:
    given = data("a + b", 37, 0.6, 0)
    network, _ = trained("bilinear", given, 0)
    one, two = reading(network, given), reading(network, given.relabelled((given.labels + 1) % 37))
    assert one.law == two.law
    assert (one.accepted, two.accepted) == (True, False)
    nearly = given.labels.copy()
    nearly[0] = (nearly[0] + 1) % 37
    assert not reading(network, given.relabelled(nearly)).accepted
    found = read_law(network, Residues(37), given.held_out, given.inputs, nearly, noise=0.01)
    assert found is not None
    assert found.accepted


def test_too_few_examples_decide_nothing() -> None:
    given = data("a + b", 37, 0.6, 0)
    network, _ = trained("bilinear", given, 0)
    entries = 2 * 37 - 1  # of a law, all of which the labels may have decided on
    for n, accepted in ((0, False), (8, False), (entries + 7, False), (entries + 8, True)):
        found = read_law(network, Residues(37), given.held_out, given.inputs[:n], given.labels[:n])
        assert found is not None
        assert found.accepted is accepted


def test_there_must_be_something_to_read() -> None:
    network = fresh(architecture("bilinear", 11, 1), 0)
    empty = np.zeros((0, 2), dtype=np.int64)
    assert read_law(network, Residues(11), np.arange(5)[:, None], np.arange(5, 11)[:, None], np.arange(6)) is None
    two = fresh(architecture("bilinear", 11, 2), 0)
    assert read_law(two, Residues(11), empty, empty, np.zeros(0, dtype=np.int64)) is None


def test_large_domains_are_thinned_out_evenly() -> None:
    cells = np.arange(1000)[:, None]
    np.testing.assert_array_equal(held_out_sample(cells, 10, most=10_000), cells)
    assert len(held_out_sample(cells, 10, most=1000)) == 100
    assert held_out_sample(cells, 10, most=1000)[-1, 0] > 900


@pytest.mark.parametrize(("noise", "n"), [(0.3, 8), (0.5, 8), (0.5, 16), (0.7, 32), (0.9, 100)])
def test_noise_is_no_excuse_for_a_law_that_fits_no_better_than_chance(noise: float, n: int) -> None:
    p = 11
    for seed in range(12):
        given = data("a + b", p, n / p**2, seed)
        network = fresh(architecture("bilinear", p, 2), seed)
        found = read_law(network, Residues(p), given.held_out, given.inputs, given.labels, noise)
        assert found is not None
        assert not found.accepted


def test_what_a_law_must_fit() -> None:
    assert fits(1.0, 8, 59, 0.0)
    assert not fits(1.0, 7, 59, 0.0)
    assert not fits(7 / 8, 8, 59, 0.0)
    assert fits(0.9, 100, 59, 0.1)
    assert not fits(0.7, 100, 59, 0.1)
    assert not fits(0.03, 100, 59, 0.99)
    assert not fits(0.0, 0, 2, 0.0)


def test_what_is_remembered_at_mirror_cells_is_no_law() -> None:
    # A network blind to the order of its inputs gives the examples' labels at their mirrors, whatever it knows besides.
    given = data("a + b", 41, 0.3, 0)
    known = {(int(a), int(b)): int(c) for (a, b), c in zip(given.inputs, given.labels, strict=True)}
    scores = 0.1 * np.random.default_rng(0).normal(size=(len(given.held_out), 41))
    for i, (a, b) in enumerate(given.held_out.tolist()):
        if (b, a) in known:
            scores[i, known[b, a]] += 1
    found = read_logits(given.held_out, scores.astype(np.float32), Residues(41), given.inputs, given.labels)
    assert not found.accepted
    mirrors = ~unmirrored(given.held_out, given.inputs)
    assert 0.2 < mirrors.mean() < 0.4
    sums = given.held_out.sum(axis=1) % 41
    scores[np.arange(len(sums)), sums] += ~mirrors  # and now it knows the others, too
    found = read_logits(given.held_out, scores.astype(np.float32), Residues(41), given.inputs, given.labels)
    assert found.accepted
