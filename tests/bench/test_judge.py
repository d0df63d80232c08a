"""Laws of judging a trace: what solved, solving time and program time mean."""

from __future__ import annotations

import pytest

from bench.judge import judge
from bench.record import Outcome, TraceEntry


def entry(seconds: float, exact: bool, *, program: str | None = None, right: bool = False, extraction: float = 0.0,
          work: float | None = None) -> TraceEntry:  # fmt: skip
    return TraceEntry(
        seconds=seconds, cpu_seconds=seconds, extraction_seconds=extraction,
        work={"steps": seconds if work is None else work}, test_accuracy=float(exact), accuracy=float(exact),
        exact=exact, program=program, program_exact=right,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("ending", "outcome"),
    [("returned", Outcome.EXHAUSTED), ("timeout", Outcome.TIMEOUT), ("memout", Outcome.MEMOUT)],
)
def test_no_candidate_at_all(ending, outcome):
    assert judge([], ending, trains=False).outcome is outcome


@pytest.mark.parametrize(
    ("ending", "outcome"), [("returned", Outcome.WRONG), ("timeout", Outcome.TIMEOUT), ("memout", Outcome.MEMOUT)]
)
def test_a_wrong_last_candidate_is_never_solved(ending, outcome):
    trace = [entry(1, True), entry(2, False)]
    assert judge(trace, ending, trains=False) == judge(trace, ending, trains=True)
    assert judge(trace, ending, trains=False).outcome is outcome
    assert judge(trace, ending, trains=False).seconds_to_solve is None


def test_the_time_is_the_start_of_the_unbroken_exact_suffix():
    trace = [entry(1, True), entry(2, False), entry(3, True), entry(4, True)]
    assert judge(trace, "returned", trains=False).seconds_to_solve == 3


def test_a_time_out_after_an_exact_answer_is_solved():
    assert judge([entry(1, True)], "timeout", trains=False).outcome is Outcome.SOLVED


def test_a_training_run_must_hold_its_exactness_for_a_tenth_of_its_work():
    late = [entry(1, False, work=10), entry(9.5, True, work=95), entry(10, True, work=100)]
    held = [entry(1, False, work=10), entry(9, True, work=90), entry(10, True, work=100)]
    assert judge(late, "returned", trains=True).outcome is Outcome.WRONG
    assert judge(late, "returned", trains=False).outcome is Outcome.SOLVED
    assert judge(held, "returned", trains=True).outcome is Outcome.SOLVED


def test_a_withdrawn_program_breaks_the_programs_suffix_and_not_the_predictors():
    trace = [
        entry(1, True, program="a + b", right=True),
        entry(2, True),
        entry(3, True, program="a + b", right=True, extraction=0.5),
    ]
    judgement = judge(trace, "returned", trains=False)
    assert judgement.seconds_to_solve == 1
    assert judgement.seconds_to_program == 3.5


def test_extraction_counts_for_the_program_only():
    judgement = judge([entry(2, True, program="a", right=True, extraction=0.25)], "returned", trains=False)
    assert (judgement.seconds_to_solve, judgement.seconds_to_program) == (2, 2.25)


def test_a_program_can_be_right_where_its_network_is_not():
    judgement = judge([entry(2, False, program="a", right=True)], "returned", trains=False)
    assert judgement.outcome is Outcome.WRONG
    assert judgement.seconds_to_program == 2
