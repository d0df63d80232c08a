"""Scores: the examples of a search under noise, and the program of the shortest two-part code so far."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synth.carrier import Carrier, IntArray
from synth.program import Program
from synth.twopart import TwoPart


@dataclass(frozen=True)
class NoisyProgress:
    """Where a search under noise stands.

    Attributes:
        program: of the shortest two-part code so far, if that is shorter than the labels without a program; or None.
        score_bits: the length of that code, or that of the labels without a program.
        exceptions: how many examples the program gets wrong; all, where there is none.
        visited: how many candidates were evaluated so far.
        subsets: how many subsets of the examples were searched.
        lower_bound_bits: no program in the language has a shorter two-part code.
        minimal: nor has any than this program.
    """

    program: Program | None
    score_bits: float
    exceptions: int
    visited: int
    subsets: int
    lower_bound_bits: float
    minimal: bool


class Scores:
    """The examples, and the best program so far."""

    def __init__(self, carrier: Carrier, inputs: IntArray, outputs: IntArray, noise: float) -> None:
        self.carrier = carrier
        self.inputs = np.asarray(inputs, dtype=np.int64)
        self.outputs = np.asarray(outputs, dtype=np.int64)
        if self.inputs.ndim != 2 or self.outputs.shape != self.inputs.shape[:1]:
            raise ValueError(
                f"examples: inputs of shape (n, arity) and outputs of shape (n,) are expected, "
                f"got {self.inputs.shape} and {self.outputs.shape}"
            )
        for what, values in (("input", self.inputs), ("output", self.outputs)):
            if values.size and (values.min() < 0 or values.max() >= carrier.size):
                raise ValueError(
                    f"examples: every {what} must be an element 0..{carrier.size - 1} of {carrier.name}, "
                    f"got {values.min()}..{values.max()}"
                )
        self.n = len(self.outputs)
        self.code = TwoPart(carrier.size, noise)
        self.program: Program | None = None
        self.exceptions = self.n
        self.bits = self.code.null(self.n)

    def offer(self, program: Program) -> bool:
        """Whether the program is the best so far; then it is kept."""
        if program.bits + self.code.least(self.n) >= self.bits:
            return False
        k = int((program.evaluate(self.inputs, self.carrier) != self.outputs).sum())
        bits = program.bits + self.code.labels(self.n, k)
        if bits >= self.bits:
            return False
        self.program, self.exceptions, self.bits = program, k, bits
        return True

    def progress(self, visited: int, subsets: int, others: float) -> NoisyProgress:
        """Where all other programs have a code of at least so many bits."""
        minimal = self.program is not None and self.bits <= others
        bound = min(self.bits, others) if self.program is not None else others
        return NoisyProgress(self.program, self.bits, self.exceptions, visited, subsets, bound, minimal)
