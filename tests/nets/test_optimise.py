"""AdamW: paces are step sizes of some weights' own, for one network and for many side by side."""

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
