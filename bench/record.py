"""What a run is (RunSpec), how it ended (Outcome) and what is kept of it (Record)."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Any

import msgspec

SCHEMA = 2
VERIFIER_VERSION = 1  # raise when a fix to synth.verify could change a verdict: boards never mix two


class Outcome(StrEnum):
    """How a run ended. Failures are results with a cause."""

    SOLVED = "solved"  # the last candidate is exact on the whole domain, and has been for long enough
    WRONG = "wrong"  # the method ended by itself and its last candidate is not exact
    EXHAUSTED = "exhausted"  # the method ended by itself, or its work budget did, without any candidate
    INAPPLICABLE = "inapplicable"  # the method cannot take such a task, and says why
    TIMEOUT = "timeout"  # the wall-clock backstop: censored, never imputed
    MEMOUT = "memout"  # the memory budget
    ERROR = "error"  # the method broke


class RunSpec(msgspec.Struct, frozen=True, kw_only=True):
    """All that decides a run's result, and nothing else; two equal specs are one run.

    Attributes:
        task_ref, method_ref, language_ref: how a worker finds them (a name, ``/path/file.py:fn``, an expression). Not
            part of the identity: the fingerprint and the source hashes are. An empty language_ref: the name.
        task_params, method_params: name -> value, as their functions take them.
        task_fingerprint: hash of the task's table, so that an edited file never returns old results.
        method_source: hash of a user method's file; the version for built-in ones.
        language_source: hash of a user language's file; empty for built-in ones, and then not part of the identity.
        carrier, carrier_size, cells: of the task, so that even a run that never started has a whole row.
        n: examples asked for.
        data_seed, method_seed: of the stream, and of the method's own choices.
        seconds, memory_mib: the backstops.
        stack: whether it may be trained side by side with runs of other seeds: its sums are then rounded otherwise, and
            its seconds are the batch's. How many there were depends on what was on disk already: that is the record's,
            and on a CPU changes no bit of the answer, for a run without others is trained as in a batch, too.
    """

    task_ref: str
    task: str
    task_version: int
    task_params: dict[str, int | float | str | bool]
    task_fingerprint: str
    method_ref: str
    method: str
    method_version: int
    method_params: dict[str, int | float | str | bool]
    method_source: str
    family: str
    carrier: str
    carrier_size: int
    cells: int
    language: str
    language_ref: str = ""
    language_source: str = ""
    n: int
    data_seed: int
    method_seed: int
    split: str = "cells"
    noise: float = 0.0
    seconds: float = 5.0
    memory_mib: int = 2048
    threads: int = 1
    device: str = "cpu"
    stack: bool = False
    verifier_version: int = VERIFIER_VERSION

    @property
    def run_id(self) -> str:
        """16 hex digits: a hash of the canonical JSON (keys sorted, so blind to the order of flags)."""
        identity = msgspec.structs.asdict(self)
        del identity["task_ref"], identity["method_ref"], identity["language_ref"]
        if not self.language_source:
            del identity["language_source"]
        if not self.stack:
            del identity["stack"]
        identity["seconds"], identity["noise"] = float(self.seconds), float(self.noise)
        return hashlib.sha256(msgspec.json.encode(identity, order="sorted")).hexdigest()[:16]

    @property
    def method_label(self) -> str:
        """The method as the tables name it, with the parameters that it was given: "bilinear:h=256"."""
        return ":".join([self.method, *(f"{k}={v}" for k, v in sorted(self.method_params.items()))])


class ProgramRecord(msgspec.Struct, kw_only=True):
    """A program as text, so that a record can be read without this package.

    ``bits`` is its description length; ``minimal`` True, False, the lower bound reached, or None where not known.
    ``exact``: whether it is right on every cell of the domain. ``two_part_bits``: its bits and those of the examples'
    labels given it (synth/twopart.py ``exceptions_bits``).
    """

    text: str
    form: str
    bits: float | None
    sympy: str = ""
    canonical: str = ""
    minimal: bool | float | None = None
    exact: bool = False
    two_part_bits: float | None = None


class TraceEntry(msgspec.Struct, kw_only=True):
    """One candidate: when it came (seconds of the method's own time, extraction apart), and what it was worth."""

    seconds: float
    cpu_seconds: float
    extraction_seconds: float
    work: dict[str, float]
    test_accuracy: float | None  # None where every cell was an example
    accuracy: float
    exact: bool
    program: str | None = None
    program_exact: bool = False
    form: str = "program"
    bits: float | None = None


class FaithfulnessRecord(msgspec.Struct, kw_only=True):
    """Scores that tie a program to its network; those of the filtered networks are accuracies on held-out cells."""

    agreement: float
    agreement_on_errors: float | None
    errors: int
    variance_explained: float
    keep_only: float | None = None
    remove_only: float | None = None
    remove_random: float | None = None


class CodeRecord(msgspec.Struct, kw_only=True):
    """What the last answer makes of the stream's labels after its examples (bench/codelength.py).

    ``kind``: "point", "distribution" or "online". A point predictor's ``hits`` are the lengths of their runs, beginning
    with a run of hits; of the others ``file`` holds the bits of each label, float32, as an .npy beside the record.
    """

    kind: str
    hits: list[int] = []
    file: str = ""


class Record(msgspec.Struct, kw_only=True):
    """One run, whole: enough to rebuild every row that it stands in."""

    schema: int = SCHEMA
    run_id: str
    spec: RunSpec
    outcome: Outcome
    reason: str = ""
    n: int  # the n reached: --split pairs closes a prefix under swapping
    test_accuracy: float | None = None
    seconds_to_solve: float | None = None
    seconds_to_program: float | None = None
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    startup_seconds: float = 0.0
    verify_seconds: float = 0.0
    extraction_seconds: float = 0.0
    work: dict[str, float] = {}
    trace: list[TraceEntry] = []
    program: ProgramRecord | None = None
    verdict: str = ""
    proof: str = ""
    counterexample: list[int] | None = None
    transfers_to: str = ""
    faithfulness: FaithfulnessRecord | None = None
    code: CodeRecord | None = None
    network_bits: float | None = None  # of the shortest two-part code of the examples by the network's weights
    p_correct: float | None = (
        None  # of a learner that predicts probabilities: the right value's, mean over unseen cells
    )
    timing: str = "alone"
    weights: str = ""
    notes: dict[str, Any] = {}
    task_notes: dict[str, Any] = {}
    peak_mib: float | None = None
    error: str = ""
    started: str = ""
    provenance: dict[str, Any] = {}

    @property
    def solved(self) -> bool:
        return self.outcome is Outcome.SOLVED


def blank_record(spec: RunSpec, outcome: Outcome) -> Record:
    """A record with nothing measured in it, for runs that never came to their clock."""
    return Record(run_id=spec.run_id, spec=spec, outcome=outcome, n=spec.n)


def one_line(error: BaseException) -> str:
    """An exception as a record's reason: its type and message, at most 300 characters."""
    text = " ".join(str(error).split()) or "no message"
    return f"{type(error).__name__}: {text}"[:300]
