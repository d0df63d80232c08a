"""What the methods that train a network share: from a problem to candidates, with the law read on the way."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.method import Budget, Candidate, Faithfulness, Problem
from synth.carrier import IntArray, Residues
from synth.program import Program

if TYPE_CHECKING:
    from nets.law import Reading
    from nets.train import Checkpoint

IMPORTS = ("nets.train", "nets.law", "nets.faithful", "nets.bilinear", "nets.transformer", "synth.closed_forms")
WATCHED = 1 << 15  # cells whose answers must settle
AGREES = 0.99  # on held-out cells, for a row to show a program as its network's
RETRY = 1.4  # a law is looked for again after this many times the steps
CALM = 0.02  # a network that agrees with a law changes no more of its answers than this from checkpoint to checkpoint
CONFIRM = 1.25  # a decoder goes on for this many times the steps after its law was accepted


@dataclass(frozen=True)
class Settings:
    """What a user may set; 0 and -1 leave it to the recipe."""

    architecture: str
    recipe: str
    rate: float = 0.0
    decay: float = -1.0
    steps: int = 0
    options: Mapping[str, int | float] = field(default_factory=dict[str, int | float])

    def __post_init__(self) -> None:
        for name, value in {"lr": self.rate, "steps": self.steps, **self.options}.items():
            if value < 0:
                raise ValueError(f"{self.architecture}: {name} must be positive, or 0 for the recipe's, got {value:g}")


def training(
    problem: Problem, budget: Budget, rng: np.random.Generator, settings: Settings, *, decoder: bool
) -> Generator[Candidate, None, None]:
    """Candidates of one training run.

    Args:
        settings: which network, how.
        decoder: whether an accepted law is the answer, as soon as it is accepted, in the network's place. Otherwise
            the network answers, and a program is shown only when it is this very checkpoint's own.
    """
    import torch

    from nets.models import architecture
    from nets.recipes import recipe, widths
    from nets.train import Diverged, train

    if problem.n == 0:
        return
    torch.set_num_threads(problem.threads)
    size, cells = problem.carrier.size, problem.domain
    options = widths(settings.architecture, size, problem.arity, problem.n)
    options |= {k: v for k, v in settings.options.items() if v > 0}
    network = architecture(settings.architecture, size, problem.arity, **options)
    changes: dict[str, Any] = {}
    if settings.rate > 0:
        changes["rate"] = settings.rate
    if settings.decay >= 0:
        changes["decay"] = settings.decay
    if settings.steps > 0:
        changes["steps"] = settings.steps
    plan = recipe(settings.recipe, network, problem.n, **changes)
    watched = cells[:: -(-len(cells) // WATCHED)]
    seed = int(rng.integers(2**31))
    run = train(
        network, problem.inputs, problem.outputs, plan, seed,
        watched=watched, noise=problem.noise, device=problem.device,
    )  # fmt: skip
    reader = _Reader(problem, rng)
    try:
        for point in run:
            if decoder:
                candidate, ended = reader.decode(point)
            else:
                candidate, ended = reader.show(point), point.final
            yield candidate
            if ended:
                return
    except Diverged as reason:
        common = int(np.bincount(problem.outputs).argmax())
        yield Candidate(
            predict=lambda: np.full(len(cells), common), work=reader.work, notes={"cause": f"diverged: {reason}"},
            extraction_seconds=reader.seconds,
        )  # fmt: skip


class _Reader:
    """Reads laws at the checkpoints of one run, and keeps account of what that costs."""

    def __init__(self, problem: Problem, rng: np.random.Generator) -> None:
        self.problem, self.rng = problem, rng
        self.seconds = 0.0
        self.work: dict[str, float] = {"steps": 0.0, "flops": 0.0}
        self.held_out = problem.domain[problem.held_out]
        self.readable = isinstance(problem.carrier, Residues) and problem.arity > 1 and len(self.held_out) > 0
        self.reading: Reading | None = None
        self.accepted_at = 0
        self._program: tuple[Any, Program | None] | None = None
        self._tried = 0

    def show(self, point: Checkpoint) -> Candidate:
        """The network's own answer, with the law's program where the two agree."""
        since = time.perf_counter()
        noise, n = self.problem.noise, self.problem.n
        fitted = point.accuracy >= 1 - noise - 3 * (noise * (1 - noise) / n) ** 0.5
        agreement = 0.0
        if point.final or (fitted and point.changed <= CALM and point.step >= RETRY * self._tried):
            self._read(point)
            agreement = self.reading.agreement if self.reading else 0.0
        elif self.reading is not None and self.reading.accepted:
            agreement = self._agreement(point)
        shown = self.reading is not None and self.reading.accepted and agreement >= AGREES
        ties = self._ties(point, agreement) if shown and point.final else None
        self.seconds += time.perf_counter() - since
        network, domain = point.network, self.problem.domain
        return self._candidate(point, shown, point.final, ties, lambda: network.predict(domain))

    def decode(self, point: Checkpoint) -> tuple[Candidate, bool]:
        """The law's answer once it is accepted, the network's until then; and whether that is the end."""
        since = time.perf_counter()
        ended = point.final or bool(self.accepted_at and point.step >= CONFIRM * self.accepted_at + 10)
        fresh = False
        if ended or (point.step >= 10 and point.step >= RETRY * self._tried):
            before = self.reading
            self._read(point)
            if self.reading is not None and self.reading.accepted:
                fresh = not self.accepted_at
                self.accepted_at = self.accepted_at or point.step
            elif self.accepted_at:
                self.reading = before
        shown = bool(self.accepted_at)
        ties = self._ties(point, self._agreement(point)) if shown and (fresh or ended) else None
        self.seconds += time.perf_counter() - since
        network, domain = point.network, self.problem.domain
        reading = self.reading

        def predict() -> IntArray:
            answers = network.predict(domain)
            if not shown or reading is None:
                return answers
            said = reading.law.predict(domain)
            return np.where(said < 0, answers, said)

        return self._candidate(point, shown, ended, ties, predict), ended

    def _candidate(self, point: Checkpoint, shown: bool, ended: bool, ties: _Tied | None, predict: Any) -> Candidate:
        reading = self.reading
        program = self._program_of(reading) if shown and reading is not None else None
        self.work = {"steps": float(point.step), "flops": point.flops}
        notes: dict[str, str | float] = {"train_accuracy": point.accuracy, "train_loss": point.loss}
        notes["attempts"] = float(point.attempt + 1)
        if ended:
            notes["cause"] = point.cause or "law accepted"
        if reading is not None:
            notes |= {"law_fit": reading.fit, "basis": reading.law.basis}
            notes |= {f"rank_one_{basis}": share for basis, share in reading.shares.items()}
        elif ended and not self.readable:
            notes["law"] = "not looked for: " + self._why_not()
        if self.accepted_at:
            notes["law_accepted_at"] = float(self.accepted_at)
        text = reading.law.text if shown and program is None and reading is not None else None
        return Candidate(
            program=program,
            predict=predict,
            work=self.work,
            form="tables" if text is not None else "law" if shown else "program",
            text=text,
            bits=reading.law.bits if text is not None and reading is not None else None,
            extraction_seconds=self.seconds,
            faithfulness=ties.faithfulness if ties else None,
            weights=point.network.state() if ended else None,
            notes={**notes, **(ties.notes if ties else {})},
        )

    def _read(self, point: Checkpoint) -> None:
        from nets.law import read_law

        if self.readable and isinstance(self.problem.carrier, Residues):
            problem, self._tried = self.problem, point.step
            self.reading = read_law(
                point.network, self.problem.carrier, self.held_out, problem.inputs, problem.outputs, problem.noise
            )
            if self.reading is not None and self.reading.accepted:
                self._program_of(self.reading)  # its time is extraction

    def _program_of(self, reading: Reading) -> Program | None:
        from synth.closed_forms import law_program

        law = reading.law.normalised()
        if self._program is None or self._program[0] != law:
            self._program = law, law_program(reading.law, self.problem.language, self.problem.domain)
        return self._program[1]

    def _agreement(self, point: Checkpoint) -> float:
        from nets.law import held_out_sample

        assert self.reading is not None
        cells = held_out_sample(self.held_out, self.problem.carrier.size)
        return float((self.reading.law.predict(cells) == point.network.predict(cells)).mean())

    def _ties(self, point: Checkpoint, agreement: float) -> _Tied:
        from nets.faithful import ties

        assert self.reading is not None
        domain = self.problem.domain
        found = ties(point.network, self.reading.law, self.held_out, self.rng)
        evidence = Faithfulness(
            agreement=agreement,
            variance_explained=found.variance_explained,
            network=point.network.predict(domain),
            keep_only=found.keep_only.predict(domain),
            remove_only=found.remove_only.predict(domain),
            remove_random=found.remove_random.predict(domain) if found.remove_random else None,
        )
        notes: dict[str, str | float] = {
            "key_frequencies": " ".join(map(str, found.keys)),
            "key_energy": found.key_energy,
            "random_energy": found.random_energy,
        }
        return _Tied(evidence, notes)

    def _why_not(self) -> str:
        if not isinstance(self.problem.carrier, Residues):
            return f"{self.problem.carrier.name} has no characters here"
        return "no held-out cells" if not len(self.held_out) else "a function of one input"


@dataclass(frozen=True, eq=False)
class _Tied:
    faithfulness: Faithfulness
    notes: Mapping[str, str | float]


def warm(architecture: str) -> None:
    """Once a process: a tiny training with its law read, so that no run pays for thread pools and first calls."""
    from synth.language import default_language

    p = 11
    grid = np.stack(np.meshgrid(np.arange(p), np.arange(p), indexing="ij"), axis=-1).reshape(-1, 2)
    shuffled = grid[np.random.default_rng(0).permutation(len(grid))]
    inputs = shuffled[:80]
    carrier = Residues(p)
    problem = Problem(carrier, 2, inputs, inputs.sum(axis=1) % p, grid, default_language(carrier, 2))
    settings = Settings(architecture, "fast", steps=30)
    for candidate in training(problem, Budget(), np.random.default_rng(0), settings, decoder=False):
        if candidate.predict is not None:
            candidate.predict()
