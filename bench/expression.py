"""A task typed as an expression: --task "a**2 + 3*b"."""

from __future__ import annotations

import ast
import re
from typing import Any

import numpy as np

from bench.parameters import parameters_of
from bench.task import Task, TaskFamily, inverses, program_target
from synth.carrier import IntArray, Residues
from synth.language import MAX_ARITY, language
from synth.parse import arity_of, parse


def expression(text: str) -> TaskFamily:
    """The tasks that compute an expression over a..d, with p as their parameter; named after its normal spacing.

    Its arity is that of its highest variable. Where it divides, p must be a prime, and the cells with a zero divisor
    are not in the domain.

    Raises:
        ValueError: the text is no expression; the message is one line.
    """
    parse(text, language("full", MAX_ARITY))  # for its errors, which then name all variables
    arity = arity_of(text)
    program = parse(text, language("full", arity))
    normal = re.sub(r" (\*\*|\*|/) ", r"\1", ast.unparse(ast.parse(text.strip(), mode="eval")))
    divisors = [x.arguments[1] for x in program.nodes() if x.name == "/"]

    def build(p: int = 59) -> Task:
        if divisors:
            inverses(p, arity)  # a prime, or it says so

        def defined(*cell: IntArray) -> Any:
            return np.logical_and.reduce([program_target(x, Residues(p))(*cell) != 0 for x in divisors])

        def target(*cell: IntArray) -> IntArray:
            return program_target(program, Residues(p))(*cell)

        return Task(modulus=p, arity=arity, target=target, mask=defined if divisors else None, formula=normal)

    return TaskFamily(normal, 1, parameters_of(build), normal, build)
