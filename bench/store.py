"""Records on disk: one JSON a run, written atomically, read back with damage told and passed over."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bench.errors import UserError
from bench.record import SCHEMA, Record


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file whole or not at all: a temporary file beside it, flushed to disk, then renamed over it."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp's 0600 would hide results from a shared folder's other users
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


class Store:
    """The folder of one task's results, ``results/modadd-p59``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = folder / "runs"

    def create(self) -> None:
        """Make the folder, or say in one line why it can't be written.

        Raises:
            UserError: the folder can't be made or written.
        """
        try:
            self.runs.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.runs):
                pass
        except OSError as error:
            raise UserError(f"--out: can't write to {self.folder}: {error.strerror or error}") from None

    def path(self, run_id: str) -> Path:
        return self.runs / f"{run_id}.json"

    def trace_path(self, run_id: str) -> Path:
        return self.runs / f"{run_id}.trace.jsonl"

    def batch_path(self, run_id: str) -> Path:
        """Where a batch of runs, of which this is the first, says that it is stuck."""
        return self.runs / f"{run_id}.batch.stack"

    def weights_path(self, run_id: str) -> Path:
        return self.runs / f"{run_id}.npz"

    def save(self, record: Record) -> None:
        write_atomically(self.path(record.run_id), msgspec.json.format(msgspec.json.encode(record), indent=1))

    def save_weights(self, run_id: str, weights: Mapping[str, np.ndarray[Any, Any]]) -> str:
        """Store a network's arrays beside its record; the file's name."""
        path = self.weights_path(run_id)
        temporary = path.with_suffix(".npz.part")
        with temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **dict(weights))
        os.replace(temporary, path)
        return path.name

    def code_path(self, run_id: str) -> Path:
        return self.runs / f"{run_id}.code.npy"

    def save_code(self, run_id: str, bits: np.ndarray[Any, Any]) -> str:
        """Store the bits of each label after a run's examples, float32, beside its record; the file's name."""
        path = self.code_path(run_id)
        temporary = path.with_suffix(".npy.part")
        with temporary.open("wb") as file:
            np.save(file, bits.astype(np.float32), allow_pickle=False)
        os.replace(temporary, path)
        return path.name

    def load_code(self, record: Record) -> np.ndarray[Any, np.dtype[np.float64]] | None:
        """What ``save_code`` stored for a record; None where it is not there or damaged."""
        try:
            return np.load(self.code_path(record.run_id), allow_pickle=False).astype(np.float64)
        except (OSError, ValueError, EOFError):
            return None

    def load(self, run_id: str) -> Record | None:
        """The record; None where there is none, it is damaged, or an older schema wrote it: the run runs again."""
        return read_record(self.path(run_id))

    def records(self) -> Iterator[Record]:
        """All readable records, in the order of their run ids."""
        for path in sorted(self.runs.glob("*.json")):
            if (record := read_record(path)) is not None:
                yield record

    def damaged(self) -> list[Path]:
        """Files that should be records and can't be read."""
        return [path for path in sorted(self.runs.glob("*.json")) if read_record(path) is None]


def read_record(path: Path) -> Record | None:
    """One record from its file, or None where it can't be read as one or does not belong to its name."""
    try:
        record = msgspec.json.decode(path.read_bytes(), type=Record)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return record if record.schema == SCHEMA and record.run_id == path.stem == record.spec.run_id else None
