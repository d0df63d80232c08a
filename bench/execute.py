"""One spec -> one isolated run -> one verified record on disk. This is what a worker process does."""

from __future__ import annotations

import faulthandler
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
from typing import IO, TYPE_CHECKING, Any

import msgspec
import numpy as np

from bench.errors import UserError
from bench.judge import Ending, judge
from bench.languages import load_language
from bench.method import Budget, Candidate, Inapplicable, Method, Problem
from bench.provenance import provenance
from bench.record import FaithfulnessRecord, Outcome, ProgramRecord, Record, RunSpec, TraceEntry
from bench.registry import LoadedTask, load_method, load_task
from bench.store import Store
from bench.stream import Stream
from bench.task import Task
from synth.carrier import IntArray
from synth.language import Language
from synth.program import Program

if TYPE_CHECKING:
    from synth.verify import Target

GRACE_SECONDS = 1.0  # past the budget, before a call stuck in C is killed from outside the interpreter
WATCHDOG_EXIT = 1  # faulthandler's exit code
ERROR_TAIL_LINES = 12
TRANSFER_PRIMES = (11, 13, 17, 19, 23)  # small ones, where a rebuilt task costs a millisecond
CONTROLS = ("random", "relabelled", "ladder")  # another modulus is another draw, not the same task

_loaded: dict[str, LoadedTask] = {}  # per worker: a ladder's certificate costs more than most runs
_languages: dict[tuple[str, str, str, int], Language] = {}  # a user's: what is built on one is kept with it
_warmed: set[str] = set()
_frozen_at: dict[str, int] = {}


def as_flags(params: Mapping[str, int | float | str | bool]) -> dict[str, str]:
    """Typed parameters as the strings that the registry parses."""
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in params.items()}


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
    except Exception as error:
        # The harness or the task broke before the method could: an error all the same, and never a lost row.
        record = blank_record(spec, Outcome.ERROR)
        record.reason, record.error = _one_line(error), _tail()
    record.timing, record.started, record.provenance = timing, started, provenance()
    store.save(record)
    return record.run_id


def blank_record(spec: RunSpec, outcome: Outcome) -> Record:
    """A record with nothing measured in it, for runs that never came to their clock."""
    return Record(run_id=spec.run_id, spec=spec, outcome=outcome, n=spec.n)


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
    inputs, outputs, reached = Stream(task, spec.data_seed, spec.split, spec.noise).examples(spec.n)
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
    watch = _Observation(problem, task.target(), store.trace_path(spec.run_id))
    budget = Budget(spec.seconds, spec.memory_mib, method.work)
    with watch, _memory_limit(spec.memory_mib, spec.device):
        _drive(method, params, problem, budget, np.random.default_rng(spec.method_seed), watch, record, store)
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
    watch: _Observation,
    record: Record,
    store: Store,
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
    except Exception as error:
        record.reason, broken = _one_line(error), _tail()
    record.seconds, record.cpu_seconds = budget.elapsed, watch.cpu_seconds
    record.trace = watch.trace
    clock = time.perf_counter()
    try:
        _conclude(method, problem, watch, record, store)
    except Exception as error:  # a malformed answer is the method's error; its trace is kept
        record.reason, broken = _one_line(error), _tail()
    record.verify_seconds = watch.verify_seconds + time.perf_counter() - clock
    if broken:
        record.outcome, record.error = Outcome.ERROR, broken
    elif record.outcome is not Outcome.INAPPLICABLE:
        verdict = judge(watch.trace, ending, trains=method.trains)
        record.outcome = verdict.outcome
        record.seconds_to_solve, record.seconds_to_program = verdict.seconds_to_solve, verdict.seconds_to_program


def _conclude(method: Method, problem: Problem, watch: _Observation, record: Record, store: Store) -> None:
    """Prove the last program, score what ties it to its network, store the weights."""
    if watch.last is None:
        return
    last, entry = watch.last, watch.trace[-1]
    record.test_accuracy, record.work = entry.test_accuracy, dict(entry.work)
    record.extraction_seconds = entry.extraction_seconds
    record.notes = dict(last.notes)
    if last.program is not None:
        from synth.symbolic import canonical
        from synth.verify import verify

        result = verify(last.program, watch.target)
        record.verdict, record.proof = result.verdict, result.proof
        if result.counterexample is not None:
            record.counterexample = [int(x) for x in result.counterexample]
        if result.verdict == "correct":
            record.transfers_to = _transfers(last.program, record.spec, watch.target, by_identity=result.every_modulus)
        record.program = ProgramRecord(
            text=str(last.program),
            form=last.form,
            bits=last.bits if last.bits is not None else float(last.program.bits),
            sympy=_sympy(last.program),
            canonical=canonical(last.program, problem.carrier),
            minimal=last.minimal,
            exact=entry.program_exact,
        )
    elif last.text is not None:
        # Tables and circuits are descriptions of the predictor itself, so its exactness on every cell decides.
        record.verdict, record.proof = ("correct", "exhaustive") if entry.exact else ("wrong", "exhaustive")
        record.counterexample = watch.first_error
        record.program = ProgramRecord(
            text=last.text, form=last.form, bits=last.bits, canonical=last.text, exact=entry.exact, minimal=last.minimal
        )
    if last.faithfulness is not None:
        record.faithfulness = watch.score(last)
    if last.weights:
        record.weights = store.save_weights(record.run_id, last.weights)


def _sympy(program: Program) -> str:
    """The program as sympy prints it; empty where a user's production has no such form."""
    from synth.symbolic import to_sympy

    if any(x.production.symbolic is None for x in program.nodes()):
        return ""
    return str(to_sympy(program))


def _transfers(program: Program, spec: RunSpec, target: Target, *, by_identity: bool) -> str:
    """ "all", or the primes of TRANSFER_PRIMES at which the program is the task rebuilt there; empty where the task has
    no modulus to change."""
    from synth.verify import transfers_to

    if by_identity:
        return "all"
    if "p" not in spec.task_params or spec.task in CONTROLS:
        return ""

    def rebuild(p: int) -> Target | None:
        try:
            return load_task(spec.task_ref, as_flags({**spec.task_params, "p": p})).task.target()
        except UserError:
            return None  # the task says no to this modulus

    right = transfers_to(program, target, TRANSFER_PRIMES, rebuild)
    return right if isinstance(right, str) else " ".join(map(str, right))


class _Observation:
    """Watches a run from outside: the clock, the trace, and what each candidate is worth on the whole domain."""

    def __init__(self, problem: Problem, target: Target, trace_path: Path) -> None:
        self.problem = problem
        self.target = target
        self.held_out = problem.held_out
        self.trace: list[TraceEntry] = []
        self.last: Candidate | None = None
        self.cpu_seconds = 0.0
        self.verify_seconds = 0.0
        self._wrong: IntArray = np.zeros(0, dtype=np.int64)
        self._outputs: dict[Program, IntArray] = {}  # of the last program only
        self._path = trace_path
        self._file: IO[bytes] | None = None
        self._stack: IO[str] | None = None

    def __enter__(self) -> _Observation:
        self._file = self._path.open("wb")
        self._stack = self._path.with_suffix(".stack").open("w")
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None and self._stack is not None:
            self._file.close()
            self._stack.close()
            self._path.with_suffix(".stack").unlink(missing_ok=True)

    @property
    def first_error(self) -> list[int] | None:
        """The first cell, in lexicographic order, on which the last candidate is wrong."""
        return [int(x) for x in self.problem.domain[self._wrong[0]]] if len(self._wrong) else None

    def follow(self, run: Generator[Candidate, None, None], budget: Budget) -> Ending:
        """Advance until the method returns or its time is over; an answer that comes after the time does not count."""
        while True:
            assert self._stack is not None
            with _watchdog(budget.seconds_left + GRACE_SECONDS, self._stack):
                cpu = _cpu_now()
                budget.resume()
                try:
                    candidate = next(run, None)
                finally:
                    budget.pause()
                    self.cpu_seconds += _cpu_now() - cpu
            if candidate is None:
                return "returned"
            if budget.elapsed > budget.seconds:
                run.close()
                return "timeout"
            clock = time.perf_counter()
            self._note(candidate, budget.elapsed)
            self.verify_seconds += time.perf_counter() - clock

    def _note(self, candidate: Candidate, elapsed: float) -> None:
        program = candidate.program
        predictions, program_exact = None, False
        if program is not None:
            outputs = self._evaluate(program)
            program_exact = bool((outputs == self.target.table).all())
            predictions = outputs
        elif candidate.text is not None and candidate.form == "tables":
            program_exact = True  # decided below: the tables are the predictor
        if candidate.predict is not None:
            predictions = _checked(candidate.predict(), len(self.problem.domain))
        if predictions is None:
            raise TypeError("a Candidate needs a program or a predict function; this one has neither")
        right = predictions == self.target.table
        self._wrong = np.flatnonzero(~right)[:1]
        exact = bool(right.all())
        entry = TraceEntry(
            seconds=max(0.0, elapsed - candidate.extraction_seconds),
            cpu_seconds=self.cpu_seconds,
            extraction_seconds=candidate.extraction_seconds,
            work={unit: float(amount) for unit, amount in candidate.work.items()},
            test_accuracy=float(right[self.held_out].mean()) if self.held_out.any() else float(right.mean()),
            accuracy=float(right.mean()),
            exact=exact,
            program=str(program) if program is not None else candidate.text,
            program_exact=program_exact and (program is not None or exact),
            form=candidate.form,
            bits=float(program.bits) if program is not None and candidate.bits is None else candidate.bits,
        )
        self.trace.append(entry)
        self.last = candidate
        assert self._file is not None
        self._file.write(msgspec.json.encode(entry) + b"\n")
        self._file.flush()

    def _evaluate(self, program: Program) -> IntArray:
        if program not in self._outputs:
            self._outputs = {program: program.evaluate(self.problem.domain, self.problem.carrier)}
        return self._outputs[program]

    def score(self, candidate: Candidate) -> FaithfulnessRecord:
        """The label-free evidence of a candidate turned into scores, on held-out cells."""
        evidence = candidate.faithfulness
        assert evidence is not None
        said = self._evaluate(candidate.program) if candidate.program is not None else None
        if said is None and candidate.predict is not None:
            said = _checked(candidate.predict(), len(self.problem.domain))
        truth, network = self.target.table, _checked(evidence.network, len(self.problem.domain))
        errors = network != truth
        agrees = said == network if said is not None else np.zeros_like(errors)

        def accuracy(predictions: IntArray | None) -> float | None:
            if predictions is None:
                return None
            where = self.held_out if self.held_out.any() else np.ones_like(self.held_out)
            return float((np.asarray(predictions) == truth)[where].mean())

        return FaithfulnessRecord(
            agreement=float(evidence.agreement),
            agreement_on_errors=float(agrees[errors].mean()) if errors.any() else None,
            errors=int(errors.sum()),
            variance_explained=float(evidence.variance_explained),
            keep_only=accuracy(evidence.keep_only),
            remove_only=accuracy(evidence.remove_only),
            remove_random=accuracy(evidence.remove_random),
        )


def _checked(predictions: Any, cells: int) -> IntArray:
    answer = np.asarray(predictions)
    if answer.shape != (cells,):
        raise TypeError(f"predict: expected {cells} answers, one a cell of the domain, got shape {answer.shape}")
    if not np.issubdtype(answer.dtype, np.integer):
        raise TypeError(f"predict: expected integers, got {answer.dtype}")
    return answer.astype(np.int64, copy=False)


def _cpu_now() -> float:
    """CPU seconds of this process and of the children it has waited for (an outside solver's)."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


@contextmanager
def _watchdog(seconds: float, stack: IO[str]) -> Generator[None]:
    """End the process from a C thread when a call neither returns nor lets Python run; its remains are read."""
    faulthandler.dump_traceback_later(max(seconds, GRACE_SECONDS), exit=True, file=stack)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


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


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or "no message"
    return f"{type(error).__name__}: {text}"[:300]


def _tail() -> str:
    return "\n".join(traceback.format_exc().strip().splitlines()[-ERROR_TAIL_LINES:])


def record_of_remains(spec: RunSpec, store: Store, *, exit_code: int | None, trains: bool) -> Record:
    """The record of a run whose process died: what its trace holds, with the cause.

    Args:
        exit_code: the process's; WATCHDOG_EXIT means that it overran its budget inside one call, None that the
            scheduler killed it for the same reason.
    """
    trace: list[TraceEntry] = []
    path = store.trace_path(spec.run_id)
    if path.is_file():
        for line in path.read_bytes().splitlines():
            try:
                trace.append(msgspec.json.decode(line, type=TraceEntry))
            except msgspec.MsgspecError:
                break  # the line it died in
    record = blank_record(spec, Outcome.ERROR)
    record.trace, record.provenance = trace, provenance()
    record.started = datetime.now(UTC).isoformat(timespec="milliseconds")
    stack = path.with_suffix(".stack")
    if stack.is_file():
        record.error = "\n".join(stack.read_text(errors="replace").splitlines()[:ERROR_TAIL_LINES])
        stack.unlink(missing_ok=True)
    if exit_code in (None, WATCHDOG_EXIT):
        judgement = judge(trace, "timeout", trains=trains)
        record.outcome, record.reason = judgement.outcome, "stopped from outside: one call outlasted the budget"
        record.seconds_to_solve, record.seconds_to_program = judgement.seconds_to_solve, judgement.seconds_to_program
        record.seconds = spec.seconds
    elif exit_code == -9:
        record.outcome = judge(trace, "memout", trains=trains).outcome
        record.reason = "killed (signal 9), as the system does when memory runs out"
    else:
        record.reason = f"the process died with exit code {exit_code}"
    if trace:
        last = trace[-1]
        record.test_accuracy, record.work, record.cpu_seconds = last.test_accuracy, last.work, last.cpu_seconds
        record.extraction_seconds = last.extraction_seconds
        record.seconds = record.seconds or last.seconds + last.extraction_seconds
        if last.program is not None:
            record.program = ProgramRecord(
                text=last.program, form=last.form, bits=last.bits, canonical=last.program, exact=last.program_exact
            )
            # Each candidate was evaluated on every cell before the trace took it.
            record.verdict, record.proof = ("correct" if last.program_exact else "wrong"), "exhaustive"
    return record
