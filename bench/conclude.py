"""The end of a run: its last program proved, what ties it to its network scored, the weights stored."""

from __future__ import annotations

import math

from bench.codelength import Foresight, probability_of, run_lengths
from bench.errors import UserError
from bench.method import Candidate, Problem
from bench.observe import Observation
from bench.record import CodeRecord, ProgramRecord, Record, RunSpec, one_line
from bench.registry import as_flags, load_task
from bench.store import Store
from bench.stream import Stream
from synth.program import Program
from synth.verify import Target

TRANSFER_PRIMES = (11, 13, 17, 19, 23)  # small ones, where a rebuilt task costs a millisecond
CONTROLS = ("random", "relabelled", "ladder")  # another modulus is another draw, not the same task


def conclude(problem: Problem, watch: Observation, record: Record, store: Store, stream: Stream) -> None:
    """Prove the last program, score what ties it to its network, store the weights, code the labels to come.

    Raises:
        TypeError: what the method handed over can't be evaluated.
    """
    if watch.last is None:
        return
    last, entry = watch.last, watch.trace[-1]
    record.test_accuracy, record.work = entry.test_accuracy, dict(entry.work)
    record.extraction_seconds = entry.extraction_seconds
    notes = {**last.notes, **_examined(last)}
    record.notes = {str(name): _plain(value) for name, value in notes.items()}
    if last.program is not None:
        from synth.symbolic import canonical
        from synth.verify import verify

        result = verify(last.program, watch.target)
        record.verdict, record.proof = result.verdict, result.proof
        if result.counterexample is not None:
            record.counterexample = [int(x) for x in result.counterexample]
        if result.verdict == "correct":
            record.transfers_to = _transfers(last.program, record.spec, watch.target, by_identity=result.every_modulus)
        record.program = ProgramRecord(
            text=str(last.program),
            form=last.form,
            bits=last.bits if last.bits is not None else float(last.program.bits),
            sympy=_sympy(last.program),
            canonical=canonical(last.program, problem.carrier),
            minimal=last.minimal,
            exact=entry.program_exact,
        )
    elif last.text is not None:
        # Tables and circuits are descriptions of the predictor itself, so its exactness on every cell decides.
        record.verdict, record.proof = ("correct", "exhaustive") if entry.exact else ("wrong", "exhaustive")
        record.counterexample = watch.first_error
        record.program = ProgramRecord(
            text=last.text, form=last.form, bits=last.bits, canonical=last.text, exact=entry.exact, minimal=last.minimal
        )
    if record.program is not None and record.program.bits is not None:
        record.program.two_part_bits = record.program.bits + _exceptions_bits(problem, watch, stream)
    if last.faithfulness is not None:
        record.faithfulness = watch.score(last)
    if last.weights:
        record.weights = store.save_weights(record.run_id, last.weights)
    if last.describe is not None:
        record.network_bits = float(last.describe())
    try:
        _look_ahead(problem, watch, record, store, stream)
    except MemoryError:  # the run itself has ended well; a block without a code costs the uniform code
        record.notes["code"] = "none: out of memory"


def _examined(last: Candidate) -> dict[str, str | float]:
    """What a method has to say once it has ended; where that fails, the run's result stands all the same."""
    if last.examine is None:
        return {}
    try:
        return dict(last.examine())
    except Exception as error:
        return {"examined": f"no: {one_line(error)}"}


def _exceptions_bits(problem: Problem, watch: Observation, stream: Stream) -> float:
    """Bits of the examples' labels given the last description: a program, or the tables that the predictor is."""
    from synth.twopart import exceptions_bits

    assert watch.last is not None
    program = watch.last.program
    if program is not None:
        said = program.evaluate(problem.inputs, problem.carrier)
    else:
        said = watch.predictions[stream.order[: problem.n]]
    return exceptions_bits(problem.n, int((said != problem.outputs).sum()), problem.carrier.size)


def _look_ahead(problem: Problem, watch: Observation, record: Record, store: Store, stream: Stream) -> None:
    """What the last answer makes of the labels after its examples. The method has ended by now."""
    last = watch.last
    assert last is not None
    ahead = stream.order[record.n :]
    found = Foresight.of(last, problem, watch.predictions, ahead, stream.labels[ahead])
    if found.kind == "point":
        record.code = CodeRecord(kind=found.kind, hits=run_lengths(found.bits))
    else:
        record.code = CodeRecord(kind=found.kind, file=store.save_code(record.run_id, found.bits))
    if found.kind == "online" and last.distribution is not None and len(ahead):
        record.p_correct = probability_of(
            last.distribution, problem.domain[ahead], stream.task.table[ahead], problem.carrier.size
        )


def _plain(value: object) -> str | float:
    """A note as JSON can hold it: numpy's numbers as floats, anything odd as its text."""
    if isinstance(value, str):
        return value
    try:
        number = float(value)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError):
        return str(value)
    return number if math.isfinite(number) else str(number)


def _sympy(program: Program) -> str:
    """The program as sympy prints it; empty where a user's production has no such form."""
    from synth.symbolic import to_sympy

    if any(x.production.symbolic is None for x in program.nodes()):
        return ""
    return str(to_sympy(program))


def _transfers(program: Program, spec: RunSpec, target: Target, *, by_identity: bool) -> str:
    """ "all", or the primes of TRANSFER_PRIMES at which the program is the task rebuilt there; empty where the task has
    no modulus to change."""
    from synth.verify import transfers_to

    if by_identity:
        return "all"
    if "p" not in spec.task_params or spec.task in CONTROLS:
        return ""

    def rebuild(p: int) -> Target | None:
        try:
            return load_task(spec.task_ref, as_flags({**spec.task_params, "p": p})).task.target()
        except UserError:
            return None  # the task says no to this modulus

    right = transfers_to(program, target, TRANSFER_PRIMES, rebuild)
    return right if isinstance(right, str) else " ".join(map(str, right))
