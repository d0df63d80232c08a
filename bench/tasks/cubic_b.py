"""A cubic in both inputs."""

from bench.task import Task, task


@task(version=1)
def cubic_b(p: int = 59) -> Task:
    """A cubic of three terms: a**3 + a*b**2 + b."""
    return Task(modulus=p, target=lambda a, b: (a * a * a + a * b * b + b) % p, formula="a**3 + a*b**2 + b")
