"""A user's subclass of a built-in network that computes something else is read as what it is: not as its parent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from nets.attention import attended
from nets.bilinear import Bilinear
from nets.description import two_part_code
from nets.folded import fold
from nets.frugal import certify_frugally
from nets.mechanism import mechanism
from nets.models import Architecture, Network, Weights, computes_as, fresh, tokens
from nets.neurons import activate, units
from nets.pieces import pieces
from nets.quadratic import Quadratic
from nets.recipes import Recipe
from nets.relu import Relu
from nets.spelling import spell
from nets.stacked import fits
from nets.transformer import Transformer
from nets.waves import waves
from synth.carrier import IntArray, Residues
from synth.laws import Law

P = 7
LAW = Law.of(Residues(P), "additive", (np.arange(P),) * 2)


class _Shifted:
    """Logits of the next class: another function of the same weights."""

    def forward(self, weights: Weights, inputs: Tensor) -> Tensor:
        return super().forward(weights, inputs).roll(1, dims=1).tanh()  # pyright: ignore


@dataclass(frozen=True)
class ShiftedRelu(Relu):
    def forward(self, weights: Weights, inputs: Tensor) -> Tensor:
        return super().forward(weights, inputs).roll(1, dims=1).tanh()


@dataclass(frozen=True)
class ShiftedBilinear(_Shifted, Bilinear):
    """Whose forward comes from another class beside the parent."""


@dataclass(frozen=True)
class ShiftedTransformer(_Shifted, Transformer):
    pass


@dataclass(frozen=True)
class Cubed(Quadratic):
    """A method that the parent's forward runs through."""

    def _table(self, i: int) -> str:
        return f"U{1 - i}"


@dataclass(frozen=True)
class Small(Relu):
    """The parent's function from other first weights: the parent to whoever reads it."""

    h: int = 16

    def start(self, generator: torch.Generator) -> dict[str, Tensor]:
        return {name: 0.1 * x for name, x in super().start(generator).items()}


OTHERS: list[type[Architecture]] = [ShiftedRelu, ShiftedBilinear, ShiftedTransformer, Cubed]


def grid() -> IntArray:
    return np.stack(np.meshgrid(np.arange(P), np.arange(P), indexing="ij"), axis=-1).reshape(-1, 2)


@pytest.mark.parametrize("kind", OTHERS)
def test_nobody_reads_the_weights_of_a_subclass_as_its_parents(kind: type[Architecture]) -> None:
    network, cells = fresh(kind(P, 2), 0), grid()
    assert not computes_as(network.architecture, Relu, Bilinear, Quadratic, Transformer)
    assert units(network, cells) is None
    assert spell(network, LAW, [1, 2]) is None
    found = list(pieces(network, LAW, cells, LAW.predict(cells), np.random.default_rng(0), keys=[1]))
    assert {x.name for x in found} == {name for name, _ in network.architecture.tables()}
    assert "not known" in certify_frugally(network, LAW, cells).cause
    assert np.isnan(mechanism(network, LAW, np.random.default_rng(0), 4).unattending)
    refused: list[Callable[[], object]] = [
        lambda: activate(network, np.zeros((1, 1), dtype=np.float32)),
        lambda: waves(network, LAW),
        lambda: attended(network, cells),
        lambda: fold(network),
    ]
    for refuse in refused:
        with pytest.raises(ValueError, match=r"known|wants a transformer"):
            refuse()
    code = two_part_code(network, cells, LAW.predict(cells), thorough=False)
    assert type(code.network.architecture) is kind
    assert code.network.architecture == network.architecture, "a gauge of the parent's is none of its own"


def test_a_subclass_that_computes_the_same_is_read_as_its_parent() -> None:
    small = Small(P, 2)
    network = fresh(small, 0)
    parent = Network(Relu(P, 2, h=16), network.weights)
    assert computes_as(small, Relu)
    assert not computes_as(small, Quadratic)
    one, other = units(network, grid()), units(parent, grid())
    assert one is not None
    assert other is not None
    np.testing.assert_array_equal(one.activity, other.activity)
    assert certify_frugally(network, LAW, grid()) == certify_frugally(parent, LAW, grid())


@pytest.mark.parametrize("kind", OTHERS)
def test_a_forward_of_its_own_is_trained_by_its_own_gradient(kind: type[Architecture]) -> None:
    architecture, cells = kind(P, 2), grid()
    weights = fresh(architecture, 0).weights
    given, labels = tokens(cells), torch.from_numpy(LAW.predict(cells))
    found = {name: torch.zeros_like(x) for name, x in weights.items()}
    with torch.no_grad():
        loss, _ = architecture.differentiate(weights, found, len(labels))(given, labels)
    leaves = {name: x.clone().requires_grad_() for name, x in weights.items()}
    expected = torch.nn.functional.cross_entropy(architecture.forward(leaves, given), labels)
    expected.backward()
    assert float(loss) == pytest.approx(float(expected.detach()), rel=1e-5)
    for name, leaf in leaves.items():
        slope = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
        torch.testing.assert_close(found[name], slope, rtol=1e-4, atol=1e-6)


def test_a_gradient_written_beside_the_forward_stays() -> None:
    @dataclass(frozen=True)
    class Both(ShiftedRelu):
        def forward(self, weights: Weights, inputs: Tensor) -> Tensor:
            return 2 * super().forward(weights, inputs)

        def differentiate(self, weights, gradients, batch, smoothing=0.0):  # type: ignore[no-untyped-def]
            return super().differentiate(weights, gradients, batch, smoothing)

    @dataclass(frozen=True)
    class Beneath(Both):
        def forward(self, weights: Weights, inputs: Tensor) -> Tensor:
            return 3 * super().forward(weights, inputs)

    assert Beneath.differentiate is Both.differentiate is not Architecture.differentiate, "a user's own to mind"
    assert ShiftedRelu.differentiate is Architecture.differentiate
    assert Small.differentiate is Relu.differentiate
    plan = Recipe(rate=0.01, decay=1.0, steps=5)
    assert fits(ShiftedRelu(P, 2), plan, 9) is not None, "autograd goes side by side"
    assert fits(Both(P, 2), plan, 9) is None
    assert fits(replace(Small(P, 2), h=4), plan, 9) is None
