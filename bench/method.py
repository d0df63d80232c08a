"""The method protocol: what a method is given, what it yields, and how one is declared.

A method is a generator over its improving answers. The harness owns the clock (only time inside ``next()`` counts),
evaluates what is yielded off the clock, and never stops a method because it has solved.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

from synth.carrier import Carrier, IntArray
from synth.language import Language
from synth.program import Program

Form = Literal["program", "law", "tables", "circuit"]
Predict = Callable[[], IntArray]
FloatArray = np.ndarray[Any, np.dtype[np.floating[Any]]]


class Inapplicable(Exception):
    """Raised by a method that cannot take a problem; the message says why and becomes the row's reason."""


@dataclass(frozen=True, eq=False)
class Problem:
    """All that a method may know of a task: the carrier, the domain, and n labelled examples. Never the target.

    Attributes:
        carrier: the set of values.
        arity: number of inputs, 1 to 4.
        inputs: shape (n, arity), elements of the carrier; the stream's first n cells, in its order.
        outputs: shape (n,), the labels, noisy under ``--noise``.
        domain: shape (cells, arity), every cell that the answer is judged on, in lexicographic order (no labels).
        language: the language that symbolic answers are written and priced in.
        noise: the declared share of wrong labels.
        device: "cpu" or "cuda".
        threads: how many threads the method may use.
    """

    carrier: Carrier
    arity: int
    inputs: IntArray
    outputs: IntArray
    domain: IntArray
    language: Language
    noise: float = 0.0
    device: str = "cpu"
    threads: int = 1

    @property
    def n(self) -> int:
        return len(self.outputs)

    @property
    def held_out(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which cells of ``domain`` are not among the examples, shape (cells,)."""
        weights = self.carrier.size ** np.arange(self.arity, dtype=np.int64)
        return ~np.isin(self.domain @ weights, self.inputs @ weights)


@dataclass
class Budget:
    """Work first, wall seconds as the backstop: n* then does not depend on how busy the machine is.

    Attributes:
        seconds: the backstop, for the method's own time (verification is not in it).
        memory_mib: how much the method may allocate.
        work: how much it may do, by unit, as in {"steps": 1500}; a method stops by itself when it is done.
    """

    seconds: float = 5.0
    memory_mib: int = 2048
    work: Mapping[str, float] = field(default_factory=dict[str, float])
    spent: float = 0.0  # seconds inside next() so far; the harness keeps it
    _since: float | None = None

    def resume(self) -> None:
        """The harness starts the clock."""
        self._since = time.perf_counter()

    def pause(self) -> None:
        """The harness stops the clock."""
        if self._since is not None:
            self.spent += time.perf_counter() - self._since
            self._since = None

    @property
    def elapsed(self) -> float:
        """Seconds of the method's own time so far."""
        return self.spent + (time.perf_counter() - self._since if self._since is not None else 0.0)

    @property
    def seconds_left(self) -> float:
        return self.seconds - self.elapsed


@dataclass(frozen=True, eq=False)
class Faithfulness:
    """What ties a program to the network that it was read from. Label-free: the harness turns predictions into scores.

    Attributes:
        agreement: share of held-out cells on which program and network say the same.
        variance_explained: share of the variance of the held-out centred logits that functions of the law explain.
        network: the network's own predictions, shape (cells,).
        keep_only, remove_only, remove_random: predictions, shape (cells,), of the network with only its key
            frequencies kept in the weights, with them removed, and with as many
            random others removed; None where not done, or no such others are left.
    """

    agreement: float
    variance_explained: float
    network: IntArray
    keep_only: IntArray | None = None
    remove_only: IntArray | None = None
    remove_random: IntArray | None = None


@dataclass(frozen=True, eq=False)
class Candidate:
    """What a method would answer now.

    Attributes:
        program: the answer as a program, or None.
        predict: gives the predictions over ``problem.domain``, shape (cells,); called off the clock, before the method
            goes on. None where the program predicts.
        work: how much has been done so far, by unit, as in {"programs": 1200}; the first unit is the headline.
        form: what kind of description the program is.
        text: how the answer prints where it is no Program (tables, circuit); None otherwise.
        bits: the description length of ``text``; None where the program's own bits serve.
        minimal: True when no program of fewer bits in the language agrees with the examples; a number is the lower
            bound reached; None when nothing is known.
        extraction_seconds: the part of the method's time so far that went into reading a program out of a network,
            where the network is what answers.
        faithfulness: for a program read out of a network.
        weights: arrays to store with the record, by name.
        notes: small facts worth keeping in the record.
        describe: for a trained network, the bits of the shortest two-part code of the examples that it gives: weights,
            and labels given them. Called off the clock.
        examine: gives further notes that take work and are no part of the answer, such as whether a network's
            certificate holds. Called off the clock, for the last candidate only.
        distribution: log-probabilities (natural, up to a constant a row) of every value, shape (t, size), on cells of
            the domain given as inputs (t, arity): what the code of further labels starts from, calibrated by the
            harness. None for a point predictor.
        online: for a learner that goes on learning: given further labelled cells in their order, inputs (t, arity) and
            labels (t,), the bits that each label costs it, shape (t,), each settled before its own label is seen.
    """

    program: Program | None = None
    predict: Predict | None = None
    work: Mapping[str, float] = field(default_factory=dict[str, float])
    form: Form = "program"
    text: str | None = None
    bits: float | None = None
    minimal: bool | float | None = None
    extraction_seconds: float = 0.0
    faithfulness: Faithfulness | None = None
    weights: Mapping[str, np.ndarray[Any, Any]] | None = None
    notes: Mapping[str, str | float] = field(default_factory=dict[str, str | float])
    describe: Callable[[], float] | None = None
    examine: Callable[[], Mapping[str, str | float]] | None = None
    distribution: Callable[[IntArray], FloatArray] | None = None
    online: Callable[[IntArray, IntArray], FloatArray] | None = None


Run = Callable[..., Generator[Candidate, None, None]]
Check = Callable[[int, int, Mapping[str, Any]], None]


class Trainee(Protocol):
    """One of several runs that are trained side by side: what the method's ``run`` does, cut where the training is."""

    @property
    def fits(self) -> Hashable:
        """Equal for those that may go side by side; None for one that is to go by itself."""
        ...

    def answer(self, point: Any) -> tuple[Candidate, bool]:
        """What is answered at a point of the training, and whether that is the end."""
        ...


@dataclass(frozen=True)
class Stacking:
    """How runs of one method are trained side by side, in one batch.

    ``train`` has the examples of all its runs at hand, and must keep them apart: what one run answers may depend on its
    own examples only, or data seeds are no longer independent. The harness can't see to that, as little as it can keep
    a method from remembering what an earlier run in its process was given; ``--stack off`` takes the occasion away.

    Attributes:
        prepare: ``prepare(problem, rng, **parameters)``, one run up to its training, from which on it may keep to its
            own clock again at each point; None, or whatever it raises: this run goes by itself.
        train: points of the training by run, 0 to k - 1, of runs that fit together; the last of a run is one at which
            it answers that it has ended. What it raises ends no run: those not ended then go by themselves. There are
            always two or more: a run without another is given twice, so that it is rounded as among others.
        warm: what a fresh process must do once, on that device, before the clock starts.
    """

    prepare: Callable[..., Trainee | None]
    train: Callable[[Sequence[Any]], Generator[Mapping[int, Any], None, None]]
    warm: Callable[[str], None] | None = None


@dataclass(frozen=True)
class Method:
    """A declared method.

    Attributes:
        name, version, family: what the CSV says of it.
        run: ``run(problem, budget, rng, **parameters)``, a generator of candidates.
        work: its default work budget by unit.
        imports: modules that a worker loads before the clock starts.
        warm: called once a worker before the clock starts, for what a fresh process must do once (JIT, thread pools,
            a GPU's context); told the device where it has a parameter of that name.
        trains: whether its trace is a training run, where ``solved`` asks for an exact suffix of a tenth of the run.
        online: whether its candidates go on learning (``Candidate.online``): then its code begins with a run that has
            seen no example.
        about: one line, from the docstring.
        check: told the carrier's size, the arity and the parameters given, before anything runs.
        gpu: whether it computes on the problem's device, as one of family "nets" does unless it says that it does not;
            others are only ever given the CPU.
        stacking: how its runs are trained side by side; None where they can't be.
        sources: modules whose text its results depend on, beside its version: where settings are tuned more often than
            versions are counted, an older record must not pass for one of today's.
    """

    name: str
    version: int
    family: str
    run: Run
    work: Mapping[str, float]
    imports: tuple[str, ...]
    warm: Callable[..., None] | None
    trains: bool
    online: bool
    about: str
    check: Check | None = None
    gpu: bool = False
    stacking: Stacking | None = None
    sources: tuple[str, ...] = ()


def method(
    name: str,
    *,
    version: int,
    family: str,
    work: Mapping[str, float] | None = None,
    imports: tuple[str, ...] = (),
    warm: Callable[..., None] | None = None,
    trains: bool = False,
    online: bool = False,
    check: Check | None = None,
    gpu: bool | None = None,
    sources: tuple[str, ...] = (),
) -> Callable[[Run], Method]:
    """Declare a method.

    Example:
        >>> @method("constant", version=1, family="floor")
        ... def constant(problem, budget, rng):
        ...     \"\"\"The most common label, everywhere.\"\"\"
        ...     label = np.bincount(problem.outputs, minlength=problem.carrier.size).argmax()
        ...     yield Candidate(predict=lambda: np.full(len(problem.domain), label))

    Parameters of the function beyond (problem, budget, rng) are the method's options, with annotated defaults:
    ``--methods constant:h=256`` passes h=256. What a number may be stands in its annotation,
    ``h: Annotated[int, Range(least=1)] = 128`` (bench.parameters); ``check`` raises a ValueError, of one line, for
    parameters that do not go together or with the carrier's size and the arity. Both refuse before anything runs.
    """

    def declare(run: Run) -> Method:
        about = (run.__doc__ or "").strip().partition("\n")[0]
        on_gpu = family == "nets" if gpu is None else gpu
        return Method(
            name, version, family, run, dict(work or {}), imports, warm, trains, online, about, check, on_gpu,
            sources=sources,
        )  # fmt: skip

    return declare
