"""AdamW: some weights' own paces, and second moments in common, for one network and for many side by side."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from nets.optimise import AdamW, AdamWRows

RATE, BETAS, DECAY = 0.05, (0.9, 0.98), 2.0


def first() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {"routes": torch.randn(3, 4, generator=generator), "rest": torch.randn(5, generator=generator)}


def after(paces: Mapping[str, float] | None, rate: float, steps: int = 20) -> dict[str, Tensor]:
    """The weights after steps whose gradients are the same at any pace."""
    optimiser = AdamW(first(), BETAS, DECAY, paces)
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        for gradient in optimiser.gradients.values():
            gradient.add_(torch.randn(gradient.shape, generator=generator))
        optimiser.update(rate)
    return {name: x.clone() for name, x in optimiser.weights.items()}


def test_a_pace_is_a_step_size_of_its_own() -> None:
    paced, slow, full = after({"routes": 0.1}, RATE), after(None, 0.1 * RATE), after(None, RATE)
    torch.testing.assert_close(paced["routes"], slow["routes"])
    torch.testing.assert_close(paced["rest"], full["rest"])
    assert not torch.allclose(slow["routes"], full["routes"], atol=0.1)


def test_a_pace_of_one_changes_no_bit() -> None:
    paced, full = after({"routes": 1.0}, RATE), after(None, RATE)
    assert all(torch.equal(paced[name], full[name]) for name in full)


def test_side_by_side_paces_are_what_they_are_alone() -> None:
    paces, k, steps = {"routes": 0.1}, 2, 20
    rows = AdamWRows({name: torch.stack([x] * k) for name, x in first().items()}, BETAS, paces)
    generator = torch.Generator().manual_seed(1)
    for step in range(1, steps + 1):
        for gradient in rows.gradients.values():
            gradient.add_(torch.randn(gradient.shape[1:], generator=generator))
        columns = RATE / (1 - BETAS[0] ** step), 1 - RATE * DECAY, (1 - BETAS[1] ** step) ** -0.5, 1.0
        rows.update(*(torch.full((k, 1), x) for x in columns))
    for name, alone in after(paces, RATE, steps).items():
        torch.testing.assert_close(rows.weights[name], torch.stack([alone] * k))


def test_a_pace_that_is_not_positive_is_one_line() -> None:
    with pytest.raises(ValueError, match="AdamW: the pace of routes must be positive, got 0"):
        AdamW(first(), BETAS, DECAY, {"routes": 0.0})


def turned(common: bool, angle: float, steps: int = 30) -> Tensor:
    """A matrix on its way to a target, both turned by an angle, turned back."""
    turn = torch.linalg.matrix_exp(angle * torch.tensor([[0.0, 1, 0], [-1, 0, 1], [0, -1, 0]]))
    target = torch.tensor([[3.0, 0.1, 0], [0, -1, 0.2], [0.5, 0, 2]])
    optimiser = AdamW({"W": torch.eye(3) @ turn}, BETAS, DECAY)
    for _ in range(steps):
        optimiser.gradients["W"].add_(optimiser.weights["W"] - target @ turn)
        optimiser.update(RATE, common)
    return optimiser.weights["W"] @ turn.T


def test_with_moments_in_common_no_axis_is_special() -> None:
    torch.testing.assert_close(turned(True, 0.7), turned(True, 0.0))
    assert not torch.allclose(turned(False, 0.7), turned(False, 0.0), atol=0.01)


def test_side_by_side_moments_are_shared_where_they_are_alone() -> None:
    k, steps = 2, 20
    generator = torch.Generator().manual_seed(1)
    rows = AdamWRows({name: torch.stack([x] * k) for name, x in first().items()}, BETAS)
    alone = [AdamW(first(), BETAS, DECAY) for _ in range(k)]
    for step in range(1, steps + 1):
        flags = [step > 5, False]
        for name, gradient in rows.gradients.items():
            noise = torch.randn(gradient.shape, generator=generator)
            gradient.add_(noise)
            for one, part in zip(alone, noise, strict=True):
                one.gradients[name].add_(part)
        columns = RATE / (1 - BETAS[0] ** step), 1 - RATE * DECAY, (1 - BETAS[1] ** step) ** -0.5, 1.0
        rows.update(*(torch.full((k, 1), x) for x in columns), torch.tensor([[float(x)] for x in flags]))
        for one, flag in zip(alone, flags, strict=True):
            one.update(RATE, flag)
    for name, weights in rows.weights.items():
        torch.testing.assert_close(weights, torch.stack([one.weights[name] for one in alone]))
    assert not torch.allclose(rows.weights["routes"][0], rows.weights["routes"][1], atol=0.01)


def test_moments_in_common_never_fall() -> None:
    """A gradient a thousand times as small makes a step a thousand times as small."""
    optimiser = AdamW({"W": torch.ones(4)}, (0.0, 0.5), 0.0)
    sizes: list[float] = []
    for size in [1.0] * 30 + [1e-3] * 30:
        before = optimiser.weights["W"].clone()
        optimiser.gradients["W"].fill_(size)
        optimiser.update(RATE, True)
        sizes.append(float((before - optimiser.weights["W"]).mean()))
    assert sizes[29] == pytest.approx(RATE, rel=1e-3)
    assert sizes[-1] == pytest.approx(1e-3 * RATE, rel=1e-2)
