"""Conjugation of one permutation by another."""

from bench.task import Task, task
from synth.carrier import symmetric_group


@task(version=1)
def s5_conj() -> Task:
    """Conjugation of one permutation of five things by another: a*b*inv(a)."""
    group = symmetric_group(5)
    product = group.table
    return Task(carrier=group, target=lambda a, b: product[product[a, b], group.inverses[a]], formula="a*b*inv(a)")
