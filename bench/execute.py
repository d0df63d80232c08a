"""One spec -> one isolated run -> one verified record on disk. This is what a worker process does."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bench.provenance import provenance
from bench.record import Outcome, Record, RunSpec, blank_record, one_line
from bench.running import Running, collect_garbage, memory_limit, method_of, tail, warm_up
from bench.store import Store


def execute(spec_json: bytes, folder: str, timing: str, why_alone: str = "") -> str:
    """Run one spec in this process and write its record.

    Args:
        spec_json: a RunSpec.
        folder: the task's results folder.
        timing: "alone" or "shared", as the scheduler knows it.
        why_alone: what kept it from being trained side by side with others, where it was meant to be; kept as a note.

    Returns:
        The run id; the record lies in the folder.
    """
    spec = msgspec.json.decode(spec_json, type=RunSpec)
    store = Store(Path(folder))
    started, clock = now(), time.perf_counter()
    try:
        record = _run(spec, store, clock)
    except BaseException as error:
        # The harness or the task broke before the method could: an error all the same, and never a lost row.
        record = _broken(spec, error)
    if why_alone:
        record.notes["stacked"] = f"no: {why_alone}"
    keep(record, store, timing, started)
    return record.run_id


def keep(record: Record, store: Store, timing: str, started: str) -> None:
    """Write a run's record, with where and when it ran."""
    record.timing, record.started, record.provenance = timing, started, provenance(record.spec.device)
    try:
        store.save(record)
    except (TypeError, ValueError) as error:  # the method handed over what JSON can't hold
        record = _broken(record.spec, error)
        record.timing, record.started, record.provenance = timing, started, provenance(record.spec.device)
        store.save(record)


def now() -> str:
    """The time of day, as records have it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _broken(spec: RunSpec, error: BaseException) -> Record:
    record = blank_record(spec, Outcome.ERROR)
    record.reason, record.error = one_line(error), tail()
    return record


def _run(spec: RunSpec, store: Store, clock: float) -> Record:
    """Advance the method's generator to its end or its budget's, and make a record of it."""
    method, params = method_of(spec)
    running = Running(spec, store, method, params)
    warm_up(method, spec.device)
    collect_garbage()
    running.record.startup_seconds = time.perf_counter() - clock
    with running.watch, memory_limit(spec.memory_mib, spec.device):
        try:
            going = method.run(running.problem, running.budget, running.rng, **params)
            ending = running.watch.follow(going, running.budget)
        except BaseException as error:  # sys.exit() in a method ends that run, not the worker
            ending = running.broke(error)
        return running.end(ending)
