"""``rfm``: the recursive feature machine, a kernel method that learns features without a network."""

from __future__ import annotations

from collections.abc import Generator
from typing import Annotated

import numpy as np

from bench.limits import STEPS
from bench.method import Budget, Candidate, Inapplicable, Problem, method
from bench.parameters import Range

IMPORTS = ("nets.rfm", "scipy.linalg")


def _warm() -> None:
    """Once a process: a few rounds on a tiny table, so that no run pays for thread pools and first calls."""
    from nets.rfm import rounds

    cells = np.stack(np.meshgrid(np.arange(7), np.arange(7), indexing="ij"), axis=-1).reshape(-1, 2)
    for _ in rounds(7, cells, cells.sum(axis=1) % 7, cells, most=2):
        pass


@method("rfm", version=1, family="nets", imports=IMPORTS, warm=_warm, trains=True, gpu=False, sources=("nets.rfm",))
def rfm(
    problem: Problem,
    budget: Budget,
    rng: np.random.Generator,
    rounds: Annotated[int, STEPS] = 60,
    ridge: Annotated[float, Range(above=0, most=1e9)] = 1e-4,
    power: Annotated[float, Range(above=0, most=100)] = 0.7,
) -> Generator[Candidate, None, None]:
    """Kernel regression whose metric is learned from the fit's own gradients (AGOP), round by round."""
    from nets.rfm import bytes_needed
    from nets.rfm import rounds as run

    if problem.n == 0:
        return
    size, cells = problem.carrier.size, problem.domain
    if (needed := bytes_needed(problem.n, size, problem.arity)) > budget.memory_mib << 20:
        raise Inapplicable(
            f"the kernel of {problem.n} examples takes {needed >> 20} MiB, and the budget is {budget.memory_mib} MiB"
        )
    going = run(size, problem.inputs, problem.outputs, cells, most=rounds, ridge=ridge, power=power)
    for point in going:
        machine = point.machine
        notes: dict[str, str | float] = {"changed": point.changed}
        if point.cause:
            notes["cause"] = point.cause
        yield Candidate(
            predict=lambda machine=machine: machine.predict(cells),
            work={"rounds": float(point.round), "flops": point.flops},
            weights={"metric": machine.metric.astype(np.float32)} if point.cause else None,
            notes=notes,
        )
