"""Sum of three residues."""

from bench.task import Task, task


@task(version=1)
def modadd3(p: int = 23) -> Task:
    """Sum of three residues: a + b + c."""
    return Task(modulus=p, arity=3, target=lambda a, b, c: (a + b + c) % p, formula="a + b + c")
