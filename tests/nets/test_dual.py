"""The characters of product laws: orthogonal waves, all of the space, and the variance that the law explains."""

from __future__ import annotations

import numpy as np
import pytest
from data import data, trained

from nets.dual import Dual
from nets.faithful import ties
from nets.fourier import projector
from nets.law import read_law
from synth.carrier import IntArray, Residues
from synth.factored import read_factors
from synth.products import ProductLaw


def grid(m: int) -> IntArray:
    return np.stack(np.meshgrid(np.arange(m), np.arange(m), indexing="ij"), -1).reshape(-1, 2)


def law_of(m: int, add: bool = False) -> ProductLaw:
    cells = grid(m)
    law = read_factors(Residues(m), cells, (cells.sum(axis=1) if add else cells.prod(axis=1)) % m)
    assert law is not None
    return law


@pytest.mark.parametrize("m", [4, 8, 9, 15, 36, 60])
@pytest.mark.parametrize("add", [False, True])
def test_constants_and_waves_are_all_functions_of_a_residue(m: int, add: bool) -> None:
    dual, every = Dual(law_of(m, add)), np.arange(m)
    spaces = [projector(dual.constants(every)), *(projector(dual.waves(every, [k])) for k in range(len(dual.keys)))]
    np.testing.assert_allclose(sum(spaces), np.eye(m), atol=1e-8)
    for i, one in enumerate(spaces):
        for other in spaces[i + 1 :]:
            np.testing.assert_allclose(one @ other, 0, atol=1e-8)


@pytest.mark.parametrize("add", [False, True])
def test_a_function_of_the_combination_is_explained(add: bool) -> None:
    m = 15
    law, cells, rng = law_of(m, add), grid(15), np.random.default_rng(0)
    scores = np.eye(m)[law.predict(cells)]
    assert Dual(law).profile(cells, scores)[1] == pytest.approx(1.0)
    noise = rng.normal(size=scores.shape)
    assert Dual(law).profile(cells, noise)[1] < 0.1  # as many means as there are answers, or some more


def test_what_symmetries_do_to_the_scores_changes_nothing() -> None:
    m, rng = 15, np.random.default_rng(1)
    law, cells = law_of(m), grid(m)
    noise = rng.normal(size=(len(cells), m))
    explained = Dual(law).profile(cells, noise)[1]
    for u in (2, 4, 7):  # the scores of (u a, b), at answers u c, as those of (a, b) at c
        moved = u * cells[:, 0] % m * m + cells[:, 1]
        turned = noise[moved][:, u * np.arange(m) % m]
        assert Dual(law).profile(cells, turned)[1] == pytest.approx(explained)


def test_a_network_of_products_is_tied_to_its_law() -> None:
    given = data("a * b", 35, 0.6, 0)
    network, _ = trained("relu", given, 0)
    found = read_law(network, Residues(35), given.held_out, given.inputs, given.labels)
    assert found is not None
    assert found.accepted
    assert isinstance(found.law, ProductLaw)
    np.testing.assert_array_equal(found.law.predict(given.cells), given.cell_labels)
    tied = ties(network, found.law, given.held_out, np.random.default_rng(0))
    assert tied.variance_explained > 0.5
    assert len(tied.names) == len(tied.keys)

    def right(network: object) -> float:
        return float((network.predict(given.held_out) == given.held_out_labels).mean())  # pyright: ignore

    assert right(tied.keep_only) > 0.8
    assert right(tied.remove_only) < 0.5
