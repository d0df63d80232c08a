"""Product of two permutations of five things."""

from bench.task import Task, task
from synth.carrier import symmetric_group


@task(version=1)
def s5() -> Task:
    """Product of two permutations of five things: a*b."""
    group = symmetric_group(5)
    product = group.table
    return Task(carrier=group, target=lambda a, b: product[a, b], formula="a*b")
