"""The parameters of a task or a method: read off its function's signature, and filled from what a user typed."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin

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
class Range:
    """What a number may be, as part of its annotation: ``h: Annotated[int, Range(least=1)] = 128``.

    Attributes:
        least, most: the ends, themselves allowed; None where there is none.
        above: what it must exceed.
    """

    least: float | None = None
    most: float | None = None
    above: float | None = None

    def __contains__(self, value: float) -> bool:
        return (
            (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
            and (self.above is None or value > self.above)
        )

    def __str__(self) -> str:
        if self.least is not None and self.most is not None and self.above is None:
            return f"from {_told(self.least)} to {_told(self.most)}"
        ends = ((self.above, "above"), (self.least, "of at least"), (self.most, "of at most"))
        return " and ".join(f"{word} {_told(end)}" for end, word in ends if end is not None)


@dataclass(frozen=True)
class Parameter:
    """One parameter.

    Attributes:
        name: as in the signature.
        type: int, float, bool or str.
        default: None where there is none.
        choices: the only values that it takes, where its annotation is a Literal.
        required: whether the user must give it.
        range: what it may be, where its annotation has a ``Range``.
    """

    name: str
    type: type
    default: Value | None = None
    choices: tuple[Value, ...] = ()
    required: bool = False
    range: Range | None = None

    @property
    def flag(self) -> str:
        """As it is typed for a task: "--task-seed"."""
        return _label(self.name, FLAG)

    @property
    def expected(self) -> str:
        """What an error says that it takes: "an integer of at least 1"."""
        return f"{_KINDS[self.type]} {self.range}".rstrip() if self.range is not None else _KINDS[self.type]

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
            try:
                converted = float(converted)
            except OverflowError:
                raise UserError(f"{label}: expected {self.expected}, got {_shown(value)}") from None
        if type(converted) is not self.type:
            raise UserError(f"{label}: expected {self.expected}, got {_shown(value)}")
        if self.range is not None and isinstance(converted, (int, float)) and converted not in self.range:
            raise UserError(f"{label}: expected {self.expected}, got {_shown(value)}")
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

    Types come from the annotations (int, float, bool, str, Literal, each also with ``| None``, and a number's with a
    ``Range`` in ``Annotated``), else from the defaults.

    Raises:
        UserError: a parameter that cannot be given on a command line, or a Range of what is no number.
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
        kind, choices, limits = _kind(parameter.annotation, default)
        if kind not in _KINDS:
            raise UserError(f"{name}: parameter {parameter.name} must be an int, float, bool or str, got {kind}")
        if limits is not None and kind not in (int, float):
            raise UserError(
                f"{name}: parameter {parameter.name}: a Range is of an int or a float, not a {kind.__name__}"
            )
        if default is not None:
            plain = Parameter(parameter.name, kind, None, choices, range=limits)
            default = plain.convert(default, f"{name}: {parameter.name}")
        found.append(Parameter(parameter.name, kind, default, choices, parameter.default is parameter.empty, limits))
    return tuple(found)


def _kind(annotation: Any, default: object) -> tuple[Any, tuple[Value, ...], Range | None]:
    """Its type, its choices, its range."""
    limits: Range | None = None
    while get_origin(annotation) is Annotated or get_origin(annotation) in (Union, UnionType):
        if get_origin(annotation) is Annotated:
            annotation, *extras = get_args(annotation)
            limits = next((x for x in extras if isinstance(x, Range)), limits)
            continue
        members = [x for x in get_args(annotation) if x is not NoneType]
        if len(members) != 1:
            break
        annotation = members[0]
    if get_origin(annotation) is Literal:
        choices = get_args(annotation)
        return type(choices[0]), choices, limits
    if isinstance(annotation, str):  # one that could not be evaluated
        annotation = {x.__name__: x for x in _KINDS}.get(annotation, inspect.Parameter.empty)
    if annotation is inspect.Parameter.empty:
        return (str if default is None else type(default)), (), limits
    return annotation, (), limits


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
            raise UserError(f"{owner}: {labels[parameter.name]} is missing; expected {parameter.expected}")
    return values


def _label(name: str, prefix: str) -> str:
    return prefix + (name.replace("_", "-") if prefix == FLAG else name)


def _told(end: float) -> str:
    return str(int(end)) if float(end).is_integer() and abs(end) < 10**_DIGITS else repr(float(end))


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
