"""A film's folder: what it is called, and how everything in it is replaced at once."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.errors import RunFailed, UserError

TABLES = ("checkpoints", "transitions", "spectrum", "anatomy", "units", "tokens")
PLOTS = ("curve", "measures", "order", "spectrum", "circle", "phases")
KINDS = ("pdf", "png")

KNOWN = [f"{x}.csv" for x in TABLES] + [f"plots/{x}.{kind}" for x in PLOTS for kind in KINDS]


class Unpublished(RunFailed):
    """A film is made, and lies beside the folder that it belongs in."""


@contextmanager
def aside(folder: Path) -> Generator[Path]:
    """A folder beside the film's to write into, see ``publish``; gone afterwards, with what was made to hold it.

    Raises:
        UserError: nothing can be written there.
    """
    place: Path | None = None
    made: list[Path] = []
    kept = False
    try:
        try:
            _clear(folder)
            made = [x for x in (folder.parent, *folder.parent.parents) if not x.exists()]
            folder.parent.mkdir(parents=True, exist_ok=True)
            place = Path(tempfile.mkdtemp(prefix=".film-", dir=folder.parent))
        except OSError as error:
            raise UserError(f"--out: can't write to {folder}: {error.strerror or error}") from None
        yield place
    except Unpublished:
        kept = True
        raise
    finally:
        if place is not None and not kept:
            shutil.rmtree(place, ignore_errors=True)
        for path in made:  # from the innermost on, as far as they are empty
            with suppress(OSError):
                path.rmdir()


def publish(place: Path, folder: Path) -> None:
    """Move what was written into the film's folder; of an earlier film nothing stays there.

    Raises:
        Unpublished: something in the folder is in the way; what was not moved stays where it was written.
    """
    try:
        _clear(folder)
        (folder / "plots").mkdir(parents=True, exist_ok=True)
        for name in KNOWN:
            if (place / name).exists():
                (place / name).replace(folder / name)
            else:
                (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise Unpublished(f"can't write to {folder}: {error.strerror or error}; the film is in {place}") from None
    with suppress(OSError):  # other files in it are the user's
        (folder / "plots").rmdir()


def _clear(folder: Path) -> None:
    """Whether a film can be put there, as far as that can be told.

    Raises:
        OSError: what is in its way.
    """
    for path in (folder, folder / "plots"):
        if path.is_symlink() and not path.exists():
            raise FileExistsError(None, f"{_told(path, folder)} leads nowhere")
        if path.exists():
            if not path.is_dir():
                raise FileExistsError(None, f"{_told(path, folder)} is a file")
            if not os.access(path, os.W_OK | os.X_OK):
                raise PermissionError(None, f"{_told(path, folder)} is not to be written")
    for name in KNOWN:
        if (folder / name).is_dir() and not (folder / name).is_symlink():
            raise IsADirectoryError(None, f"its {name} is a folder")


def _told(path: Path, folder: Path) -> str:
    return "it" if path == folder else f"its {path.name}"
