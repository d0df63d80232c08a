"""Quotient or difference of two residues, as b is odd or even."""

import numpy as np

from bench.task import Task, inverses, task


@task(version=1)
def oddbranch(p: int = 59) -> Task:
    """Modulo a prime, a/b where b is odd and a - b where it is even."""
    inverse = inverses(p)
    return Task(
        modulus=p,
        target=lambda a, b: np.where(b % 2 == 1, a * inverse[b], a - b) % p,
        formula="a/b if odd(b) else a - b",
    )
