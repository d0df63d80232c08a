"""The parameters of a task or a method: read off its function's signature, and filled from what a user typed."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Literal, TypeAlias, Union, get_args, get_origin

from bench.errors import UnknownParameter, UserError, nearest

Value: TypeAlias = int | float | str | bool

_KINDS = {
    int: "an integer",
    float: "a number",
    bool: "true or false",
    str: "a text",
}
FLAG = "--"
_DIGITS = 18  # what 64 bits hold
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True)
class Parameter:
    """One parameter.

    Attributes:
        name: as in the signature.
        type: int, float, bool or str.
        default: None where there is none.
        choices: the only values that it takes, where its annotation is a Literal.
        required: whether the user must give it.
    """

    name: str
    type: type
    default: Value | None = None
    choices: tuple[Value, ...] = ()
    required: bool = False

    @property
    def flag(self) -> str:
        """As it is typed for a task: "--task-seed"."""
        return _label(self.name, FLAG)

    def __str__(self) -> str:
        return self.flag if self.default is None else f"{self.flag} {self.default}"

    def convert(self, value: object, label: str) -> Value:
        """The value in the parameter's type; texts are read, and what is typed already is checked.

        Args:
            label: what an error calls the parameter.

        Raises:
            UserError: it is no such thing.
        """
        converted = self._read(value.strip(), label) if isinstance(value, str) and self.type is not str else value
        if self.type is float and isinstance(converted, int) and not isinstance(converted, bool):
            converted = float(converted)
        if type(converted) is not self.type:
            raise UserError(f"{label}: expected {_KINDS[self.type]}, got {_shown(value)}")
        if self.choices and converted not in self.choices:
            names = [str(x) for x in self.choices]
            raise UserError(
                f"{label}: expected one of {', '.join(names)}, got {_shown(value)}{nearest(str(value), names)}"
            )
        return converted  # pyright: ignore[reportReturnType]

    def _read(self, text: str, label: str) -> Value | None:
        if self.type is bool:
            return _TRUTH.get(text.lower())
        if self.type is int:
            if not re.fullmatch(r"[+-]?[0-9]+", text):
                return None
            if len(text) > _DIGITS:
                raise UserError(f"{label}: expected at most {_DIGITS} digits, got {len(text)}")
            return int(text)
        try:
            number = float(text)
        except ValueError:
            return None
        return number if math.isfinite(number) else None


def parameters_of(function: Callable[..., Any], *, skip: int = 0) -> tuple[Parameter, ...]:
    """The parameters in a function's signature, but for the first ``skip``.

    Types come from the annotations (int, float, bool, str, Literal, each also with ``| None``), else from the defaults.

    Raises:
        UserError: a parameter that cannot be given on a command line.
    """
    name = getattr(function, "__name__", "function")
    try:
        signature = inspect.signature(function, eval_str=True)
    except Exception:  # an annotation that names what is imported for type checkers only
        signature = inspect.signature(function)
    found: list[Parameter] = []
    for parameter in list(signature.parameters.values())[skip:]:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise UserError(f"{name}: its parameter {parameter} cannot be a flag; name each one")
        default = None if parameter.default is parameter.empty else parameter.default
        kind, choices = _kind(parameter.annotation, default)
        if kind not in _KINDS:
            raise UserError(f"{name}: parameter {parameter.name} must be an int, float, bool or str, got {kind}")
        if default is not None:
            default = Parameter(parameter.name, kind, None, choices).convert(default, f"{name}: {parameter.name}")
        found.append(Parameter(parameter.name, kind, default, choices, parameter.default is parameter.empty))
    return tuple(found)


def _kind(annotation: Any, default: object) -> tuple[Any, tuple[Value, ...]]:
    if get_origin(annotation) in (Union, UnionType):
        members = [x for x in get_args(annotation) if x is not NoneType]
        annotation = members[0] if len(members) == 1 else annotation
    if get_origin(annotation) is Literal:
        choices = get_args(annotation)
        return type(choices[0]), choices
    if isinstance(annotation, str):  # one that could not be evaluated
        annotation = {x.__name__: x for x in _KINDS}.get(annotation, inspect.Parameter.empty)
    if annotation is inspect.Parameter.empty:
        return (str if default is None else type(default)), ()
    return annotation, ()


def bind(
    owner: str, parameters: Sequence[Parameter], given: Mapping[str, object], *, prefix: str = FLAG
) -> dict[str, Value]:
    """What was given in the parameters' types, with the defaults filled in, in the signature's order.

    One that is not given and has the default None is left out.

    Args:
        owner: whose parameters they are.
        given: by name; "task_seed", "task-seed" and "--task-seed" are the same.
        prefix: what stands before a name where the user types it: "--" for a task, "bilinear:" for a method.

    Raises:
        UnknownParameter: there is no parameter of that name.
        UserError: a value of the wrong type, or a parameter without a default that is not given.
    """
    asked = {name.lstrip("-").replace("-", "_"): value for name, value in given.items()}
    labels = {x.name: _label(x.name, prefix) for x in parameters}
    for name in asked:
        if name not in labels:
            takes = f"it takes {', '.join(labels.values())}" if parameters else "it takes none"
            label = _label(name, prefix)
            raise UnknownParameter(
                f"{owner}: unknown parameter {label}; {takes}{nearest(label, labels.values())}", label
            )
    values: dict[str, Value] = {}
    for parameter in parameters:
        if parameter.name in asked:
            values[parameter.name] = parameter.convert(asked[parameter.name], labels[parameter.name])
        elif parameter.default is not None:
            values[parameter.name] = parameter.default
        elif parameter.required:
            raise UserError(f"{owner}: {labels[parameter.name]} is missing; expected {_KINDS[parameter.type]}")
    return values


def _label(name: str, prefix: str) -> str:
    return prefix + (name.replace("_", "-") if prefix == FLAG else name)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
