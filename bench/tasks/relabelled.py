"""A task under other names for its values: trivial for a network on one-hot inputs, hard for who seeks a formula."""

import numpy as np

from bench.task import Task, task
from synth.draws import permutation


@task(version=1)
def relabelled(of: str = "modadd", p: int = 59, task_seed: int = 0) -> Task:
    """Another task, --of modmul or --of affine:alpha=5, with inputs and outputs each permuted (control)."""
    from bench.registry import load_task  # which loads this file

    inner = load_task(of, {}, spare={"p": p}).task
    size = inner.carrier.size
    shape = (size,) * inner.arity
    inputs, outputs = permutation(task_seed, "input labels", size), permutation(task_seed, "output labels", size)
    table, kept = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.bool_)
    table[tuple(inputs[inner.domain].T)] = outputs[inner.table]
    kept[tuple(inputs[inner.domain].T)] = True
    return Task(
        carrier=inner.carrier,
        arity=inner.arity,
        target=lambda *cell: table[cell],
        mask=lambda *cell: kept[cell],
        notes=inner.notes,
    )
