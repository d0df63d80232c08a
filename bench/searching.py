"""From a search's progress to a method's candidates: what ``enumerate`` and ``mitm`` share."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

from bench.method import Budget, Candidate, Inapplicable, Problem
from synth.examples import Contradiction
from synth.noisy import NoisyProgress
from synth.search import Progress

RESERVE = 0.04  # of the time, kept for the last word; searches pause some 20 times a second


def answers(
    search: Callable[..., Iterator[Progress | NoisyProgress]], problem: Problem, budget: Budget
) -> Generator[Candidate, None, None]:
    """A candidate whenever the search's program changes, and one at the end with what is known of its minimality.

    Without a program there is no candidate.

    Raises:
        Inapplicable: the language has no programs on the carrier, or the examples contradict each other.
    """
    if not problem.language.suits(problem.carrier):
        raise Inapplicable(f"language {problem.language.name} has no programs on {problem.carrier.name}")
    most = budget.work.get("programs")
    last: Progress | NoisyProgress | None = None
    told: Progress | NoisyProgress | None = None
    try:
        for progress in search(
            problem.language,
            problem.carrier,
            problem.inputs,
            problem.outputs,
            memory_mib=budget.memory_mib,
            max_programs=None if most is None else int(most),
        ):
            last = progress
            if progress.program is not None and (told is None or progress.program != told.program):
                told = progress
                yield _candidate(progress)
            # With an answer in hand, stop while there is time to say how far its minimality is certified.
            if budget.seconds_left <= (RESERVE * budget.seconds if told else 0):
                break
    except Contradiction as error:
        raise Inapplicable(str(error)) from error
    if told is not None and last is not None and last != told:
        yield _candidate(last)


def _candidate(progress: Progress | NoisyProgress) -> Candidate:
    """Under noise the bound is one for the two-part code."""
    notes: dict[str, str | float] = {}
    if isinstance(progress, NoisyProgress):
        notes = {
            "score_bits": progress.score_bits,
            "exceptions": float(progress.exceptions),
            "subsets": float(progress.subsets),
        }
    return Candidate(
        progress.program,
        work={"programs": progress.visited},
        minimal=True if progress.minimal else progress.lower_bound_bits,
        notes=notes,
    )
