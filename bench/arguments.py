"""What a caller in Python passes, in the types that the command line would give: one line for whatever cannot be."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, ParamSpec, TypeVar, Union, get_args, get_origin

from bench.errors import UserError
from bench.parameters import Parameter

P = ParamSpec("P")
R = TypeVar("R")


def as_typed(function: Callable[P, R]) -> Callable[P, R]:
    """A function whose arguments are read by its own annotations, as a command reads its flags.

    A number or a truth may be a text, or numpy's; a list may be one text with commas. What ``**`` takes stays as it is.
    The function then also raises a UserError, which names the argument, for one of another type.
    """

    @wraps(function)
    def typed(*args: P.args, **given: P.kwargs) -> R:
        signature = inspect.signature(function, eval_str=True)
        bound = signature.bind(*args, **given)
        for name, value in bound.arguments.items():
            parameter = signature.parameters[name]
            if parameter.kind is not parameter.VAR_KEYWORD:
                bound.arguments[name] = _read(name, parameter.annotation, value)
        return function(*bound.args, **bound.kwargs)

    return typed


def _read(name: str, annotation: Any, value: Any) -> Any:
    kinds = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    if value is None and NoneType in kinds:
        return None
    label = Parameter(name, str).flag
    for kind in kinds:
        if get_origin(kind) is Sequence:
            one = Parameter(name, get_args(kind)[0])
            return [one.convert(_plain(x), label) for x in _items(value, label)]
    if Path in kinds:
        if not isinstance(value, (str, Path)):
            raise UserError(f"{label}: expected a path, got {value!r}")
        return value
    return Parameter(name, kinds[0]).convert(_plain(value), label)


def _items(value: Any, label: str) -> list[Any]:
    if isinstance(value, str):
        return [x.strip() for x in value.split(",") if x.strip()]
    try:
        return list(value)
    except TypeError:
        raise UserError(f"{label}: expected a list, got {value!r}") from None


def _plain(value: Any) -> Any:
    """A number of an array library's own type as Python's."""
    return value.item() if getattr(value, "shape", None) == () else value
