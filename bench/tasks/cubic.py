"""A cubic."""

from bench.task import Task, task


@task(version=1)
def cubic(p: int = 59) -> Task:
    """A cubic: a**3 + a*b."""
    return Task(modulus=p, target=lambda a, b: (a * a * a + a * b) % p, formula="a**3 + a*b")
