"""What a user meets when something that they typed cannot be used: one line, exit code 2, never a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake that the user can mend. Its message is one line: who, what was expected, what arrived."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))  # what was typed may hold line breaks


class RunFailed(Exception):
    """Nothing came of what was asked; the message says why, in one line."""


class UnknownParameter(UserError):
    """A task or a method has no parameter of that name.

    Attributes:
        label: as the user typed it, "--q".
    """

    def __init__(self, message: str, label: str = "") -> None:
        super().__init__(message)
        self.label = label


def nearest(name: str, known: Iterable[str]) -> str:
    """ "; did you mean 'modadd'?" where one of the known names is close, else nothing."""
    near = difflib.get_close_matches(name, [*known], n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
