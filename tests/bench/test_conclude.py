"""The end of a run: what its record says of the program, of where else it holds, and of where the number comes from."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bench.leaderboard import tell
from bench.provenance import provenance
from bench.record import Record
from bench.run import run
from bench.store import Store, write_atomically


def record_of(folder) -> Record:
    (record,) = Store(next(x for x in folder.iterdir() if x.is_dir())).records()
    return record


@pytest.mark.parametrize(
    ("task", "flags", "where"),
    [
        ("modadd", {"p": 31}, "all"),
        ("moddiv", {"p": 31}, "all"),
        ("a + 32*b", {"p": 31}, "none"),  # a + b modulo 31 and nowhere else: no identity over the integers
        ("s5", {}, ""),
        ("random", {"p": 3}, ""),
    ],
)
def test_where_else_a_program_is_the_tasks_target(tmp_path, task, flags, where):
    run(task, **flags, methods=["mitm"], examples=[min(40, 9 if task == "random" else 40)], seeds=1, out=tmp_path)
    record = record_of(tmp_path)
    assert record.verdict == "correct"
    assert record.transfers_to == ("" if where == "none" else where)
    assert record.proof == ("identity" if where == "all" else "exhaustive")


def test_a_networks_weights_are_stored_with_its_record(tmp_path):
    run("modadd", p=11, methods=["bilinear"], fractions=[0.8], seeds=1, out=tmp_path)
    record = record_of(tmp_path)
    path = Store(tmp_path / "modadd-p11").runs / record.weights
    with np.load(path, allow_pickle=False) as arrays:
        assert len(arrays.files) >= 2
        assert all(np.isfinite(arrays[name]).all() for name in arrays.files)


def test_a_record_says_where_it_comes_from(tmp_path):
    run("modadd", p=11, methods=["lookup"], examples=[9], seeds=1, out=tmp_path)
    record = record_of(tmp_path)
    told = record.provenance
    assert told == json.loads(json.dumps(provenance()))
    assert {"package", "git_sha", "git_dirty", "python", "cpu", "cores", "libraries"} <= set(told)
    assert record.startup_seconds > 0
    assert record.verify_seconds > 0
    assert record.cpu_seconds >= 0
    assert tell(record.seconds) != ""


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "x.json"
    write_atomically(path, b"one")
    with pytest.raises(TypeError):
        write_atomically(path, "not bytes")  # type: ignore[arg-type]
    assert path.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [path]
