"""What a method's results depend on beside its version: the text of the modules that it names."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path


@cache
def digest(modules: Sequence[str]) -> str:
    """SHA-256 of the modules' texts, 64 hex digits, found without importing them; "" of none.

    Args:
        modules: by name, in this order: a tuple.

    Raises:
        ModuleNotFoundError: one is not there, or has no file.
    """
    if not modules:
        return ""
    found = hashlib.sha256()
    for name in modules:
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"no module {name!r} with a file", name=name)
        # Git may have checked it out with the line ends of another system.
        found.update(Path(spec.origin).read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return found.hexdigest()
