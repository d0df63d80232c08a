"""One spec -> one isolated run -> one verified record on disk. This is what a worker process does."""

from __future__ import annotations

import gc
import importlib
import re
import resource
import sys
import time
import traceback
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from bench.conclude import conclude
from bench.judge import Ending, judge
from bench.languages import load_language
from bench.method import Budget, Inapplicable, Method, Problem
from bench.observe import Observation
from bench.provenance import provenance
from bench.record import Outcome, Record, RunSpec, blank_record, one_line
from bench.registry import LoadedTask, as_flags, load_method, load_task
from bench.store import Store
from bench.stream import Stream
from bench.task import Task
from synth.language import Language

if TYPE_CHECKING:
    pass

ERROR_TAIL_LINES = 12

_loaded: dict[str, LoadedTask] = {}  # per worker: a ladder's certificate costs more than most runs
_languages: dict[tuple[str, str, str, int], Language] = {}  # a user's: what is built on one is kept with it
_warmed: set[str] = set()
_frozen_at: dict[str, int] = {}


def execute(spec_json: bytes, folder: str, timing: str) -> str:
    """Run one spec in this process and write its record.

    Args:
        spec_json: a RunSpec.
        folder: the task's results folder.
        timing: "alone" or "shared", as the scheduler knows it.

    Returns:
        The run id; the record lies in the folder.
    """
    spec = msgspec.json.decode(spec_json, type=RunSpec)
    store = Store(Path(folder))
    started = datetime.now(UTC).isoformat(timespec="milliseconds")
    clock = time.perf_counter()
    try:
        record = _run(spec, store, clock)
    except BaseException as error:
        # The harness or the task broke before the method could: an error all the same, and never a lost row.
        record = _broken(spec, error)
    record.timing, record.started, record.provenance = timing, started, provenance()
    try:
        store.save(record)
    except (TypeError, ValueError) as error:  # the method handed over what JSON can't hold
        record = _broken(spec, error)
        record.timing, record.started, record.provenance = timing, started, provenance()
        store.save(record)
    return record.run_id


def _broken(spec: RunSpec, error: BaseException) -> Record:
    record = blank_record(spec, Outcome.ERROR)
    record.reason, record.error = one_line(error), _tail()
    return record


def _load(spec: RunSpec) -> LoadedTask:
    if (cached := _loaded.get(spec.task_fingerprint)) is not None:
        return cached
    loaded = load_task(spec.task_ref, as_flags(spec.task_params))
    if loaded.task.fingerprint != spec.task_fingerprint:
        raise RuntimeError(f"task {spec.task}: it changed while the run was under way; start again")
    _loaded[spec.task_fingerprint] = loaded
    return loaded


def _language(spec: RunSpec, task: Task) -> Language:
    key = spec.language_ref, spec.language_source, task.carrier.name, task.arity
    if spec.language_source and key in _languages:
        return _languages[key]
    loaded = load_language(spec.language_ref or spec.language, task.carrier, task.arity)
    if loaded.source != spec.language_source:
        raise RuntimeError(f"language {spec.language}: its source changed while the run was under way; start again")
    if spec.language_source:
        _languages[key] = loaded.language
    return loaded.language


def _run(spec: RunSpec, store: Store, clock: float) -> Record:
    method, params, source = load_method(spec.method_ref)
    if source != spec.method_source:
        raise RuntimeError(f"method {spec.method}: its source changed while the run was under way; start again")
    task = _load(spec).task
    stream = Stream(task, spec.data_seed, spec.split, spec.noise)
    inputs, outputs, reached = stream.examples(spec.n)
    problem = Problem(
        carrier=task.carrier,
        arity=task.arity,
        inputs=inputs,
        outputs=outputs,
        domain=task.domain,
        language=_language(spec, task),
        noise=spec.noise,
        device=spec.device,
        threads=spec.threads,
    )
    _warm_up(method)
    _collect_garbage()
    record = blank_record(spec, Outcome.ERROR)
    record.n = reached
    record.task_notes = dict(task.notes)
    record.startup_seconds = time.perf_counter() - clock
    watch = Observation(problem, task.target(), store.trace_path(spec.run_id))
    budget = Budget(spec.seconds, spec.memory_mib, method.work)
    with watch, _memory_limit(spec.memory_mib, spec.device):
        _drive(method, params, problem, budget, np.random.default_rng(spec.method_seed), watch, record, store, stream)
    record.peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return record


def _collect_garbage() -> None:
    """An earlier run's garbage must not be this run's time. Modules stay as long as the process does: frozen, they keep
    the collection before each run to a millisecond."""
    gc.collect()
    if _frozen_at.get("modules") != len(sys.modules):
        gc.freeze()
        _frozen_at["modules"] = len(sys.modules)


def _warm_up(method: Method) -> None:
    """What a fresh process must do once: imports, thread pools, just-in-time code."""
    if method.name in _warmed:
        return
    for module in method.imports:
        importlib.import_module(module)
    if method.warm is not None:
        method.warm()
    _warmed.add(method.name)


def _drive(
    method: Method,
    params: Mapping[str, Any],
    problem: Problem,
    budget: Budget,
    rng: np.random.Generator,
    watch: Observation,
    record: Record,
    store: Store,
    stream: Stream,
) -> None:
    """Advance the generator to its end or its budget's, then write what it came to into the record."""
    ending: Ending = "returned"
    broken = ""
    try:
        ending = watch.follow(method.run(problem, budget, rng, **params), budget)
    except Inapplicable as reason:
        record.outcome, record.reason = Outcome.INAPPLICABLE, str(reason)
    except MemoryError:
        ending = "memout"
    except BaseException as error:  # sys.exit() in a method ends that run, not the worker
        record.reason, broken = one_line(error), _tail()
    record.seconds, record.cpu_seconds = budget.elapsed, watch.cpu_seconds
    record.trace = watch.trace
    clock = time.perf_counter()
    try:
        conclude(problem, watch, record, store, stream)
    except Exception as error:  # a malformed answer is the method's error; its trace is kept
        record.reason, broken = one_line(error), _tail()
    record.verify_seconds = watch.verify_seconds + time.perf_counter() - clock
    if broken:
        record.outcome, record.error = Outcome.ERROR, broken
    elif record.outcome is not Outcome.INAPPLICABLE:
        verdict = judge(watch.trace, ending, trains=method.trains)
        record.outcome = verdict.outcome
        record.seconds_to_solve, record.seconds_to_program = verdict.seconds_to_solve, verdict.seconds_to_program


@contextmanager
def _memory_limit(mib: int, device: str) -> Generator[None]:
    """Cap what the run may allocate beyond what the process holds already; not with CUDA, which maps far more."""
    if device != "cpu":
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    try:
        held = int(re.search(r"VmSize:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024  # pyright: ignore[reportOptionalSubscript]
    except (OSError, TypeError):  # not Linux: no cap to be had this way
        yield
        return
    wanted = held + mib * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _tail() -> str:
    return "\n".join(traceback.format_exc().strip().splitlines()[-ERROR_TAIL_LINES:])
