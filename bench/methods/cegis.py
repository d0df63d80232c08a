"""``cegis``: component-based synthesis with z3, what a program synthesiser would reach for first."""

from __future__ import annotations

from collections.abc import Generator
from typing import Annotated

import numpy as np

from bench.method import Budget, Candidate, Inapplicable, Problem, method
from bench.parameters import Range
from bench.peers import out_of_time
from synth.carrier import Residues
from synth.cegis import MOST_COMPONENTS, synthesise
from synth.components import encoded
from synth.examples import Contradiction


@method("cegis", version=1, family="synth", work={"rlimit": 20e6}, imports=("z3",))
def cegis(
    problem: Problem,
    budget: Budget,
    rng: np.random.Generator,
    rlimit: Annotated[float, Range(least=0)] = 0,
    components: Annotated[int, Range(least=1)] = MOST_COMPONENTS,
) -> Generator[Candidate, None, None]:
    """z3 wires up components of the language, more and more of them, until a program agrees with the examples.

    Its work is z3's own count of steps, some millions a second. ``rlimit`` is how many it may make, 0 for the budget's
    20 million; ``components`` the most that a program may have.
    """
    carrier = problem.carrier
    if not isinstance(carrier, Residues):
        raise Inapplicable(f"its bit-vectors are of residues; {carrier.name} is a group")
    if problem.language.integers:
        raise Inapplicable(f"its bit-vectors are of residues; {problem.language.name} computes on plain integers")
    if not encoded(problem.language):
        raise Inapplicable(f"none of the operators of the language {problem.language.name} has an encoding")
    steps = synthesise(
        problem.language,
        carrier,
        problem.inputs,
        problem.outputs,
        max_components=components,
        max_rlimit=int(rlimit or budget.work.get("rlimit", 0)) or None,
        memory_mib=budget.memory_mib,
        seconds_left=lambda: budget.seconds_left,
    )
    try:
        for step in steps:
            if step.program is not None:
                notes: dict[str, str | float] = {"components": step.components, "examples_shown": step.examples}
                yield Candidate(step.program, work={"rlimit": float(step.rlimit)}, notes=notes)
            elif step.status == "out of time":
                yield out_of_time(problem, budget)
    except Contradiction:
        return  # no program agrees with the examples
