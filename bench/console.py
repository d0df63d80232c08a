"""The terminal that the commands print to."""

from __future__ import annotations

from typing import Any

from rich.console import Console


class Terminal(Console):
    """Rich's console without automatic colouring of numbers, for which a reader that went away is no failure."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(highlight=False, **settings)

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # rich would exit with 1, which says here that a run ended in error
