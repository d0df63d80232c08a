"""One run under way: from its spec to its clock, and from its end to its record."""

from __future__ import annotations

import gc
import importlib
import inspect
import re
import resource
import sys
import time
import traceback
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bench.conclude import conclude
from bench.judge import Ending, judge
from bench.languages import load_language
from bench.method import Budget, Inapplicable, Method, Problem
from bench.observe import Observation
from bench.record import Outcome, Record, RunSpec, blank_record, one_line
from bench.registry import LoadedTask, as_flags, load_method, load_task
from bench.store import Store
from bench.stream import Stream
from bench.task import Task
from synth.language import Language

ERROR_TAIL_LINES = 12

_loaded: dict[str, LoadedTask] = {}  # per worker: a ladder's certificate costs more than most runs
_languages: dict[tuple[str, str, str, int], Language] = {}  # a user's: what is built on one is kept with it
_warmed: set[tuple[str, str, bool]] = set()
_frozen_at: dict[str, int] = {}


class Running:
    """A run that is ready for its clock.

    Attributes:
        method, params: what runs, with what.
        problem, budget, rng: what it is given.
        watch: who watches it; to be entered before the clock starts.
        record: what is known of it so far.

    Raises:
        RuntimeError: the task, the method or the language is no longer what the spec says.
    """

    def __init__(self, spec: RunSpec, store: Store, method: Method, params: Mapping[str, Any]) -> None:
        task = _load(spec).task
        stream = Stream(task, spec.data_seed, spec.split, spec.noise)
        inputs, outputs, reached = stream.examples(spec.n)
        self.spec, self.method, self.params = spec, method, params
        self.problem = Problem(
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
        self.budget = Budget(spec.seconds, spec.memory_mib, method.work)
        self.rng = np.random.default_rng(spec.method_seed)
        self.record = blank_record(spec, Outcome.ERROR)
        self.record.n = reached
        self.record.task_notes = dict(task.notes)
        self.watch = Observation(self.problem, task.target(), store.trace_path(spec.run_id))
        self._store, self._stream = store, stream
        self._broken = ""

    def broke(self, error: BaseException) -> Ending:
        """Note how the method broke; how its run has ended by that."""
        if isinstance(error, Inapplicable):
            self.record.outcome, self.record.reason = Outcome.INAPPLICABLE, str(error)
        elif out_of_memory(error):
            return "memout"
        else:
            self.record.reason, self._broken = one_line(error), tail()
        return "returned"

    def end(self, ending: Ending) -> Record:
        """Write what the run came to into its record."""
        record, watch = self.record, self.watch
        record.seconds, record.cpu_seconds = self.budget.elapsed, watch.cpu_seconds
        record.trace = watch.trace
        clock = time.perf_counter()
        try:
            conclude(self.problem, watch, record, self._store, self._stream)
        except Exception as error:  # a malformed answer is the method's error; its trace is kept
            record.reason, self._broken = one_line(error), tail()
        record.verify_seconds = watch.verify_seconds + time.perf_counter() - clock
        if self._broken:
            record.outcome, record.error = Outcome.ERROR, self._broken
        elif record.outcome is not Outcome.INAPPLICABLE:
            verdict = judge(watch.trace, ending, trains=self.method.trains)
            record.outcome = verdict.outcome
            record.seconds_to_solve, record.seconds_to_program = verdict.seconds_to_solve, verdict.seconds_to_program
        record.peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return record


def method_of(spec: RunSpec) -> tuple[Method, Mapping[str, Any]]:
    """The method of a run and its parameters.

    Raises:
        RuntimeError: its source is no longer what the spec says.
    """
    method, params, source = load_method(spec.method_ref)
    if source != spec.method_source:
        raise RuntimeError(f"method {spec.method}: its source changed while the run was under way; start again")
    return method, params


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


def warm_up(method: Method, device: str, *, stacked: bool = False) -> None:
    """What a fresh process must do once: imports, thread pools, just-in-time code, a GPU's context."""
    key = method.name, device, stacked
    if key in _warmed:
        return
    for module in method.imports:
        importlib.import_module(module)
    if stacked and method.stacking is not None and method.stacking.warm is not None:
        method.stacking.warm(device)
    elif method.warm is not None:
        told = {"device": device} if "device" in inspect.signature(method.warm).parameters else {}
        method.warm(**told)
    _warmed.add(key)


def collect_garbage() -> None:
    """An earlier run's garbage must not be this run's time. Modules stay as long as the process does: frozen, they keep
    the collection before each run to a millisecond."""
    gc.collect()
    if _frozen_at.get("modules") != len(sys.modules):
        gc.freeze()
        _frozen_at["modules"] = len(sys.modules)


@contextmanager
def memory_limit(mib: float, device: str) -> Generator[None]:
    """Cap what the run may allocate beyond what the process holds already; not with CUDA, which maps far more."""
    if device != "cpu":
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    held = mapped()
    if held is None:  # not Linux: no cap to be had this way
        yield
        return
    wanted = held + int(mib * 2**20)
    resource.setrlimit(resource.RLIMIT_AS, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def mapped() -> int | None:
    """Bytes of this process's address space; None where the system does not say."""
    try:
        return int(re.search(r"VmSize:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024  # pyright: ignore[reportOptionalSubscript]
    except (OSError, TypeError):
        return None


def out_of_memory(error: BaseException) -> bool:
    """Whether it says that memory ran out: Python's and numpy's own way, or torch's, on a GPU and on a CPU."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)


def tail() -> str:
    """The end of the traceback of the exception that is being handled."""
    return "\n".join(traceback.format_exc().strip().splitlines()[-ERROR_TAIL_LINES:])
