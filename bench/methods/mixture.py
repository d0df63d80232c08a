"""``mixture``: the ideal learner with the language's length prior, all programs weighted by 2^-bits."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Annotated

import numpy as np

from bench.method import Budget, Candidate, Inapplicable, Problem, method
from bench.parameters import Range

if TYPE_CHECKING:
    from synth.posterior import Posterior

_SHARE = 4  # of the memory, what the derivations may take


@method("mixture", version=1, family="synth", work={"programs": 1 << 18}, imports=("synth.posterior",), online=True)
def mixture(
    problem: Problem, budget: Budget, rng: np.random.Generator, programs: Annotated[int, Range(least=0)] = 0
) -> Generator[Candidate, None, None]:
    """Solomonoff's predictor in the language: what most of the mass of all programs that agree says.

    Its answer on a cell is the most probable value; its program the shortest of the most probable behaviour.
    Derivations are counted to the depth that ``programs`` of them reach; 0 for those of the work budget.
    """
    from synth.derivations import Derivations  # late: they need scipy
    from synth.posterior import Posterior

    language, carrier = problem.language, problem.carrier
    if not language.suits(carrier):
        raise Inapplicable(f"language {language.name} has no programs on {carrier.name}")
    derivations = Derivations(
        language,
        carrier,
        most_candidates=programs or int(budget.work.get("programs", 1 << 18)),
        memory_mib=budget.memory_mib // _SHARE,
    )
    posterior = Posterior(derivations, noise=problem.noise)
    posterior.observe(problem.inputs, problem.outputs, each=False)
    predictions = posterior.predictions(problem.domain)
    yield Candidate(
        posterior.map_program,
        predict=lambda: predictions,
        work={"programs": derivations.candidates},
        notes={
            "residual": posterior.residual,
            "log2_mass": posterior.log2_mass,
            "coded": _coded(posterior),
            "exact_points": posterior.exact_points,
            "counted_bits": derivations.deepest,
            "listed": posterior.programs,
        },
        distribution=posterior.predictive,
        online=posterior.online,
    )


def _coded(posterior: Posterior) -> str:
    """How a label is coded, by its place in the stream."""
    beyond = " and joins" if posterior.joins else ""
    truncated = f"truncated at {posterior.derivations.deepest} bits{beyond}"
    if not posterior.exact_points:
        return truncated
    return f"exact to label {posterior.exact_points}, then {truncated}"
