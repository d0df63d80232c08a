"""What is left of a run whose process died: a record of what its trace holds, with the cause."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from bench.judge import judge
from bench.provenance import provenance
from bench.record import Outcome, ProgramRecord, Record, RunSpec, TraceEntry, blank_record
from bench.store import Store

WATCHDOG_MARK = "Timeout ("  # how a dump by the watchdog begins
STACK_LINES = 12


def record_of_remains(spec: RunSpec, store: Store, *, exit_code: int | None, trains: bool) -> Record:
    """The record of a run whose process died: what its trace holds, with the cause.

    Args:
        exit_code: the process's; None where the scheduler killed it because it overran its budget inside one call. A
            stack that the watchdog dumped means the same.
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
    overran = exit_code is None
    if stack.is_file():
        # The dump itself can crash, as it walks the stacks of a running interpreter: then the exit code is a signal's.
        overran = overran or stack.read_text(errors="replace").startswith(WATCHDOG_MARK)
        record.error = "\n".join(stack.read_text(errors="replace").splitlines()[:STACK_LINES])
        stack.unlink(missing_ok=True)
    if overran:
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
