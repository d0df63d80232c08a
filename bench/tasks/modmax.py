"""The larger of two residues."""

import numpy as np

from bench.task import Task, task


@task(version=1)
def modmax(p: int = 59) -> Task:
    """The larger of two residues, as integers 0..p-1."""
    return Task(modulus=p, target=np.maximum, formula="max(a, b)")
