"""The names of results folders: a task's, and those within it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence

from bench.parameters import Value

LONGEST = 80
_WORDS = (("**", ""), ("*", ""), ("+", " plus "), ("/", " over "))


def folder_name(
    name: str, values: Mapping[str, Value], defaults: Mapping[str, Value | None], identity: str = ""
) -> str:
    """ "modadd-p59" for a built-in with p alone set; else something readable and 8 hex digits that tell it apart.

    Args:
        name: of the task; may be an expression or "file.py:name".
        values, defaults: of its parameters.
        identity: what tells the task from others of that name; empty for a built-in, whose name is its own.

    Returns:
        Letters, digits, - and _ alone, at most 80, safe on every file system.
    """
    others = [f"{key}-{value}" for key, value in values.items() if key != "p" and value != defaults[key]]
    p = [f"p{values['p']}"] if "p" in values else []
    if not identity and not others:
        return "-".join([name, *p])
    return slug([_spelled(name), *p, *others], [name, identity, dict(values)])


def slug(pieces: Sequence[str], content: object) -> str:
    """The pieces as far as there is room, and 8 hex digits of all that the folder's content depends on.

    Args:
        content: anything that JSON holds; numbers count to their last digit, where the pieces may be rounded.

    Returns:
        Letters, digits, - and _ alone, at most 80.
    """
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]
    readable = "-".join(filter(None, map(_safe, pieces)))
    return f"{readable[: LONGEST - 9].strip('-_')}-{digest}".lstrip("-")


def _spelled(name: str) -> str:
    """Signs as words, so that a + b and a - b can be told apart by eye."""
    for sign, word in _WORDS:
        name = name.replace(sign, word)
    return re.sub(r"(?<![\w-])-|-(?=\W)", " minus ", name.replace(".py:", "-"))


def _safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9-]+", "_", text).strip("_")
