"""A film's folder: what it is called, and how everything in it is replaced at once."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.errors import UserError

TABLES = ("checkpoints", "transitions", "spectrum", "anatomy", "units", "tokens")
PLOTS = ("curve", "measures", "order", "spectrum", "circle", "phases")
KINDS = ("pdf", "png")


@contextmanager
def aside(folder: Path) -> Generator[Path]:
    """A folder beside the film's to write into, see ``publish``; gone afterwards, with what was made to hold it.

    Raises:
        UserError: nothing can be written there.
    """
    made = [x for x in (folder.parent, *folder.parent.parents) if not x.exists()]
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix=".film-", dir=folder.parent))
        if folder.exists() and not folder.is_dir():
            raise FileExistsError(None, "a file is there")
    except OSError as error:
        raise UserError(f"--out: can't write to {folder}: {error.strerror or error}") from None
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
        with suppress(OSError):  # from the innermost on, as far as they are empty
            for path in made:
                path.rmdir()


def publish(place: Path, folder: Path) -> None:
    """Move what was written into the film's folder; of an earlier film nothing stays there."""
    (folder / "plots").mkdir(parents=True, exist_ok=True)
    known = [f"{x}.csv" for x in TABLES] + [f"plots/{x}.{kind}" for x in PLOTS for kind in KINDS]
    for name in known:
        if (place / name).exists():
            (place / name).replace(folder / name)
        else:
            (folder / name).unlink(missing_ok=True)
    with suppress(OSError):  # other files in it are the user's
        (folder / "plots").rmdir()
