"""Difference of two residues."""

from bench.task import Task, task


@task(version=1)
def modsub(p: int = 59) -> Task:
    """Difference of two residues: a - b."""
    return Task(modulus=p, target=lambda a, b: (a - b) % p, formula="a - b")
