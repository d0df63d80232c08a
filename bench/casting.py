"""The network and the recipe that a film's references name, checked as a user's input is."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.errors import UserError, nearest
from bench.limits import WIDTH
from bench.parameters import bind, parameters_of
from bench.registry import split_reference
from bench.userfile import file_parts

if TYPE_CHECKING:
    from nets.models import Architecture
    from nets.recipes import Recipe

TRIED = 3  # cells that a user's own architecture is tried on


def network_of(ref: str, recipe: str, size: int, arity: int, n: int, alike: bool | None = None) -> Architecture:
    """The architecture that a reference names, with the recipe's own widths where the reference sets none.

    Args:
        alike: whether the order of the inputs does not matter; None where that is not known.

    Raises:
        UserError: one line on what cannot be used.
    """
    from nets.models import ARCHITECTURES, architecture
    from nets.recipes import widths

    name, options = split_reference(ref.strip())
    plain, colon, _ = name.partition(":")
    if colon and plain in ARCHITECTURES:
        raise UserError(f"--arch: {name!r}: expected {plain}:option=value")
    if name not in ARCHITECTURES:
        kind = _from_file(name, list(ARCHITECTURES))
        label = name.rpartition(":")[2]
        return tried(kind, size, arity, bind(label, parameters_of(kind, skip=2), options, prefix=f"{label}:"), label)
    kind = type(architecture(name, size, max(2, arity)))
    given = bind(name, parameters_of(kind, skip=2), options, prefix=f"{name}:")
    asked = {k: v for k, v in given.items() if k in options}
    return _made(kind, size, arity, {**widths(name, size, arity, n, recipe, alike), **asked})


def own(ref: str) -> bool:
    """Whether a reference names a user's own architecture."""
    return file_parts(split_reference(ref.strip())[0]) is not None


def _from_file(name: str, known: list[str]) -> Any:
    from bench.userfile import explained, load_file
    from nets.models import Architecture

    parts = file_parts(name)
    if parts is None:
        raise UserError(f"--arch: no network {name!r}{nearest(name, known) or '; there are ' + ', '.join(known)}")
    file = load_file(parts[0])
    with explained(file.path):
        kind = file[parts[1]]
    if not (isinstance(kind, type) and issubclass(kind, Architecture)):
        raise UserError(f"--arch: {name} is no subclass of nets.models.Architecture")
    return kind


def _made(kind: Any, size: int, arity: int, options: Mapping[str, Any]) -> Architecture:
    for name, value in options.items():
        if type(value) is int and value not in WIDTH:
            raise UserError(f"--arch: {kind.name}:{name}: expected an integer {WIDTH}, got {value}")
    try:
        return kind(size, arity, **options)
    except (ValueError, TypeError) as error:
        raise UserError(f"--arch: {error}") from None


def tried(kind: type[Architecture], size: int, arity: int, options: Mapping[str, Any], label: str) -> Architecture:
    """A user's own architecture, which has taken a step on three cells: what can't be trained is told beforehand.

    Args:
        label: what an error calls it.

    Raises:
        UserError: one line on what is wrong with it, and where in its file.
    """
    import torch

    from bench.userfile import explained
    from nets.models import tokens
    from nets.recipes import Recipe
    from nets.train import train

    if not isinstance(called := getattr(kind, "name", None), str):
        raise UserError(f"{label}: name: expected a text, name: ClassVar[str] = {label.lower()!r}, got {called!r}")
    cells = np.random.default_rng(0).integers(0, size, (TRIED, arity))
    file = inspect.getsourcefile(kind)
    with explained(Path(file)) if file else nullcontext():
        made = kind(size, arity, **options)
        weights = made.start(torch.Generator().manual_seed(0))
        found = tuple(made.forward(weights, tokens(cells)).shape)
        if found != (TRIED, size):
            raise UserError(
                f"{label}: forward: expected logits of shape ({TRIED}, {size}) for {TRIED} cells, got {found}"
            )
        for name, readers in made.tables():
            rows = tuple(weights[name].shape) if name in weights else ()
            if len(rows) != 2 or rows[0] != size or not set(readers) <= set(range(arity)):
                raise UserError(
                    f"{label}: tables: expected weights of shape ({size}, any) with the inputs, below {arity}, that "
                    f"read them, got {name!r} of shape {rows} with {tuple(readers)}"
                )
        next(train(made, cells, cells[:, 0], Recipe(rate=1e-6, decay=0.0, steps=1), 0))
    return made


def recipe_of(name: str, network: Architecture, n: int, changes: Mapping[str, int | float]) -> Recipe:
    """The named recipe, with single settings replaced.

    Raises:
        UserError: there is none of that name.
    """
    from nets.recipes import RECIPES, recipe

    if name not in RECIPES:
        raise UserError(f"--recipe: expected one of {', '.join(RECIPES)}, got {name!r}{nearest(name, RECIPES)}")
    return recipe(name, network, n, **changes)
