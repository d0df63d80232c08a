"""From a trace of candidates to an outcome: pure functions, shared by the worker and by whoever finds its remains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bench.record import Outcome, TraceEntry

SUFFIX_SHARE = 0.1  # of a training run, that the exact suffix must span: hovering at .999 is not solving

Ending = Literal["returned", "timeout", "memout"]


@dataclass(frozen=True)
class Judgement:
    """Attributes:
    outcome: how the run ended.
    seconds_to_solve: when the predictor's unbroken exact suffix began, extraction apart; None unless solved.
    seconds_to_program: when the program's began, extraction counted; None where the last program is not exact.
    """

    outcome: Outcome
    seconds_to_solve: float | None
    seconds_to_program: float | None


def _suffix_start(flags: Sequence[bool]) -> int:
    """Index at which the unbroken run of True at the end begins; len(flags) where the last is False."""
    start = len(flags)
    while start and flags[start - 1]:
        start -= 1
    return start


def judge(trace: Sequence[TraceEntry], ending: Ending, *, trains: bool, total_work: float | None = None) -> Judgement:
    """The outcome of a run from its trace.

    Args:
        trace: the candidates in order.
        ending: whether the method returned by itself, ran out of time, or ran out of memory.
        trains: a training run, whose exact suffix must span a tenth of its work.
        total_work: the work of the whole run in the trace's first unit, where it went on past the last candidate.
    """
    if not trace:
        outcome = {"returned": Outcome.EXHAUSTED, "timeout": Outcome.TIMEOUT, "memout": Outcome.MEMOUT}[ending]
        return Judgement(outcome, None, None)
    failed = {"returned": Outcome.WRONG, "timeout": Outcome.TIMEOUT, "memout": Outcome.MEMOUT}[ending]
    start = _suffix_start([entry.exact for entry in trace])
    solved = start < len(trace)
    if solved and trains:
        begin, end = _headline(trace[start]), max(_headline(trace[-1]), total_work or 0.0)
        solved = end - begin >= SUFFIX_SHARE * end
    program_start = _suffix_start([entry.program is not None and entry.program_exact for entry in trace])
    to_program = None
    if program_start < len(trace):
        to_program = trace[program_start].seconds + trace[program_start].extraction_seconds
    if not solved:
        return Judgement(failed, None, to_program)
    return Judgement(Outcome.SOLVED, trace[start].seconds, to_program)


def _headline(entry: TraceEntry) -> float:
    return next(iter(entry.work.values()), entry.seconds)
