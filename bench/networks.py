"""What the methods that train a network share: from a problem to candidates, with the law read on the way."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import numpy as np

from bench.errors import UserError
from bench.limits import DECAY, RATE, STEPS
from bench.method import Budget, Candidate, Check, Inapplicable, Method, Problem, Stacking, method
from bench.reading import Reader
from synth.carrier import Residues

if TYPE_CHECKING:
    from nets.models import Architecture
    from nets.train import Checkpoint, Diverged

IMPORTS = (
    "nets.train",
    "nets.stacked",
    "nets.law",
    "nets.faithful",
    "nets.bilinear",
    "nets.transformer",
    "synth.closed_forms",
)
TRAINING = ("nets.recipes", "nets.train", "nets.optimise", "nets.models")  # what every network's weights depend on
WATCHED = 1 << 15  # cells whose answers must settle


@dataclass(frozen=True)
class Settings:
    """What a user may set; None leaves it to the recipe.

    ``tables``: "shared", one for all inputs, or "separate"; "auto" shares where mirrored examples have equal labels.
    """

    architecture: str
    recipe: str
    rate: float | None = None
    decay: float | None = None
    steps: int | None = None
    options: Mapping[str, int | float | None] = field(default_factory=dict[str, int | float | None])
    tables: str = "auto"


class Training:
    """One run: its network, recipe and seed, and what is answered at each checkpoint.

    Attributes:
        network, plan, seed, watched: what is trained, how, from which weights, and whose answers must settle.
        fits: equal for runs that may be trained side by side; None where it may with none.
    """

    def __init__(
        self,
        problem: Problem,
        rng: np.random.Generator,
        settings: Settings,
        *,
        decoder: bool,
        kind: type[Architecture] | None = None,
    ) -> None:
        """See ``training``; there is at least one example."""
        import torch

        from nets.models import architecture
        from nets.recipes import recipe, symmetric, widths, worth
        from nets.stacked import fits

        torch.set_num_threads(problem.threads)
        size, cells = problem.carrier.size, problem.domain
        alike = symmetric(problem.inputs, problem.outputs)
        if settings.tables != "auto" and alike is not (settings.tables == "shared"):
            alike = None  # what is asked for is not what the examples suggest: the architecture as it is
        examples = worth(problem.inputs, size) if alike and settings.recipe != "delayed" else problem.n
        options = widths(settings.architecture, size, problem.arity, examples, settings.recipe, alike)
        if settings.tables != "auto":
            options["separate"] = settings.tables == "separate"
        options |= {k: v for k, v in settings.options.items() if v is not None}
        build = kind or partial(architecture, settings.architecture)
        self.problem = problem
        self.network = build(size, problem.arity, **options)  # pyright: ignore[reportArgumentType]
        changes = {"rate": settings.rate, "decay": settings.decay, "steps": settings.steps}
        changes = {k: v for k, v in changes.items() if v is not None}
        self.plan = recipe(settings.recipe, self.network, examples, **changes)
        self.watched = cells[:: -(-len(cells) // WATCHED)]
        self.seed = int(rng.integers(2**31))
        alike = fits(self.network, self.plan, problem.n)
        self.fits: Hashable = None if alike is None else (alike, problem.noise, problem.device)
        self._reader, self._decoder = Reader(problem, rng), decoder

    def alone(self) -> Generator[Checkpoint | Diverged, None, None]:
        """Its checkpoints, and where the loss is no longer a number, at the end that."""
        from nets.train import Diverged, train

        problem = self.problem
        try:
            yield from train(
                self.network, problem.inputs, problem.outputs, self.plan, self.seed,
                watched=self.watched, noise=problem.noise, device=problem.device,
            )  # fmt: skip
        except Diverged as reason:
            yield reason

    def answer(self, point: Checkpoint | Diverged) -> tuple[Candidate, bool]:
        """What is answered at a checkpoint, and whether that is the end."""
        if isinstance(point, Exception):
            common, cells = int(np.bincount(self.problem.outputs).argmax()), len(self.problem.domain)
            return Candidate(
                predict=lambda: np.full(cells, common), work=self._reader.work,
                notes={"cause": f"diverged: {point}"}, extraction_seconds=self._reader.seconds,
            ), True  # fmt: skip
        point = _standing(point, self.problem)
        if self._decoder:
            candidate, ended = self._reader.decode(point)
        else:
            candidate, ended = self._reader.show(point), point.final
        if not ended:
            return candidate, False
        network = self.network
        shape = {x.name: float(getattr(network, x.name)) for x in fields(network) if x.name not in ("size", "arity")}
        return replace(candidate, notes={**candidate.notes, **shape}), True


def _standing(point: Checkpoint, problem: Problem) -> Checkpoint:
    """The checkpoint with a network that has its logits by heart, where they are those of the whole domain."""
    from nets.standing import Standing

    if point.logits is None or len(point.logits) != len(problem.domain):
        return point
    return replace(point, network=Standing(point.network, problem.domain, point.logits))


def side_by_side(trainings: Sequence[Training]) -> Generator[Mapping[int, Checkpoint | Diverged], None, None]:
    """The checkpoints of runs that fit together, by place, from one training of them all."""
    from nets.stacked import train_many

    first = trainings[0]
    problems = [x.problem for x in trainings]
    return train_many(
        first.network, [x.inputs for x in problems], [x.outputs for x in problems], [x.plan for x in trainings],
        [x.seed for x in trainings], watched=first.watched, noise=first.problem.noise, device=first.problem.device,
    )  # fmt: skip


def training(
    problem: Problem,
    budget: Budget,
    rng: np.random.Generator,
    settings: Settings,
    *,
    decoder: bool,
    kind: type[Architecture] | None = None,
) -> Generator[Candidate, None, None]:
    """Candidates of one training run.

    Args:
        settings: which network, how.
        decoder: whether an accepted law is the answer, as soon as it is accepted, in the network's place. Otherwise
            the network answers, and a program is shown only when it is this very checkpoint's own.
        kind: a user's own architecture; None for the one that the settings name.
    """
    if problem.n == 0:
        return
    run = Training(problem, rng, settings, decoder=decoder, kind=kind)
    for point in run.alone():
        candidate, ended = run.answer(point)
        yield candidate
        if ended:
            return


def trained(
    name: str,
    settings: Callable[..., Settings],
    about: str,
    *,
    architecture: str,
    decoder: bool = False,
    check: Check | None = None,
) -> Method:
    """A built-in network as a method: the row of the network itself, or of its decoder.

    Args:
        settings: its parameters after the first, the problem, are the method's.
        architecture: which network, for what a worker imports and warms up.
        decoder: see ``training``.
        check: of parameters that must go together, see ``bench.method.method``.
    """

    def run(
        problem: Problem, budget: Budget, rng: np.random.Generator, **given: Any
    ) -> Generator[Candidate, None, None]:
        yield from training(problem, budget, rng, settings(problem, **given), decoder=decoder)

    def prepare(problem: Problem, rng: np.random.Generator, **given: Any) -> Training | None:
        return Training(problem, rng, settings(problem, **given), decoder=decoder) if problem.n else None

    plain = inspect.signature(run, eval_str=True, globals=globals())
    own = list(inspect.signature(settings, eval_str=True).parameters.values())[1:]
    _take(run, [x for x in plain.parameters.values() if x.kind is not x.VAR_KEYWORD] + own)
    imports = (*IMPORTS, *(x for x in (f"nets.{architecture}",) if x not in IMPORTS))
    declare = method(
        name, version=2, family="nets", imports=imports, warm=partial(warm, architecture), trains=True,
        sources=(*TRAINING, f"nets.{architecture}"),
    )  # fmt: skip
    return replace(declare(run), about=about, check=check, gpu=True, stacking=_stacking(prepare, architecture))


def _stacking(prepare: Callable[..., Training | None], architecture: str) -> Stacking:
    return Stacking(prepare, side_by_side, partial(warm, architecture, stacked=True))


def _take(run: Any, parameters: Sequence[inspect.Parameter]) -> None:
    """Give a function that takes anything the signature of what it takes: a method's signature is its options."""
    run.__signature__ = inspect.Signature(parameters)


def of_architecture(name: str, kind: type) -> Method:
    """A user's own architecture as a method: its fields are the parameters, and the recipe's settings.

    Raises:
        UserError: it is no subclass of ``nets.models.Architecture``.
    """
    from nets.models import Architecture

    if not (issubclass(kind, Architecture) and is_dataclass(kind)):
        raise UserError(f"{name}: expected a dataclass that extends nets.models.Architecture, got {kind.__name__}")
    known = ("recipe", "lr", "wd", "steps")
    own = [x for x in fields(kind) if x.name not in ("size", "arity")]
    if taken := [x.name for x in own if x.name in known]:
        raise UserError(f"{name}: its field {taken[0]} has the name of a setting of the recipe; call it otherwise")

    def settings(problem: Problem, recipe: str = "fast", **given: Any) -> Settings:
        if problem.arity not in kind.arities:
            raise Inapplicable(f"{name} takes {kind.arities[0]} to {kind.arities[-1]} inputs, not {problem.arity}")
        options = {x.name: given.get(x.name, x.default) for x in own if x.name in given or x.default is not MISSING}
        return Settings(name, recipe, given.get("lr"), given.get("wd"), given.get("steps"), options)

    def run(
        problem: Problem,
        budget: Budget,
        rng: np.random.Generator,
        recipe: Literal["fast", "sparse", "delayed"] = "fast",
        lr: Annotated[float | None, RATE] = None,
        wd: Annotated[float | None, DECAY] = None,
        steps: Annotated[int | None, STEPS] = None,
        **options: int | float,
    ) -> Generator[Candidate, None, None]:
        given = settings(problem, recipe=recipe, lr=lr, wd=wd, steps=steps, **options)
        yield from training(problem, budget, rng, given, decoder=False, kind=kind)

    def prepare(problem: Problem, rng: np.random.Generator, **given: Any) -> Training | None:
        return Training(problem, rng, settings(problem, **given), decoder=False, kind=kind) if problem.n else None

    plain = inspect.signature(run, eval_str=True, globals=globals())
    parameters = [x for x in plain.parameters.values() if x.kind is not x.VAR_KEYWORD]
    hints = get_type_hints(kind, include_extras=True)
    for x in own:
        default = inspect.Parameter.empty if x.default is MISSING else x.default
        parameters.append(
            inspect.Parameter(x.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hints[x.name])
        )
    _take(run, parameters)

    def check(size: int, arity: int, given: Mapping[str, Any]) -> None:
        from bench.casting import tried

        if arity in kind.arities:  # else its row says ``inapplicable``
            tried(kind, size, arity, {k: v for k, v in given.items() if k not in known}, name)

    about = (kind.__doc__ or "").strip().partition("\n")[0]
    first_calls = partial(warm, "bilinear")  # of torch and of the device: nothing is known of the user's own
    declare = method(
        name, version=1, family="user", imports=IMPORTS, warm=first_calls, trains=True, check=check, gpu=True,
        sources=TRAINING,
    )  # fmt: skip
    return replace(declare(run), about=about, stacking=_stacking(prepare, "bilinear"))


def warm(architecture: str, device: str = "cpu", *, stacked: bool = False) -> None:
    """Once a process: a tiny training with its law read, so that no run pays for thread pools and first calls."""
    from synth.language import default_language

    p = 11
    grid = np.stack(np.meshgrid(np.arange(p), np.arange(p), indexing="ij"), axis=-1).reshape(-1, 2)
    shuffled = grid[np.random.default_rng(0).permutation(len(grid))]
    inputs = shuffled[:80]
    carrier = Residues(p)
    language = default_language(carrier, 2)
    problem = Problem(carrier, 2, inputs, inputs.sum(axis=1) % p, grid, language, device=device)
    rng, settings = np.random.default_rng(0), Settings(architecture, "fast", steps=30)
    if not stacked:
        for candidate in training(problem, Budget(), rng, settings, decoder=False):
            if candidate.predict is not None:
                candidate.predict()
        return
    runs = [Training(problem, rng, settings, decoder=False) for _ in range(2)]
    for points in side_by_side(runs):
        for i, point in points.items():
            candidate, _ = runs[i].answer(point)
            if candidate.predict is not None:
                candidate.predict()
