"""An affine function of two residues."""

from bench.task import Task, task


@task(version=1)
def affine(p: int = 59, alpha: int = 2, beta: int = 3, gamma: int = 7) -> Task:
    """An affine function: alpha*a + beta*b + gamma."""
    formula = f"{alpha}*a + {beta}*b + {gamma}"
    return Task(modulus=p, target=lambda a, b: (alpha * a + beta * b + gamma) % p, formula=formula)
