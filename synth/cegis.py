"""Component-based synthesis with z3: the solver chooses which components there are and how they are wired.

After Gulwani, Jha, Tiwari and Venkatesan, "Synthesis of loop-free programs" (PLDI 2011). A program of k components is
k lines, each a production of the language applied to inputs, constants or earlier lines; Boolean variables say which.
Residues are bit-vectors, since z3's integers with ``mod`` already stall at two components. The solver sees a few
examples, and gets one more each time that its program fails on another (counterexample-guided). What cannot be told
from a program of fewer components (x + 0, x*1, lines in another order, lines that nothing uses) is ruled out, as those
were refuted before.

What z3 finds has the fewest components, not the fewest bits. Groups are not taken: their tables would have to be spelt
out once a line and example.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from synth.carrier import IntArray, Residues
from synth.components import Components, Sketch
from synth.examples import Examples
from synth.language import Language
from synth.program import Program

MOST_COMPONENTS = 16
_FIRST_EXAMPLES = 2
_RLIMIT = 2**32 - 1  # what z3 can count to in one call

Status = Literal["refuted", "found", "out of time", "out of work", "out of components"]


@dataclass(frozen=True)
class Progress:
    """Where the synthesis stands.

    Attributes:
        status: "refuted": no program of so many components agrees with the examples; "found"; or why it gave up.
        components: how many were tried last.
        program: agrees with all examples; only with "found".
        rlimit: z3's count of its own steps so far, however fast the machine.
        examples: how many of the examples z3 was given.
    """

    status: Status
    components: int
    rlimit: int
    examples: int
    program: Program | None = None


def synthesise(
    language: Language,
    carrier: Residues,
    inputs: IntArray,
    outputs: IntArray,
    *,
    max_components: int = MOST_COMPONENTS,
    max_rlimit: int | None = None,
    memory_mib: int | None = None,
    seconds_left: Callable[[], float] | None = None,
) -> Iterator[Progress]:
    """Programs of more and more components, until one agrees with all examples.

    Args:
        language: what programs are made of; productions that have no encoding (see components.encoded) are left out.
        inputs, outputs: the examples, shapes (n, arity) and (n,); n may be 0.
        max_rlimit: how many of its own steps z3 may make in all.
        memory_mib: what z3 may hold.
        seconds_left: asked before each call of z3, which then gets no more than that.

    Yields:
        One "refuted" a size, and at the end a Progress of another status.

    Raises:
        ValueError: examples of another shape or outside the carrier; Contradiction where no program can agree.
        MemoryError: z3 ran out of it.
    """
    examples = Examples(carrier, inputs, outputs)
    leaves = sorted((x for x in language.of_sort("value") if not x.arguments), key=lambda x: x.bits)
    for leaf in leaves:
        program = Program(leaf)
        if not len(examples.disagreements(program)):
            yield Progress("found", 0, 0, 0, program)
            return
    yield Progress("refuted", 0, 0, 0)
    limits = _Limits(max_rlimit, memory_mib, seconds_left)
    components = Components(language, carrier)
    shown = [int(x) for x in examples.distinct[:_FIRST_EXAMPLES]]
    for size in range(1, max_components + 1):
        sketch = Sketch(components, size, limits.solver())
        for index in shown:
            sketch.show(examples.inputs[index], int(examples.outputs[index]))
        while (answer := limits.check(sketch.solver)) == "sat":
            program = sketch.program()
            wrong = examples.disagreements(program)
            if not len(wrong):
                yield Progress("found", size, limits.spent, len(shown), program)
                return
            shown.append(int(wrong[0]))
            sketch.show(examples.inputs[shown[-1]], int(examples.outputs[shown[-1]]))
        if answer != "unsat":
            yield Progress(answer, size, limits.spent, len(shown))
            return
        yield Progress("refuted", size, limits.spent, len(shown))
    yield Progress("out of components", max_components, limits.spent, len(shown))


@dataclass
class _Limits:
    """One z3 context, what may be spent in it, and what has been."""

    max_rlimit: int | None
    memory_mib: int | None
    seconds_left: Callable[[], float] | None
    spent: int = 0

    @cached_property
    def context(self) -> Any:
        import z3

        return z3.Context()

    def solver(self) -> Any:
        import z3

        solver = z3.SolverFor("QF_BV", ctx=self.context)
        if self.memory_mib is not None:
            solver.set("max_memory", self.memory_mib)
        return solver

    def check(self, solver: Any) -> Literal["sat", "unsat", "out of time", "out of work"]:
        import z3

        left = None if self.max_rlimit is None else self.max_rlimit - self.spent
        seconds = None if self.seconds_left is None else self.seconds_left()
        if left is not None and left <= 0:
            return "out of work"
        if seconds is not None:
            if seconds <= 0:
                return "out of time"
            solver.set("timeout", max(1, int(seconds * 1000)))
        solver.set("rlimit", min(_RLIMIT, left) if left is not None else _RLIMIT)
        try:
            answer = str(solver.check())
        except z3.Z3Exception as error:
            if "memory" in str(error):
                raise MemoryError("z3 ran out of memory") from None
            raise
        statistics = solver.statistics()
        self.spent = int(statistics.get_key_value("rlimit count"))
        if answer != "unknown":
            return "sat" if answer == "sat" else "unsat"
        reason = str(solver.reason_unknown())
        if "memory" in reason or "memout" in reason:
            raise MemoryError("z3 ran out of memory")
        return "out of work" if self.max_rlimit is not None and self.spent >= self.max_rlimit else "out of time"
