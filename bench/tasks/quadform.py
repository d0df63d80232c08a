"""A symmetric quadratic form."""

from bench.task import Task, task


@task(version=1)
def quadform(p: int = 59) -> Task:
    """A symmetric quadratic form: a**2 + a*b + b**2."""
    return Task(modulus=p, target=lambda a, b: (a * a + a * b + b * b) % p, formula="a**2 + a*b + b**2")
