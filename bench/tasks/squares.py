"""Sum of two squares."""

from bench.task import Task, task


@task(version=1)
def squares(p: int = 59) -> Task:
    """Sum of two squares: a**2 + b**2."""
    return Task(modulus=p, target=lambda a, b: (a * a + b * b) % p, formula="a**2 + b**2")
