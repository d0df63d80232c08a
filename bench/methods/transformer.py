"""``transformer``: one layer of attention and an MLP, and the program read out of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from bench.limits import DECAY, RATE, STEPS, WIDTH
from bench.method import Inapplicable, Problem
from bench.networks import Settings, trained

D, HEADS = 128, 4


def settings(
    problem: Problem,
    d: Annotated[int | None, WIDTH] = None,
    h: Annotated[int | None, WIDTH] = None,
    heads: Annotated[int | None, WIDTH] = None,
    tables: Literal["auto", "shared", "separate"] = "auto",
    recipe: Literal["fast", "sparse", "delayed"] = "fast",
    lr: Annotated[float | None, RATE] = None,
    wd: Annotated[float | None, DECAY] = None,
    steps: Annotated[int | None, STEPS] = None,
) -> Settings:
    """What the transformer and its decoder may be given."""
    if problem.arity < 2:
        raise Inapplicable("a transformer of one token has nothing to attend to")
    return Settings("transformer", recipe, lr, wd, steps, {"d": d, "h": h, "heads": heads}, tables)


def check(size: int, arity: int, given: Mapping[str, Any]) -> None:
    """Heads share the width; what is not given is the recipes', named here so that torch is not needed."""
    d, heads = given.get("d", D), given.get("heads", HEADS)
    if d % heads:
        raise ValueError(f"expected d to be a multiple of heads, got d = {d} and heads = {heads}")


transformer = trained(
    "transformer",
    settings,
    'Train a one-layer transformer on "a b ="; its law as a program where the two agree.',
    architecture="transformer",
    check=check,
)
