"""One run at a time: every way to end is an outcome with a cause, and is on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.plan import plan
from bench.record import Outcome, Record
from bench.schedule import run_chains
from bench.store import Store

METHODS = Path(__file__).with_name("helpers_methods.py")


def run_once(
    tmp_path: Path, names: list[str], *, p: int = 11, seconds: float = 0.5, **arguments: object
) -> list[Record]:
    made = plan(
        "modadd", {"p": str(p)}, methods=[f"{METHODS}:{name}" for name in names], examples=[20], seeds=1,
        seconds=seconds, out=tmp_path, **arguments,
    )  # fmt: skip
    store = Store(made.folder)
    store.create()
    records = [record for _, record, _ in run_chains(made.chains, store, jobs=2, threads=1)]
    assert {x.run_id for x in records} == {path.stem for path in store.runs.glob("*.json")}
    return sorted(records, key=lambda record: names.index(record.spec.method))


def test_every_ending_is_an_outcome_with_a_cause(tmp_path):
    endings = {
        "oracle_sum": (Outcome.SOLVED, ""),
        "raises": (Outcome.ERROR, "on purpose"),
        "malformed": (Outcome.ERROR, "expected 121 answers"),
        "cannot": (Outcome.INAPPLICABLE, "no task at all"),
        "sleeps": (Outcome.TIMEOUT, ""),
        "stuck_in_c": (Outcome.TIMEOUT, "outlasted"),
        "hungry": (Outcome.MEMOUT, ""),
        "dies": (Outcome.ERROR, "exit code -11"),
        "silent": (Outcome.EXHAUSTED, ""),
        "exits": (Outcome.ERROR, "SystemExit"),
        "odd_notes": (Outcome.WRONG, ""),
        "not_a_number": (Outcome.ERROR, "finite"),
        "back_in_time": (Outcome.ERROR, "extraction_seconds"),
        "yields_42": (Outcome.ERROR, "yielded a int"),
        "leaves": (Outcome.ERROR, "exit code 1"),
    }
    records = run_once(tmp_path, list(endings), memory_mib=512)
    found = {record.spec.method: (record.outcome, record.reason) for record in records}
    for name, (outcome, reason) in endings.items():
        assert found[name][0] is outcome, (name, found[name])
        assert reason in found[name][1], (name, found[name])
    by_name = {record.spec.method: record for record in records}
    assert len(by_name["raises"].trace) == 1  # what it said before it broke is kept
    assert "ZeroDivisionError" in by_name["raises"].error
    assert len(by_name["stuck_in_c"].trace) == 1
    assert by_name["stuck_in_c"].seconds < 10
    assert by_name["sleeps"].seconds >= 0.5
    assert by_name["sleeps"].spec.carrier == "Z_11"


def test_times_are_the_methods_own(tmp_path):
    (record,) = run_once(tmp_path, ["oracle_sum"], seconds=2.0)
    slow = plan(
        "modadd", {"p": "11"}, methods=[f"{METHODS}:oracle_sum:wait=0.3"], examples=[20], seeds=1, seconds=2.0,
        out=tmp_path,
    )  # fmt: skip
    store = Store(slow.folder)
    ((_, slept, _),) = run_chains(slow.chains, store, jobs=1, threads=1)
    assert slept.seconds_to_solve is not None
    assert record.seconds_to_solve is not None
    assert slept.seconds_to_solve >= 0.3 > record.seconds_to_solve
    assert slept.cpu_seconds < 0.2  # asleep
    assert slept.timing == "alone"


def test_what_a_worker_computes_with_is_set_before_anything_loads(tmp_path, monkeypatch):
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    (record,) = run_once(tmp_path, ["surroundings"])
    told = {"NVIDIA_TF32_OVERRIDE": "0", "OMP_NUM_THREADS": "1", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    assert {name: record.notes[name] for name in told} == told


def test_an_answer_after_the_time_does_not_count(tmp_path):
    made = plan(
        "modadd", {"p": "11"}, methods=[f"{METHODS}:oracle_sum:wait=0.4"], examples=[20], seeds=1, seconds=0.2,
        out=tmp_path,
    )  # fmt: skip
    store = Store(made.folder)
    store.create()
    ((_, record, _),) = run_chains(made.chains, store, jobs=1, threads=1)
    assert record.outcome is Outcome.TIMEOUT
    assert record.trace == []


@pytest.mark.parametrize("damage", [b"", b"{", b'{"schema": 1}', b"\xff\xfe"])
def test_a_damaged_record_is_run_again(tmp_path, damage):
    (record,) = run_once(tmp_path, ["oracle_sum"])
    path = Store(tmp_path / "modadd-p11").path(record.run_id)
    path.write_bytes(damage)
    assert Store(tmp_path / "modadd-p11").damaged() == [path]
    (again,) = run_once(tmp_path, ["oracle_sum"])
    assert again.run_id == record.run_id
    assert Store(tmp_path / "modadd-p11").damaged() == []
