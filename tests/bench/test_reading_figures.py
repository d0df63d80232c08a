"""What reading shows, task by task: laws exact wherever networks are, their lead, the transformer's few frequencies.

Slow, and printed at the end: ``python -m pytest -m slow tests/bench/test_reading_figures.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import numpy as np
import pytest
from test_networks import candidates, problem_of

Say = Callable[[str], None]
KINDS = ["bilinear", "quadratic", "relu", "transformer"]
# The shortest forms, where the task's own is one.
SHORTEST = {"modadd": "a + b", "modsub": "a - b", "modmul": "a*b", "moddiv": "a/b", "squares": "a*a + b*b"}


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("task", [*SHORTEST, "affine"])
def test_wherever_a_network_is_right_its_law_is_and_is_the_shortest_form(task: str, name: str, say: Say) -> None:
    problem, truth = problem_of(task, 0.5, p=59)
    trace = list(candidates(name, problem))
    last, answers = trace[-1]
    right = (answers == truth)[problem.held_out].mean()
    if right >= 0.999:
        assert last.program is not None
        np.testing.assert_array_equal(last.program.evaluate(problem.domain, problem.carrier), truth)
        assert str(last.program) == SHORTEST.get(task, str(last.program))
    examined = last.examine() if last.examine is not None else {}
    say(
        f"{task} {name} p=59 f=.5: held-out {right:.3f}, program {last.program}, "
        f"certificate {examined.get('certificate', '-')}, margin/bound {examined.get('margin_over_bound', 0):.1e}",
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_laws_come_long_before_networks(name: str, say: Say) -> None:
    leads = [lead(name, seed, say) for seed in range(3)]
    assert median(leads) >= 2


def lead(name: str, seed: int, say: Say) -> float:
    """The step from which a delayed network is right over the step at which its law is accepted."""
    problem, truth = problem_of("modadd", 0.4, p=59, seed=seed)
    *_, (read, _) = candidates(f"{name}+law:recipe=delayed", problem, seed)
    trace = list(candidates(f"{name}:recipe=delayed", problem, seed))
    right = [(x.work["steps"], (answers == truth)[problem.held_out].mean() >= 0.999) for x, answers in trace]
    start = len(right)
    while start and right[start - 1][1]:
        start -= 1
    accepted = float(read.notes["law_accepted_at"])
    found = right[start][0] / accepted if start < len(right) else float("inf")
    say(f"{name} delayed p=59 f=.4 seed {seed}: law at step {accepted:.0f}, lead over te999 {found:.1f}")
    assert read.program is not None
    np.testing.assert_array_equal(read.program.evaluate(problem.domain, problem.carrier), truth)
    return found


@pytest.mark.slow
def test_a_transformer_at_p_113_stands_on_six_frequencies(say: Say) -> None:
    problem, truth = problem_of("modadd", 0.3, p=113)
    *_, (last, _) = candidates("transformer", problem)
    assert last.faithfulness is not None
    ties, held = last.faithfulness, problem.held_out
    keys = str(last.notes["key_frequencies"]).split()
    assert ties.keep_only is not None
    assert ties.remove_only is not None
    assert ties.remove_random is not None
    kept, gone, random = ((x == truth)[held].mean() for x in (ties.keep_only, ties.remove_only, ties.remove_random))
    say(
        f"transformer p=113 f=.3: {len(keys)} frequencies, {ties.variance_explained:.3f} of the variance; kept alone "
        f"{kept:.3f}, removed {gone:.3f}, as many others removed {random:.3f}",
    )
    assert len(keys) <= 8
    assert ties.variance_explained > 0.9
    assert kept > 0.98
    assert gone < 0.05
    assert random > 0.98
