"""``cvc5``: syntax-guided synthesis (SyGuS), the champion of that competition."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
from collections.abc import Generator
from typing import Annotated, Any

import numpy as np

from bench import sygus
from bench.method import Budget, Candidate, Inapplicable, Problem, method
from bench.parameters import Range
from bench.peers import out_of_time, require
from synth.carrier import Residues
from synth.components import encoded
from synth.examples import Contradiction, Examples
from synth.language import Language
from synth.program import Program


@method("cvc5", version=1, family="synth")
def syntax_guided(
    problem: Problem, budget: Budget, rng: np.random.Generator, rlimit: Annotated[int, Range(least=0)] = 0
) -> Generator[Candidate, None, None]:
    """SyGuS with cvc5 over the language's own grammar, in a process of its own that its CPU limit stops.

    ``rlimit`` is how many of its own resource units it may use, some hundred thousand a second; 0 for no limit but the
    clock. It cannot tell how many it used, so its work is its CPU seconds, which the row has anyway.
    """
    require("cvc5")
    carrier = problem.carrier
    if not isinstance(carrier, Residues):
        raise Inapplicable(f"its grammar is of arithmetic on residues; {carrier.name} is a group")
    language = problem.language
    if language.integers:
        raise Inapplicable(f"its grammar is of arithmetic on residues; {language.name} computes on plain integers")
    if not (operators := encoded(language)):
        raise Inapplicable(f"none of the operators of the language {language.name} has a grammar")
    try:
        Examples(carrier, problem.inputs, problem.outputs)
    except Contradiction:
        return  # no program agrees with the examples
    constants = [x for x in language.of_sort("value") if not x.arguments and x.variable is None]
    asked = {
        "modulus": carrier.modulus,
        "arity": problem.arity,
        "inputs": problem.inputs.tolist(),
        "outputs": problem.outputs.tolist(),
        "inverses": carrier.inverses.tolist(),
        "constants": {x.name: int(x.semantics(carrier)) for x in constants},
        "operators": [x.name for x in operators],
        "rlimit": rlimit,
        "cpu_seconds": max(1, math.ceil(budget.seconds_left)),
        "memory_mib": budget.memory_mib,
    }
    answer = _ask(asked, budget)
    match answer["status"]:
        case "found":
            notes: dict[str, str | float] = {"solver_seconds": round(answer["cpu_seconds"], 6)}  # its imports apart
            yield Candidate(_program(answer["program"], language), notes=notes)
        case "memory":
            raise MemoryError("cvc5 ran out of memory")
        case "error":
            raise RuntimeError(f"cvc5: {answer['reason']}")
        case "time":
            yield out_of_time(problem, budget)
        case _:
            return  # it gave up, or its resource units were used up


def _ask(asked: dict[str, Any], budget: Budget) -> dict[str, Any]:
    """What the child process says, or how it ended."""
    command = [sys.executable, "-P", sygus.__file__]  # -P: the files beside it are not to be found as modules
    with subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1, text=True) as child:
        try:
            said, complaints = child.communicate(json.dumps(asked), timeout=max(0.0, budget.seconds_left))
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()  # waits, so that its CPU seconds are counted
            return {"status": "time"}
        except BaseException:
            child.kill()
            raise
    if child.returncode == 0:
        return json.loads(said)
    if child.returncode == -signal.SIGXCPU:
        return {"status": "time"}
    if "bad_alloc" in complaints or child.returncode == -9:
        return {"status": "memory"}
    last = (complaints.strip().splitlines() or [f"exit code {child.returncode}"])[-1]
    return {"status": "error", "reason": last}


def _program(tree: list[Any], language: Language) -> Program:
    """[production, argument, ...] as a program.

    Raises:
        KeyError: a name that is not one of the language's.
    """
    name, *arguments = tree
    return language.make(name, *(_program(x, language) for x in arguments))
