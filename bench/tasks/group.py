"""A word over a group that comes as a table in a file."""

from pathlib import Path

import numpy as np

from bench.errors import UserError
from bench.task import Task, program_target, task
from synth.carrier import Group
from synth.language import language
from synth.parse import arity_of, parse

LARGEST = 512  # elements: associativity is checked on all triples


@task(version=1)
def group(file: str, word: str = "a*b") -> Task:
    """A word over any group, by its Cayley table in a file: xy in row x and column y, elements 0, 1, 2 and so on."""
    carrier = _read(Path(file).expanduser())
    program = parse(word, language("group", arity_of(word)), functions=True)
    return Task(
        carrier=carrier,
        arity=arity_of(word),
        target=program_target(program, carrier),
        formula=str(program),
    )


def _read(path: Path) -> Group:
    try:
        if path.stat().st_size > 8 * LARGEST**2:
            raise UserError(f"{path.name}: the file is too large for a table of {LARGEST} elements")
        lines = path.read_text().splitlines()
    except (OSError, ValueError) as error:
        raise UserError(f"{path.name or path}: {getattr(error, 'strerror', None) or error}") from None
    rows: list[list[int]] = []
    for number, line in enumerate(lines, start=1):
        entries = line.replace(",", " ").split()
        try:
            row = [int(x) for x in entries]
        except ValueError:
            raise UserError(f"{path.name}:{number}: expected integers, got {line.strip()[:40]!r}") from None
        if row:
            rows.append(row)
    size = len(rows)
    if not 1 < size <= LARGEST:
        raise UserError(f"{path.name}: expected a table of 2 to {LARGEST} rows, got {size}")
    for number, row in enumerate(rows, start=1):
        if len(row) != size:
            raise UserError(f"{path.name}: expected {size} entries a row, got {len(row)} in row {number}")
        if not 0 <= min(row) <= max(row) < size:
            wrong = next(x for x in row if not 0 <= x < size)
            raise UserError(f"{path.name}: expected elements 0 to {size - 1}, got {wrong} in row {number}")
    return Group(path.stem, np.array(rows))
