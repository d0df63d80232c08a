"""Methods that are trained side by side and misbehave on purpose, named by the tests as helpers_stack.py:name.

Each run has four points. A run is told apart from the others by its method seed's first draw, see ``which``.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bench.method import Candidate, Inapplicable, Problem, Stacking, method

POINTS = 4


def which(rng: np.random.Generator) -> int:
    """The method seed, 0 to 9, that made this generator."""
    drawn = int(rng.integers(2**31))
    return next(i for i in range(10) if int(np.random.default_rng(i).integers(2**31)) == drawn)


@dataclass(frozen=True)
class Run:
    """Right from the second point on."""

    problem: Problem
    seed: int
    fate: str
    fits: Any = "all"

    def answer(self, point: int) -> tuple[Candidate, bool]:
        if self.seed == 1 and point == 2:
            if self.fate == "breaks":
                raise ZeroDivisionError("on purpose")
            if self.fate == "leaves":
                raise SystemExit(3)
            if self.fate == "hungry":
                raise MemoryError
            if self.fate == "cannot":
                raise Inapplicable("not this one")
            if self.fate == "yields 42":
                return 42, False  # type: ignore[return-value]
            if self.fate == "dies":
                os.kill(os.getpid(), signal.SIGSEGV)
            if self.fate == "hangs":
                ctypes.PyDLL(None).sleep(60)
            if self.fate == "greedy":
                np.ones(150 << 17)  # MiB
            if self.fate == "rests":
                time.sleep(0.6)
        cells, right = self.problem.domain, point >= 1
        ended = point == POINTS - 1 or (self.fate == "ends" and self.seed == 1 and point == 2)
        return (
            Candidate(
                predict=lambda: (cells.sum(axis=1) + (not right)) % self.problem.carrier.size,
                work={"points": point + 1.0},
                notes={"seed": float(self.seed)},
                weights={"seed": np.array([self.seed])} if ended else None,
            ),
            ended,
        )


def together(runs: list[Run]):
    fate = runs[0].fate
    going = set(range(len(runs)))
    several = len(set(map(id, runs))) > 1  # a run by itself is given twice
    held = [np.ones({"greedy": 90, "heavy": 300}.get(fate, 0) << 17) for _ in runs]
    for point in range(POINTS):
        if fate == "slow":
            time.sleep(0.2)
        if (fate == "batch breaks" and point == 2) or (fate == "several break" and several):
            raise RuntimeError("the batch is broken")
        if (fate == "batch dies" and point == 2) or (fate == "several die" and several):
            os.kill(os.getpid(), signal.SIGKILL)
        if fate == "batch hangs" and point == 2:
            ctypes.PyDLL(None).sleep(60)
        yield dict.fromkeys(sorted(going), point)
        if fate == "ends" and point == 2:
            going -= {i for i in going if runs[i].seed == 1}
    del held


def declare(name: str, fate: str = ""):
    def prepare(problem: Problem, rng: np.random.Generator) -> Run | None:
        seed = which(rng)
        if fate == "refuses" and seed == 1:
            raise Inapplicable("it can't be prepared")
        return Run(problem, seed, fate, fits="odd" if fate == "odd" and seed == 1 else "all")

    @method(name, version=1, family="test", trains=True)
    def run(problem: Problem, budget, rng: np.random.Generator):
        """The same, alone."""
        own = Run(problem, which(rng), fate)
        if fate == "refuses" and own.seed == 1:
            raise Inapplicable("it can't be prepared")
        for point in range(POINTS):
            candidate, ended = own.answer(point)
            yield candidate
            if ended:
                return

    return replace(run, stacking=Stacking(prepare, together))


FATES = (
    "breaks", "leaves", "hungry", "cannot", "yields 42", "dies", "hangs", "rests", "ends", "slow", "odd", "refuses",
    "batch breaks", "batch dies", "batch hangs", "several break", "several die", "greedy", "heavy",
)  # fmt: skip
plain = declare("plain")
(
    breaks, leaves, hungry, cannot, yields_42, dies, hangs, rests, ends, slow, odd, refuses,
    batch_breaks, batch_dies, batch_hangs, several_break, several_die, greedy, heavy,
) = (declare(fate.replace(" ", "_"), fate) for fate in FATES)  # fmt: skip
