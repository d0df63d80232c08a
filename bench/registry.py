"""From what a user types to tasks and methods: built-in names, files, entry points, expressions.

A built-in's name is its file's name (with _ for what a file name cannot hold), so that looking one up imports that
one alone.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from pkgutil import iter_modules
from types import FunctionType, ModuleType
from typing import Literal, TypeVar

from bench import methods, tasks
from bench.errors import UserError, nearest
from bench.expression import expression
from bench.method import Method
from bench.parameters import Value, bind, parameters_of
from bench.slug import folder_name
from bench.sources import digest
from bench.task import Task, TaskFamily
from bench.userfile import UserFile, explained, file_parts, load_file

Origin = Literal["built-in", "file", "entry point", "expression"]
_D = TypeVar("_D", TaskFamily, Method)

_METHOD_ARGUMENTS = 3  # problem, budget, rng


@dataclass(frozen=True)
class LoadedTask:
    """A task, and all that is needed to find it again.

    Attributes:
        ref: what finds it from any folder: a name, an expression, or "/path/file.py:name".
        name: what the CSV calls it: the built-in's name, "file.py:name", or the expression in its normal spacing.
        version: of the family.
        params: every parameter with its value.
        task: the task.
        origin: where it was found.
        slug: the name of its results folder; different tasks or parameters never share one.
    """

    ref: str
    name: str
    version: int
    params: Mapping[str, Value]
    task: Task
    origin: Origin
    slug: str


@dataclass(frozen=True)
class Listing:
    """One line of --list: a name, its parameters as they are typed, and what it is."""

    name: str
    parameters: str
    about: str


@dataclass(frozen=True)
class _Found:
    """A family, where it was found, under what name, and what tells it from others of the same name."""

    family: TaskFamily
    origin: Origin
    ref: str
    name: str
    identity: str
    file: UserFile | None = None


def as_flags(params: Mapping[str, int | float | str | bool]) -> dict[str, str]:
    """Typed parameters as the strings that the registry parses."""
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in params.items()}


def load_task(
    ref: str, parameters: Mapping[str, object] | None = None, *, spare: Mapping[str, object] | None = None
) -> LoadedTask:
    """The task that a reference names, with these parameters.

    Args:
        ref: "modadd", "affine:alpha=3", "path/file.py:name", or an expression such as "a**2 + 3*b".
        parameters: by name; texts are read by the parameter's type. They win over those in the reference.
        spare: more of them, used where the task takes them and neither of the others gives them.

    Raises:
        UserError: one line on what cannot be used.
    """
    head, inline = split_reference(ref.strip())
    if not head:
        raise UserError(
            f"no task: expected a name, file.py:name or an expression; there are {', '.join(_names(tasks))}"
        )
    found = _find_task(head)
    family = found.family
    names = [x.name for x in family.parameters]
    given = {_key(k): v for k, v in {**inline, **(parameters or {})}.items()}
    given = {**{k: v for k, v in (spare or {}).items() if k in names}, **given}
    values = {k: _anywhere(k, v) for k, v in bind(found.name, family.parameters, given).items()}
    if found.file is None:
        task = family.build(**values)
    else:
        with explained(found.file.path):
            task = family.build(**values)
    task = task.named(found.name, family.version)
    identity = "" if found.origin == "built-in" else f"{found.origin} {found.identity}"
    shown = values
    if "file" in values:  # the folder's name depends on what is in the file, and not on where it lies
        identity += task.fingerprint
        shown = {**values, "file": Path(str(values["file"])).stem}
    slug = folder_name(found.name, shown, {x.name: x.default for x in family.parameters}, identity)
    return LoadedTask(found.ref, found.name, family.version, values, task, found.origin, slug)


def load_method(ref: str) -> tuple[Method, dict[str, Value], str]:
    """The method that a reference names, the parameters that it sets, and what its results depend on.

    Args:
        ref: "bilinear", "bilinear:h=256:recipe=delayed", "path/file.py:name" or "path/file.py:name:h=3".

    Returns:
        The method; its parameters, typed, without those that are at their defaults; and its source: the hash of a
        user's file, the version of others, and of what it declares as its ``sources``.

    Raises:
        UserError: one line on what cannot be used.
    """
    head, inline = split_reference(ref.strip())
    if not head:
        raise UserError(f"no method: expected a name or file.py:name; there are {', '.join(_names(methods))}")
    parts = file_parts(head)
    found, source = _named_method(head) if parts is None else _file_method(*parts)
    parameters = parameters_of(found.run, skip=_METHOD_ARGUMENTS)
    values = bind(found.name, parameters, inline, prefix=f"{found.name}:")
    defaults = {x.name: x.default for x in parameters}
    return found, {k: v for k, v in values.items() if v != defaults[k]}, source


def list_tasks() -> list[Listing]:
    """Every built-in and installed task."""
    families = [_builtin(tasks, name, TaskFamily) for name in _names(tasks)]
    listings = [Listing(x.name, " ".join(map(str, x.parameters)), x.about) for x in families]
    for point in entry_points(group="tworoads.tasks"):
        try:
            family = _as_family(point.name, _loaded(point))
            listings.append(Listing(point.name, " ".join(map(str, family.parameters)), family.about))
        except UserError as error:  # a broken installation is shown, and hides nothing else
            listings.append(Listing(point.name, "", str(error)))
    return listings


def list_methods() -> list[Listing]:
    """Every built-in and installed method."""
    listings = [_described(_builtin(methods, name, Method)) for name in _names(methods)]
    for point in entry_points(group="tworoads.methods"):
        try:
            listings.append(_described(_as_method(point.name, _loaded(point))))
        except UserError as error:
            listings.append(Listing(point.name, "", str(error)))
    return listings


def _described(found: Method) -> Listing:
    options = parameters_of(found.run, skip=_METHOD_ARGUMENTS)
    return Listing(
        found.name,
        " ".join(f":{x.name}" if x.default is None else f":{x.name}={x.default}" for x in options),
        found.about,
    )


def split_reference(ref: str) -> tuple[str, dict[str, str]]:
    """The name, and the parameters that follow it as :key=value.

    Raises:
        UserError: one is given twice.
    """
    end = re.search(r"(:[A-Za-z_][\w-]*=[^:]*)*$", ref)
    head = ref[: end.start()] if end else ref
    pieces = [x.partition("=") for x in ref[len(head) + 1 :].split(":")] if len(head) < len(ref) else []
    given = {_key(name): value for name, _, value in pieces}
    if len(given) < len(pieces):
        raise UserError(f"{ref}: a parameter is given twice")
    return head.strip(), given


def _key(name: str) -> str:
    return name.lstrip("-").replace("-", "_")


def _names(package: ModuleType) -> list[str]:
    """The names of the built-ins of a package, from its files' names alone."""
    stems = sorted(x.name for x in iter_modules(package.__path__))
    return stems if package is tasks else [x.replace("_", "+") for x in stems]


def _builtin(package: ModuleType, name: str, kind: type[_D]) -> _D:
    module = importlib.import_module(f"{package.__name__}.{name.replace('+', '_')}")
    for value in vars(module).values():
        if isinstance(value, kind) and value.name == name:
            return value
    raise UserError(f"{module.__name__} declares no {name!r}")


def _anywhere(name: str, value: Value) -> Value:
    """A parameter that refers to a file (--of my.py:mine, or any --file) as one that does so from every folder."""
    if name == "file" and isinstance(value, str):
        return os.path.abspath(os.path.expanduser(value))
    match = re.fullmatch(r"(.*\.py)(:.+)", value) if isinstance(value, str) else None
    return f"{Path(match[1]).expanduser().resolve()}{match[2]}" if match else value


def _entry_point(group: str, name: str) -> EntryPoint | None:
    return next(iter(entry_points(group=group, name=name)), None)


def _loaded(point: EntryPoint) -> object:
    try:
        return point.load()
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        raise UserError(f"{point.name}: the installed {point.value} cannot be loaded: {why}") from error


def _find_task(head: str) -> _Found:
    if head in (known := _names(tasks)):
        return _Found(_builtin(tasks, head, TaskFamily), "built-in", head, head, head)
    if (point := _entry_point("tworoads.tasks", head)) is not None:
        return _Found(_as_family(point.name, _loaded(point)), "entry point", head, head, point.value)
    if (parts := file_parts(head)) is not None:
        path, name = parts
        file = load_file(path)
        wanted = file[name]
        with explained(file.path):
            family = _as_family(name, wanted)
        called = f"{file.path.name}:{family.name}" if family.name in known else family.name
        ref = f"{file.path}:{name}"
        return _Found(family, "file", ref, called, ref, file)
    installed = [x.name for x in entry_points(group="tworoads.tasks")]
    hint = nearest(head, [*known, *installed])
    if head.isidentifier():
        raise UserError(f"unknown task {head!r}{hint or '; there are ' + ', '.join([*known, *installed])}")
    if ":" in head:
        raise UserError(f"{head!r}: expected a task's name, file.py:name or an expression{hint}")
    try:
        family = expression(head)
    except ValueError as error:
        why = str(error).partition("; did you mean")[0] if hint else error
        raise UserError(f"task {why}{hint}") from None
    return _Found(family, "expression", family.name, family.name, family.name)


def _as_family(name: str, found: object) -> TaskFamily:
    """A declared task, a task itself, or a plain function that returns one, as a family."""
    if isinstance(found, TaskFamily):
        return found
    if isinstance(found, Task):
        return TaskFamily(name, 1, (), "", lambda: found)
    if isinstance(found, FunctionType):
        about = (found.__doc__ or "").strip().partition("\n")[0]
        return TaskFamily(name, 1, parameters_of(found), about, found)
    raise UserError(f"{name}: expected a task or a function that returns one, got {type(found).__name__}")


def _named_method(head: str) -> tuple[Method, str]:
    if head in (known := _names(methods)):
        found = _builtin(methods, head, Method)
        return found, f"version {found.version} {digest(found.sources)}".strip()
    if (point := _entry_point("tworoads.methods", head)) is not None:
        found = _as_method(point.name, _loaded(point))
        release = point.dist.version if point.dist else ""
        return found, f"version {found.version} of {point.value} {release}".strip()
    known += [x.name for x in entry_points(group="tworoads.methods")]
    name, colon, _ = head.partition(":")
    if colon and name in known:
        raise UserError(f"method {head!r}: expected {name}:parameter=value")
    raise UserError(f"unknown method {head!r}{nearest(head, known) or '; there are ' + ', '.join(known)}")


def _file_method(path: str, name: str) -> tuple[Method, str]:
    file = load_file(path)
    wanted = file[name]
    with explained(file.path):
        found = _as_method(name, wanted)
    if found.name in _names(methods):
        found = replace(found, name=f"{file.path.name}:{found.name}")
    return found, f"{file.source_hash} {digest(found.sources)}".strip()


def _as_method(name: str, found: object) -> Method:
    """A declared method; or a plain generator function, or a network's architecture, as one."""
    if isinstance(found, type):
        from bench.networks import of_architecture

        found = of_architecture(name, found)
    if isinstance(found, FunctionType):
        about = (found.__doc__ or "").strip().partition("\n")[0]
        found = Method(name, 1, "user", found, {}, (), None, trains=False, online=False, about=about)
    if not isinstance(found, Method):
        raise UserError(f"{name}: expected a method or a generator function, got {type(found).__name__}")
    if len(inspect.signature(found.run).parameters) < _METHOD_ARGUMENTS:
        raise UserError(f"{name}: expected its function to take (problem, budget, rng)")
    return found
