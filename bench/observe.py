"""Watching a run from outside: its clock, its trace, and what each candidate is worth on the whole domain."""

from __future__ import annotations

import faulthandler
import math
import resource
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec
import numpy as np

from bench.judge import Ending
from bench.method import Budget, Candidate, Problem
from bench.record import FaithfulnessRecord, TraceEntry
from synth.carrier import IntArray
from synth.program import Program

if TYPE_CHECKING:
    from synth.verify import Target

GRACE_SECONDS = 1.0  # past the budget, before a call stuck in C is killed from outside the interpreter


class Observation:
    """Watches a run from outside: the clock, the trace, and what each candidate is worth on the whole domain."""

    def __init__(self, problem: Problem, target: Target, trace_path: Path) -> None:
        self.problem = problem
        self.target = target
        self.held_out = problem.held_out
        self.trace: list[TraceEntry] = []
        self.last: Candidate | None = None
        self.cpu_seconds = 0.0
        self.verify_seconds = 0.0
        self.predictions: IntArray = np.zeros(0, dtype=np.int64)  # of the last candidate, shape (cells,)
        self._wrong: IntArray = np.zeros(0, dtype=np.int64)
        self._outputs: dict[Program, IntArray] = {}  # of the last program only
        self._path = trace_path
        self._file: IO[bytes] | None = None
        self._stack: IO[str] | None = None

    def __enter__(self) -> Observation:
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
            with self.clocked(budget):
                candidate = next(run, None)
            if budget.elapsed > budget.seconds:  # also where the method saw its time out and returned
                run.close()
                return "timeout"
            if candidate is None:
                return "returned"
            self.note(candidate, budget.elapsed)

    @contextmanager
    def clocked(self, budget: Budget) -> Generator[None]:
        """What happens meanwhile is the run's own time; a call stuck in C is ended from outside the interpreter."""
        assert self._stack is not None
        with _watchdog(budget.seconds_left + GRACE_SECONDS, self._stack), self.charged(budget):
            yield

    @contextmanager
    def charged(self, budget: Budget) -> Generator[None]:
        """What happens meanwhile is the run's time, be it its own or that of a batch which it is part of."""
        cpu = _cpu_now()
        budget.resume()
        try:
            yield
        finally:
            budget.pause()
            self.cpu_seconds += _cpu_now() - cpu

    def note(self, candidate: Candidate, elapsed: float) -> None:
        """Take a candidate into the trace, with what it is worth; off the clock.

        Raises:
            TypeError: it can't be evaluated, or says of itself what can't be.
        """
        clock = time.perf_counter()
        self._note(candidate, elapsed)
        self.verify_seconds += time.perf_counter() - clock

    def _note(self, candidate: Candidate, elapsed: float) -> None:
        _require_sound(candidate, elapsed)
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
        self.predictions = predictions
        right = predictions == self.target.table
        self._wrong = np.flatnonzero(~right)[:1]
        exact = bool(right.all())
        entry = TraceEntry(
            seconds=max(0.0, elapsed - candidate.extraction_seconds),
            cpu_seconds=self.cpu_seconds,
            extraction_seconds=candidate.extraction_seconds,
            work={unit: float(amount) for unit, amount in candidate.work.items()},
            test_accuracy=float(right[self.held_out].mean()) if self.held_out.any() else None,
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
            agreement=float(agrees[self.held_out].mean()) if self.held_out.any() else float(agrees.mean()),
            agreement_on_errors=float(agrees[errors].mean()) if errors.any() else None,
            errors=int(errors.sum()),
            variance_explained=float(evidence.variance_explained),
            keep_only=accuracy(evidence.keep_only),
            remove_only=accuracy(evidence.remove_only),
            remove_random=accuracy(evidence.remove_random),
        )


def _require_sound(candidate: Any, elapsed: float) -> None:
    """What a method says of itself is checked before it counts.

    Raises:
        TypeError: it is no Candidate, or a number in it can't be.
    """
    if not isinstance(candidate, Candidate):
        raise TypeError(f"a method yields Candidates; this one yielded a {type(candidate).__name__}")
    amounts = [*candidate.work.values(), candidate.bits if candidate.bits is not None else 0.0]
    if not all(math.isfinite(amount) and amount >= 0 for amount in amounts):
        raise TypeError(f"work and bits must be finite and not negative, got {amounts}")
    if not 0 <= candidate.extraction_seconds <= elapsed + 1e-6:
        raise TypeError(
            f"extraction_seconds must be part of the run's {elapsed:.6g} s, got {candidate.extraction_seconds}"
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
def clocked_together(runs: Sequence[tuple[Observation, Budget]], stack: IO[str]) -> Generator[None]:
    """What happens meanwhile is the time of each of these runs, undivided: none of them could have gone on without it.

    Args:
        stack: where a call that is stuck in C is told of, for all of them.
    """
    left = max(budget.seconds_left for _, budget in runs)
    with ExitStack() as charged, _watchdog(left + GRACE_SECONDS * len(runs), stack):
        for watch, budget in runs:
            charged.enter_context(watch.charged(budget))
        yield


@contextmanager
def _watchdog(seconds: float, stack: IO[str]) -> Generator[None]:
    """End the process from a C thread when a call neither returns nor lets Python run; its remains are read."""
    faulthandler.dump_traceback_later(max(seconds, GRACE_SECONDS), exit=True, file=stack)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
