"""A quadratic form and a linear term that breaks its symmetry."""

from bench.task import Task, task


@task(version=1)
def quadform_a(p: int = 59) -> Task:
    """The quadratic form with its symmetry broken: a**2 + a*b + b**2 + a."""
    return Task(modulus=p, target=lambda a, b: (a * a + a * b + b * b + a) % p, formula="a**2 + a*b + b**2 + a")
