"""All functions that agree with the examples, each by its shortest program, shortest first."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from synth.bank import MEMORY_MIB, Bank
from synth.carrier import Carrier, IntArray
from synth.draws import integers
from synth.examples import Examples
from synth.language import Language
from synth.program import Program

POINTS = 16


def consistent_programs(
    language: Language,
    carrier: Carrier,
    inputs: IntArray,
    outputs: IntArray,
    *,
    max_bits: int,
    others: IntArray | None = None,
    memory_mib: int = MEMORY_MIB,
    max_programs: int | None = None,
) -> Iterator[Program]:
    """Programs that agree with all examples, in order of bits; of those that compute one function only the shortest.

    Lazy: the bank grows only as far as is asked for.

    Args:
        inputs, outputs: the examples, shapes (n, arity) and (n,).
        max_bits: how long programs may be.
        others: points, shape (k, arity), that tell functions apart besides the examples; 16 hashed ones by default.
            With all points of the domain functions are told apart for certain.
        memory_mib, max_programs: as for a bank; they end the list after the deepest complete level.

    Raises:
        ValueError: examples of another shape or outside the carrier; Contradiction where no program can agree.
    """
    examples = Examples(carrier, inputs, outputs)
    if others is None:
        draws = integers(0, "consistent", np.arange(POINTS * language.arity), carrier.size)
        others = draws.reshape(POINTS, language.arity)
    points = np.concatenate([examples.inputs, others])
    bank = Bank(language, carrier, points, max_bits=max_bits, memory_mib=memory_mib, max_programs=max_programs)
    told = 0
    for _ in bank.grow():
        fresh = np.arange(told, len(bank))
        agree = (bank.outputs(fresh)[:, : examples.n] == examples.outputs).all(axis=1)
        for index in fresh[agree].tolist():
            yield bank.program(index)
        told = len(bank)
