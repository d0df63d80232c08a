"""The product xyx of permutations."""

from bench.task import Task, task
from synth.carrier import symmetric_group


@task(version=1)
def s5_aba() -> Task:
    """A product of permutations of five things: a*b*a."""
    group = symmetric_group(5)
    product = group.table
    return Task(carrier=group, target=lambda a, b: product[product[a, b], a], formula="a*b*a")
