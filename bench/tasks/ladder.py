"""A random program of a chosen length: how far a search gets, rung by rung."""

from bench.task import Task, program_target, task
from synth.carrier import Residues

FLOOR = 30  # bits: no program as short as this computes the task


@task(version=1)
def ladder(p: int = 59, bits: int = 40, task_seed: int = 0) -> Task:
    """A random program of about so many bits, with no equivalent of 30 bits or fewer (control)."""
    from synth.sample import ladder_program  # searches to certify its bound

    carrier = Residues(p)
    program, lower_bound, language = ladder_program(carrier, bits=bits, seed=task_seed, floor=FLOOR)
    return Task(
        carrier=carrier,
        target=program_target(program, carrier),
        formula=str(program),
        notes={"program": str(program), "bits": program.bits, "lower_bound_bits": lower_bound, "language": language},
    )
