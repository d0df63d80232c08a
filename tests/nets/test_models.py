"""Architectures: pure functions whose hand-written gradients are autograd's, and networks that survive storage."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nets.models import Architecture, Weights, architecture, fresh, from_state, tokens
from nets.optimise import cross_entropy_
from nets.transformer import Transformer

KINDS = [
    ("bilinear", 1, {"h": 12}),
    ("bilinear", 2, {"h": 12}),
    ("bilinear", 3, {"h": 12, "shared": 0.7}),
    ("bilinear", 4, {"h": 12}),
    ("quadratic", 1, {"h": 12}),
    ("quadratic", 3, {"h": 12}),
    ("quadratic", 2, {"h": 12, "separate": False}),
    ("relu", 2, {"d": 8, "h": 12}),
    ("relu", 3, {"h": 12, "separate": True}),
    ("transformer", 2, {"d": 8, "h": 12}),
    ("transformer", 3, {"d": 8, "h": 12, "heads": 2, "attention": 0.3}),
    ("transformer", 3, {"d": 8, "h": 12, "separate": True}),
    ("transformer", 4, {"d": 8, "h": 12, "place": 4.0}),
]


def build(name: str, arity: int, options: dict[str, float], size: int = 7) -> Architecture:
    return architecture(name, size, arity, **options)


def examples(arity: int, n: int = 40, size: int = 7) -> tuple[np.ndarray, torch.Tensor]:
    rng = np.random.default_rng(arity)
    return rng.integers(0, size, (n, arity)), torch.from_numpy(rng.integers(0, size, n))


def nudged(kind: Architecture) -> dict[str, torch.Tensor]:
    """Fresh weights, none of them zero."""
    generator = torch.Generator().manual_seed(5)
    return {name: x + 0.1 * torch.randn(x.shape, generator=generator) for name, x in fresh(kind, 0).weights.items()}


def gradients(kind: Architecture, weights: Weights, inputs: torch.Tensor, labels: torch.Tensor, *, by_hand: bool):
    """The gradient that an architecture writes by hand, or the one that they all inherit."""
    collected = {name: torch.zeros_like(x) for name, x in weights.items()}
    differentiate = kind.differentiate if by_hand else super(type(kind), kind).differentiate
    with torch.no_grad():
        loss, hits = differentiate(weights, collected, len(labels) + 3, 0.1)(inputs, labels)
    return collected, float(loss), int(hits)


@pytest.mark.parametrize(("name", "arity", "options"), KINDS)
def test_gradients_by_hand_are_those_of_autograd(name: str, arity: int, options: dict[str, float]) -> None:
    kind = build(name, arity, options)
    inputs, labels = examples(arity)
    weights = nudged(kind)
    one, loss, hits = gradients(kind, weights, tokens(inputs), labels, by_hand=True)
    two, expected, expected_hits = gradients(kind, weights, tokens(inputs), labels, by_hand=False)
    assert loss == pytest.approx(expected, rel=1e-5)
    assert hits == expected_hits
    for key in weights:
        assert torch.allclose(one[key], two[key], atol=1e-6, rtol=1e-4), key
        if not (key.startswith("u") and not getattr(kind, "shared", 0)):
            assert two[key].abs().max() > 0, f"{key} never learns"


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_is_torchs(smoothing: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = (5 * torch.randn(30, 7, generator=generator)).requires_grad_()
    labels = torch.randint(7, (30,), generator=generator)
    expected = torch.nn.functional.cross_entropy(logits, labels)
    torch.nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing).backward()
    slope = logits.detach().clone()
    loss, hits = cross_entropy_(slope, labels, smoothing)
    assert float(loss) == pytest.approx(float(expected.detach()), rel=1e-5)
    assert torch.allclose(slope, logits.grad, atol=1e-6)
    assert int(hits) == int((logits.argmax(1) == labels).sum())


@pytest.mark.parametrize("arity", [2, 3])
def test_the_transformer_is_attention_over_all_its_tokens(arity: int) -> None:
    """Against attention as the literature writes it: every token embedded, a softmax over positions, read at "="."""
    kind = Transformer(7, arity, d=8, h=12, heads=2, attention=0.7)
    weights = {name: x.double() for name, x in nudged(kind).items()}
    inputs, _ = examples(arity)
    stream = torch.cat(
        [
            weights["E"][torch.from_numpy(inputs)] + weights["P"],
            weights["e"].expand(len(inputs), 1, 8),
        ],
        dim=1,
    )
    query, key, value = (
        (stream @ weights[x]).view(len(inputs), arity + 1, 2, 4).transpose(1, 2) for x in ("Q", "K", "V")
    )
    scores = 0.7 * query[:, :, -1:] @ key.transpose(2, 3) / 4**0.5
    mixed = (scores.softmax(-1) @ value).transpose(1, 2).reshape(len(inputs), 8)
    residual = stream[:, -1] + mixed @ weights["O"]
    hidden = torch.relu(residual @ weights["M"] + weights["b"])
    expected = (residual + hidden @ weights["N"]) @ weights["W"]
    assert torch.allclose(kind.forward(weights, tokens(inputs)), expected, atol=1e-10)


@pytest.mark.parametrize(("name", "arity", "options"), KINDS)
def test_a_stored_network_says_the_same(name: str, arity: int, options: dict[str, float]) -> None:
    kind = build(name, arity, options)
    network = fresh(kind, 3)
    inputs, _ = examples(arity)
    again = from_state(kind, network.state())
    np.testing.assert_array_equal(network.logits(inputs), again.logits(inputs))
    np.testing.assert_array_equal(network.predict(inputs), again.logits(inputs).argmax(axis=1))
    assert network.logits(inputs).dtype == np.float32
    assert network.logits(inputs[:0]).shape == (0, 7)


def test_a_stored_network_of_another_shape_is_refused() -> None:
    state = fresh(build("bilinear", 2, {"h": 12}), 0).state()
    with pytest.raises(ValueError, match=r"bilinear wants U0 of shape \(7, 16\), got \(7, 12\)"):
        from_state(build("bilinear", 2, {"h": 16}), state)
    with pytest.raises(ValueError, match="wants W"):
        from_state(build("bilinear", 2, {"h": 12}), {k: v for k, v in state.items() if k != "W"})


def test_the_seed_decides_the_weights_and_no_global_generator_moves() -> None:
    kind = build("transformer", 2, {})
    before = torch.get_rng_state()
    one, two, other = fresh(kind, 1).state(), fresh(kind, 1).state(), fresh(kind, 2).state()
    assert all(np.array_equal(one[k], two[k]) for k in one)
    assert not np.array_equal(one["E"], other["E"])
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("name", "arity", "options", "message"),
    [
        ("bilinaer", 2, {}, "no network 'bilinaer'.*did you mean 'bilinear'"),
        ("bilinear", 2, {"heads": 2}, "bilinear: no option 'heads'; it has h, shared"),
        ("transformer", 1, {}, "takes 2 to 4 inputs, got 1"),
        ("transformer", 2, {"d": 30}, "multiple of the 4 heads, got 30"),
    ],
)
def test_what_cannot_be_built_says_why(name: str, arity: int, options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(name, arity, options)
