"""The only Python that is ever executed because a user named it: a file with a task, a method or a language."""

from __future__ import annotations

import ast
import hashlib
import re
import sys
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from bench.errors import UserError, nearest


@dataclass(frozen=True)
class UserFile:
    """A file that has been run.

    Attributes:
        path: absolute.
        module: what it defined.
        source_hash: SHA-256 of its bytes and of those of the neighbours that it imports, 64 hex digits.
    """

    path: Path
    module: ModuleType
    source_hash: str

    def __getitem__(self, name: str) -> object:
        """What the file calls so, or what it declares under that name.

        Raises:
            UserError: it has no such thing.
        """
        defined = {key: value for key, value in vars(self.module).items() if not key.startswith("__")}
        if name in defined:
            return defined[name]
        declared = {x.name: x for x in defined.values() if isinstance(getattr(x, "name", None), str)}
        if name in declared:
            return declared[name]
        raise UserError(f"{self.path.name} has no {name!r}{nearest(name, [*defined, *declared])}")


def file_parts(ref: str) -> tuple[str, str] | None:
    """("path/file.py", "name") where the reference is to a file, else None.

    Raises:
        UserError: it is, and names nothing in the file.
    """
    match = re.fullmatch(r"(.*\.py)(?::(.*))?", ref)
    if match is None:
        return None
    if not match[2]:
        raise UserError(f"{ref}: expected {match[1]}:NAME, with what to take from the file")
    return match[1], match[2]


def load_file(text: str) -> UserFile:
    """Run a Python file, found from the current folder.

    Never from a cache of compiled code: an edited file is always seen.

    Raises:
        UserError: no such file, or what is in it does not run; with the line.
    """
    try:
        path = Path(text).expanduser()
        source = path.read_bytes()
    except (OSError, ValueError, RuntimeError) as error:  # a null byte in the name, a ~user who is not there
        raise UserError(f"{text}: {getattr(error, 'strerror', None) or error}") from None
    path = path.resolve()
    module = ModuleType(f"tworoads_user_{hashlib.sha256(str(path).encode()).hexdigest()[:16]}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses look their module up there
    with explained(path), _siblings(path):
        exec(compile(source, str(path), "exec"), module.__dict__)
    return UserFile(path, module, _hash_with_neighbours(path, source))


def _hash_with_neighbours(path: Path, source: bytes) -> str:
    """A hash of the file and of what it imports from its own folder, found by reading the import statements: an edited
    helper must not return old results either. What lies elsewhere is a library, and its version is in the record."""
    digest, seen, todo = hashlib.sha256(source), {path}, [source]
    while todo:
        names: set[str] = set()
        for node in ast.walk(ast.parse(todo.pop())):
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.update([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)])
        for name in sorted(x for x in names if x.partition(".")[0] not in ("bench", "synth", "nets")):
            stem = path.parent.joinpath(*name.split("."))
            for file in (stem.with_suffix(".py"), stem / "__init__.py"):
                if file.is_file() and file not in seen:
                    seen.add(file)
                    todo.append(file.read_bytes())
                    digest.update(todo[-1])
    return digest.hexdigest()


@contextmanager
def explained(path: Path) -> Generator[None]:
    """Whatever goes wrong in the user's code as one line with its place in the file."""
    try:
        yield
    except UserError as error:
        at = _line(path, error)
        raise UserError(f"{path.name}{at}: {error}") from error
    except SyntaxError as error:
        line = f":{error.lineno}" if error.filename == str(path) else _line(path, error)
        elsewhere = "" if error.filename == str(path) else f" in {Path(error.filename or '').name}:{error.lineno}"
        raise UserError(f"{path.name}{line}: syntax error{elsewhere}: {error.msg}") from error
    except (Exception, SystemExit) as error:
        raise UserError(f"{path.name}{_line(path, error)}: {type(error).__name__}: {error}") from error


def _line(path: Path, error: BaseException | None) -> str:
    """ ":12", the last line of the file that the error, or what caused it, came through."""
    while error is not None:
        lines = [x.lineno for x in traceback.extract_tb(error.__traceback__) if x.filename == str(path)]
        if lines:
            return f":{lines[-1]}"
        error = error.__cause__
    return ""


@contextmanager
def _siblings(path: Path) -> Generator[None]:
    """Let the file import its neighbours while it runs; last in line, so that it hides nothing."""
    folder = str(path.parent)
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
