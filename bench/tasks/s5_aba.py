"""The product xyx of permutations."""

from bench.task import Task, task
from synth.carrier import symmetric_group


@task(version=1)
def s5_aba() -> Task:
    """The product xyx of permutations."""
    group = symmetric_group(5)
    product = group.table
    return Task(carrier=group, target=lambda a, b: product[product[a, b], a], formula="a*b*a")
