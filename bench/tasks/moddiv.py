"""Quotient of two residues modulo a prime."""

from bench.task import Task, inverses, task


@task(version=1)
def moddiv(p: int = 59) -> Task:
    """Quotient of two residues modulo a prime: a/b; b = 0 is not in the domain."""
    inverse = inverses(p)
    return Task(modulus=p, target=lambda a, b: a * inverse[b] % p, mask=lambda a, b: b != 0, formula="a/b")
