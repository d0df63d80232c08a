"""Laws whose outputs come in any order: found up to an automorphism, from networks too, and from no noise."""

from __future__ import annotations

import numpy as np
import pytest
from data import data, trained

from nets.faithful import ties
from nets.law import read_law, read_logits
from nets.models import FloatArray
from nets.relabelling import read_relabelled
from synth.carrier import IntArray, Residues
from synth.closed_forms import law_program
from synth.language import default_language


def cells_of(p: int, share: float) -> IntArray:
    cells = np.stack(np.meshgrid(np.arange(p), np.arange(p), indexing="ij"), axis=-1).reshape(-1, 2)
    return cells[np.random.default_rng(5).random(len(cells)) < share]


def scores(answers: IntArray, p: int, noise: float) -> FloatArray:
    rng = np.random.default_rng(1)
    return (np.eye(p)[answers] + noise * rng.normal(size=(len(answers), p))).astype(np.float32)


@pytest.mark.parametrize("p", [31, 36])
def test_a_relabelled_sum_is_found_up_to_an_automorphism(p: int) -> None:
    rng = np.random.default_rng(0)
    inputs, outputs = rng.permutation(p), rng.permutation(p)
    cells = cells_of(p, 0.5)
    answers = outputs[(inputs[cells[:, 0]] + inputs[cells[:, 1]]) % p]
    law = read_relabelled(cells, scores(answers, p, 0.1), Residues(p))
    assert law is not None
    assert law.relabelled
    everywhere = cells_of(p, 2.0)
    np.testing.assert_array_equal(
        law.predict(everywhere), outputs[(inputs[everywhere[:, 0]] + inputs[everywhere[:, 1]]) % p]
    )
    steps = (law.tables[0] - law.tables[0][np.flatnonzero(inputs == 0)[0]]) % p
    u = int(steps[np.flatnonzero(inputs == 1)[0]])
    np.testing.assert_array_equal(steps, u * inputs % p)
    assert np.gcd(u, p) == 1
    entropy = np.log2(np.arange(1, p + 1)).sum()
    assert law.bits == pytest.approx(2 * p * np.log2(p) + entropy), "the order of the outputs is paid for"
    assert "y = " in law.text
    assert law.normalised().relabelled


def test_a_relabelled_product_has_its_zero_where_it_may_be() -> None:
    p, rng = 31, np.random.default_rng(2)
    inputs, outputs = rng.permutation(p), rng.permutation(p)
    cells = cells_of(p, 0.5)
    answers = outputs[inputs[cells[:, 0]] * inputs[cells[:, 1]] % p]
    law = read_relabelled(cells, scores(answers, p, 0.1), Residues(p))
    assert law is not None
    assert (law.basis, law.order, law.zero) == ("dlog", p - 1, outputs[0])
    everywhere = cells_of(p, 2.0)
    np.testing.assert_array_equal(
        law.predict(everywhere), outputs[inputs[everywhere[:, 0]] * inputs[everywhere[:, 1]] % p]
    )
    assert law_program(law, default_language(Residues(p), 2)) is None


@pytest.mark.parametrize("target", ["a + b", "a * b"])
def test_the_relabelled_law_of_a_network(target: str) -> None:
    p, rng = 37, np.random.default_rng(3)
    given = data(target, p, 0.6, 0)
    names = rng.permutation(p)
    given = type(given)(p, given.inputs, names[given.labels], given.held_out, names[given.held_out_labels])
    network, _ = trained("bilinear", given, 0)
    found = read_law(network, Residues(p), given.held_out, given.inputs, given.labels)
    assert found is not None
    assert found.accepted
    assert found.law.relabelled
    np.testing.assert_array_equal(found.law.predict(given.cells), given.cell_labels)
    tied = ties(network, found.law, given.held_out, rng)
    assert tied.variance_explained > 0.3
    assert (tied.keep_only.predict(given.held_out) == given.held_out_labels).mean() > 0.8
    off = read_law(network, Residues(p), given.held_out, given.inputs, given.labels, relabelled=False)
    assert off is not None
    assert not off.accepted


def test_noise_and_wrong_labels_have_no_relabelled_law() -> None:
    p, rng = 31, np.random.default_rng(4)
    cells = cells_of(p, 0.5)
    labels = rng.integers(0, p, 300)
    for _ in range(20):
        noise = rng.normal(size=(len(cells), p)).astype(np.float32)
        assert not read_logits(
            cells, noise, Residues(p), cells_of(p, 0.3)[:300], labels[: len(cells_of(p, 0.3))]
        ).accepted
