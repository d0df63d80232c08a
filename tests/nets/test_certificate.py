"""Certificates: enclosures hold what they must, proofs hold for grokked networks, and nothing else gets one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import numpy as np
import pytest
import torch
from data import Data, data, trained
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nets.certificate import DOUBLE, SINGLE, certify
from nets.enclosure import Enclosed, NoBound
from nets.models import Architecture, Network, Weights, architecture, fresh, tokens

KINDS = ["bilinear", "quadratic", "relu", "transformer"]
Grokked = dict[str, tuple[Data, Network]]


@pytest.fixture(scope="module")
def grokked() -> Grokked:
    found: Grokked = {}
    for name in KINDS:
        taught = data("a + b", 37, 0.7, 0)
        found[name] = taught, trained(name, taught, 0)[0]
    return found


def exact(values: Tensor) -> list[Fraction]:
    return [Fraction(float(x)) for x in values.flatten()]


def holds(enclosed: Enclosed, truth: list[Fraction]) -> bool:
    pairs = zip(enclosed.middle.flatten().tolist(), enclosed.radius.flatten().tolist(), truth, strict=True)
    return all(abs(Fraction(m) - t) <= Fraction(r) for m, r, t in pairs)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 30))
def test_enclosures_hold_the_values_over_the_rationals(seed: int, n: int) -> None:
    """Against exact rational arithmetic: sums, products, quotients, squares, relu."""
    generator = torch.Generator().manual_seed(seed)
    x, y = (10.0 * torch.randn(3, n, generator=generator) for _ in range(2))
    a, b = [exact(row) for row in x], [exact(row) for row in y]
    one, two = Enclosed.exactly(x), Enclosed.exactly(y)
    with torch.no_grad():
        product = one @ two.T
        inner = [sum(p * q for p, q in zip(r, s, strict=True)) for r in a for s in b]
        assert holds(product, inner)
        assert holds(product * product - product, [v * v - v for v in inner])
        assert holds(torch.relu(product).square(), [max(v, Fraction(0)) ** 2 for v in inner])
        below = product.square() + 1.0
        assert holds(product / below, [v / (v * v + 1) for v in inner])
        assert holds(product.sum(1), [sum(inner[3 * i : 3 * i + 3]) for i in range(3)])
        assert float(product.radius.max()) < 1e-12 * n * n, "and they are narrow"


def test_enclosures_of_exp_hold_its_value_to_many_digits() -> None:
    import sympy

    x = torch.tensor([0.0, -0.3, 0.7, -5.5, 3.25, -40.0, 12.0])
    enclosed: Enclosed = Enclosed.exactly(x).exp()  # pyright: ignore[reportAssignmentType]
    for value, middle, radius in zip(x.tolist(), enclosed.middle.tolist(), enclosed.radius.tolist(), strict=True):
        true = sympy.exp(sympy.Rational(*Fraction(value).as_integer_ratio())).evalf(50)
        assert abs(sympy.Rational(*Fraction(middle).as_integer_ratio()) - true) <= radius
        assert radius < 1e-11 * middle


@pytest.mark.parametrize("name", KINDS)
def test_evaluations_in_either_precision_lie_within_their_enclosures(name: str) -> None:
    network = fresh(architecture(name, 23, 2), 1)
    cells = data("a + b", 23, 0.5, 0).cells
    doubles = {key: x.double() for key, x in network.weights.items()}
    with torch.no_grad():
        said = network.architecture.forward(doubles, tokens(cells))
        for unit, logits in ((DOUBLE, said), (SINGLE, torch.from_numpy(network.logits(cells)).double())):
            weights = {key: Enclosed.exactly(x, unit) for key, x in network.weights.items()}
            enclosed = network.architecture.forward(weights, tokens(cells))
            assert isinstance(enclosed, Enclosed)
            assert bool(((logits - enclosed.middle).abs() <= enclosed.radius).all())
            assert float((enclosed.radius / unit).max()) < 1e8, "narrow enough to be of use"


@pytest.mark.parametrize("name", KINDS)
def test_grokked_networks_are_proved_right_on_every_input(name: str, grokked: Grokked) -> None:
    taught, network = grokked[name]
    found = certify(network, taught.cells, taught.cell_labels)
    assert found.holds, found.cause
    assert found.cells == 37 * 37
    assert found.ratio >= 1e6
    logits = network.logits(taught.cells)
    right = np.take_along_axis(logits, taught.cell_labels[:, None], axis=1)[:, 0]
    np.put_along_axis(logits, taught.cell_labels[:, None], -np.inf, axis=1)
    assert found.margin == pytest.approx(float((right - logits.max(axis=1)).min()), rel=1e-3)
    single = certify(network, taught.cells, taught.cell_labels, SINGLE)
    assert single.holds, "as float32 computes it"
    assert single.ratio < found.ratio


@pytest.mark.parametrize("name", KINDS)
def test_one_flipped_answer_is_refused(name: str, grokked: Grokked) -> None:
    taught, network = grokked[name]
    answers = taught.cell_labels.copy()
    answers[700] = (answers[700] + 1) % 37
    found = certify(network, taught.cells, answers)
    assert not found.holds
    assert found.failure == tuple(taught.cells[700])
    assert found.cause == "another answer"
    assert found.margin < 0


def test_a_network_with_one_cell_flipped_is_refused(grokked: Grokked) -> None:
    """One more hidden unit, on at one cell alone, that pushes another answer there: the weights are at fault now."""
    taught, network = grokked["bilinear"]
    kind = network.architecture
    a, b = taught.cells[5]
    wider = architecture("bilinear", 37, 2, h=257, shared=getattr(kind, "shared", 0.0))
    weights = {key: x.clone() for key, x in network.weights.items()}
    for key, at in (("U0", a), ("U1", b)):
        column = torch.zeros(37, 1)
        column[at] = 1.0
        weights[key] = torch.cat([weights[key], column], 1)
    for key in ("u0", "u1"):
        weights[key] = torch.cat([weights[key], torch.zeros(1, 1)], 1)
    push = torch.zeros(1, 37)
    push[0, (taught.cell_labels[5] + 3) % 37] = 1e3
    flipped = Network(wider, {**weights, "W": torch.cat([weights["W"], push])})
    assert (flipped.predict(taught.cells) != taught.cell_labels).sum() == 1
    found = certify(flipped, taught.cells, taught.cell_labels)
    assert not found.holds
    assert found.failure == (a, b)


def test_ties_and_margins_within_rounding_prove_nothing() -> None:
    kind = architecture("bilinear", 5, 1, h=5)
    weights = {**fresh(kind, 0).weights, "U0": torch.eye(5), "W": torch.eye(5)}
    cells = np.arange(5)[:, None]
    assert certify(Network(kind, weights), cells, np.arange(5)).holds
    tied = {**weights, "W": torch.ones(5, 5)}
    found = certify(Network(kind, tied), cells, np.arange(5))
    assert (found.holds, found.cause, found.failure) == (False, "a margin within rounding", (0,))


def test_a_network_that_is_not_a_number_is_refused() -> None:
    kind = architecture("bilinear", 5, 1, h=5)
    weights = {**fresh(kind, 0).weights, "W": torch.full((5, 5), float("nan"))}
    assert not certify(Network(kind, weights), np.arange(5)[:, None], np.arange(5)).holds


@dataclass(frozen=True)
class Odd(Architecture):
    """A user's network."""

    softly: bool = False
    name: ClassVar[str] = "odd"

    def start(self, generator: torch.Generator) -> dict[str, Tensor]:
        return {"U0": 3 * torch.eye(self.size)}

    def forward(self, weights: Weights, inputs: Tensor) -> Tensor:
        rows = weights["U0"][inputs[0]]
        return rows.softmax(1) - 0.5 if self.softly else rows.tanh()

    def tables(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        return (("U0", (0,)),)

    def flops(self) -> float:
        return 1.0


def test_a_users_network_is_enclosed_as_it_stands_or_told_what_has_no_bound() -> None:
    cells = np.arange(7)[:, None]
    assert certify(fresh(Odd(7, 1, softly=True), 0), cells, np.arange(7)).holds
    found = certify(fresh(Odd(7, 1), 0), cells, np.arange(7))
    assert not found.holds
    assert found.cause == "no bound for Odd: the operation tanh"
    assert np.isnan(found.ratio)


def test_what_cannot_be_certified_says_why() -> None:
    network = fresh(architecture("bilinear", 5, 1), 0)
    with pytest.raises(ValueError, match="as many answers as cells, and some, got 0 for 0"):
        certify(network, np.zeros((0, 1), dtype=np.int64), np.zeros(0, dtype=np.int64))
    with pytest.raises(ValueError, match=r"answers must lie in 0 \.\. 4"):
        certify(network, np.zeros((1, 1), dtype=np.int64), np.array([-1]))
    with pytest.raises(NoBound, match="beyond"):
        Enclosed.exactly(torch.tensor([1e13]))


@pytest.mark.slow
@pytest.mark.parametrize("p", [59, 113])
@pytest.mark.parametrize("name", KINDS)
def test_certificates_at_full_size(name: str, p: int, say: Callable[[str], None]) -> None:
    taught = data("a + b", p, 0.5, 0)
    network, _ = trained(name, taught, 0)
    found = certify(network, taught.cells, taught.cell_labels)
    single = certify(network, taught.cells, taught.cell_labels, SINGLE)
    say(
        f"{name} p={p}: margin {found.margin:.2f}, margin/bound {found.ratio:.1e} over the reals, "
        f"{single.ratio:.1e} in float32"
    )
    assert found.holds
    assert found.ratio >= 100


class Trick(Architecture):
    """Forward passes that an enclosure must not take for what they are not."""

    name: ClassVar[str] = "trick"

    def start(self, generator: torch.Generator) -> dict[str, Tensor]:
        return {"T": torch.eye(self.size) * 4}

    def tables(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        return (("T", (0,)),)

    def flops(self) -> float:
        return 1.0

    def forward(self, weights: Weights, inputs: Tensor) -> Tensor:
        h = weights["T"][inputs[0]]
        if self.arity == 1:  # the numbers of tokens beside weights
            return torch.cat([h, -inputs.T], 1)[:, : self.size] - torch.cat([h, -inputs.T], 1)[:, -1:]
        if self.arity == 2:  # a sum of integers
            return (h + 0.25)[:, :, None].expand(-1, -1, 2).sum(2, dtype=torch.int32)
        if h.dtype == torch.float64:  # another function where it is looked at
            return h
        return -h


@pytest.mark.parametrize("arity", [1, 2, 3])
def test_what_only_looks_like_the_networks_function_is_not_certified(arity: int) -> None:
    made = fresh(Trick(5, arity), 0)
    cells = np.array([[a] * arity for a in range(5)])
    found = certify(made, cells, np.arange(5))
    said = made.predict(cells)
    assert not found.holds or (said == np.arange(5)).all()
    if arity != 2:
        assert not found.holds


def test_an_error_in_a_forward_pass_is_a_cause_and_not_a_crash() -> None:
    class Broken(Trick):
        def forward(self, weights: Weights, inputs: Tensor) -> Tensor:
            h = weights["T"][inputs[0]]
            assert h.dtype == torch.float32
            return h

    found = certify(fresh(Broken(5, 2), 0), np.array([[0, 1]]), np.array([0]))
    assert not found.holds
    assert "AssertionError" in found.cause
