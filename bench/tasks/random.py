"""A random table: no short program exists, so whatever is said to solve it has memorised."""

from bench.task import Task, task
from synth.draws import integers


@task(version=1)
def random(p: int = 59, task_seed: int = 0) -> Task:
    """Independent uniform values (control: no short program exists)."""
    return Task(modulus=p, target=lambda a, b: integers(task_seed, "random table", a * p + b, p))
