"""What the methods that train a network share: from a problem to candidates, with the law read on the way."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_type_hints

import numpy as np

from bench.errors import UserError
from bench.method import Budget, Candidate, Inapplicable, Method, Problem, method
from bench.reading import Reader
from synth.carrier import Residues

if TYPE_CHECKING:
    from nets.models import Architecture

IMPORTS = ("nets.train", "nets.law", "nets.faithful", "nets.bilinear", "nets.transformer", "synth.closed_forms")
WATCHED = 1 << 15  # cells whose answers must settle


@dataclass(frozen=True)
class Settings:
    """What a user may set; 0 and -1 leave it to the recipe.

    ``tables``: "shared", one for all inputs, or "separate"; "auto" shares where mirrored examples have equal labels.
    """

    architecture: str
    recipe: str
    rate: float = 0.0
    decay: float = -1.0
    steps: int = 0
    options: Mapping[str, int | float] = field(default_factory=dict[str, int | float])
    tables: str = "auto"

    def __post_init__(self) -> None:
        if self.decay < 0 and self.decay != -1:
            raise ValueError(
                f"{self.architecture}: wd must not be negative, or -1 for the recipe's, got {self.decay:g}"
            )
        for name, value in {"lr": self.rate, "steps": self.steps, **self.options}.items():
            if value < 0:
                raise ValueError(f"{self.architecture}: {name} must be positive, or 0 for the recipe's, got {value:g}")


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
    import torch

    from nets.models import architecture
    from nets.recipes import recipe, symmetric, widths, worth
    from nets.train import Diverged, train

    if problem.n == 0:
        return
    torch.set_num_threads(problem.threads)
    size, cells = problem.carrier.size, problem.domain
    alike = symmetric(problem.inputs, problem.outputs)
    if settings.tables != "auto" and alike is not (settings.tables == "shared"):
        alike = None  # what is asked for is not what the examples suggest: the architecture as it is
    examples = worth(problem.inputs, size) if alike and settings.recipe == "fast" else problem.n
    options = widths(settings.architecture, size, problem.arity, examples, settings.recipe, alike)
    if settings.tables != "auto":
        options["separate"] = settings.tables == "separate"
    options |= {k: v for k, v in settings.options.items() if v > 0 or kind is not None}
    build = kind or partial(architecture, settings.architecture)
    network = build(size, problem.arity, **options)  # pyright: ignore[reportArgumentType]
    changes: dict[str, Any] = {}
    if settings.rate > 0:
        changes["rate"] = settings.rate
    if settings.decay >= 0:
        changes["decay"] = settings.decay
    if settings.steps > 0:
        changes["steps"] = settings.steps
    plan = recipe(settings.recipe, network, examples, **changes)
    watched = cells[:: -(-len(cells) // WATCHED)]
    seed = int(rng.integers(2**31))
    run = train(
        network, problem.inputs, problem.outputs, plan, seed,
        watched=watched, noise=problem.noise, device=problem.device,
    )  # fmt: skip
    reader = Reader(problem, rng)
    shape = {x.name: float(getattr(network, x.name)) for x in fields(network) if x.name not in ("size", "arity")}
    try:
        for point in run:
            if decoder:
                candidate, ended = reader.decode(point)
            else:
                candidate, ended = reader.show(point), point.final
            yield replace(candidate, notes={**candidate.notes, **shape}) if ended else candidate
            if ended:
                return
    except Diverged as reason:
        common = int(np.bincount(problem.outputs).argmax())
        yield Candidate(
            predict=lambda: np.full(len(cells), common), work=reader.work, notes={"cause": f"diverged: {reason}"},
            extraction_seconds=reader.seconds,
        )  # fmt: skip


def trained(
    name: str, settings: Callable[..., Settings], about: str, *, architecture: str, decoder: bool = False
) -> Method:
    """A built-in network as a method: the row of the network itself, or of its decoder.

    Args:
        settings: its parameters after the first, the problem, are the method's.
        architecture: which network, for what a worker imports and warms up.
        decoder: see ``training``.
    """

    def run(
        problem: Problem, budget: Budget, rng: np.random.Generator, **given: Any
    ) -> Generator[Candidate, None, None]:
        yield from training(problem, budget, rng, settings(problem, **given), decoder=decoder)

    plain = inspect.signature(run, eval_str=True, globals=globals())
    own = list(inspect.signature(settings, eval_str=True).parameters.values())[1:]
    _take(run, [x for x in plain.parameters.values() if x.kind is not x.VAR_KEYWORD] + own)
    imports = (*IMPORTS, *(x for x in (f"nets.{architecture}",) if x not in IMPORTS))
    declare = method(name, version=1, family="nets", imports=imports, warm=lambda: warm(architecture), trains=True)
    return replace(declare(run), about=about)


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

    def run(
        problem: Problem,
        budget: Budget,
        rng: np.random.Generator,
        recipe: Literal["fast", "delayed"] = "fast",
        lr: float = 0.0,
        wd: float = -1.0,
        steps: int = 0,
        **options: int | float,
    ) -> Generator[Candidate, None, None]:
        if problem.arity not in kind.arities:
            raise Inapplicable(f"{name} takes {kind.arities[0]} to {kind.arities[-1]} inputs, not {problem.arity}")
        given = {x.name: x.default for x in own if x.default is not MISSING} | options
        settings = Settings(name, recipe, lr, wd, steps, given)
        yield from training(problem, budget, rng, settings, decoder=False, kind=kind)

    plain = inspect.signature(run, eval_str=True, globals=globals())
    parameters = [x for x in plain.parameters.values() if x.kind is not x.VAR_KEYWORD]
    hints = get_type_hints(kind)
    for x in own:
        default = inspect.Parameter.empty if x.default is MISSING else x.default
        parameters.append(
            inspect.Parameter(x.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hints[x.name])
        )
    _take(run, parameters)
    about = (kind.__doc__ or "").strip().partition("\n")[0]
    return replace(method(name, version=1, family="user", imports=IMPORTS, trains=True)(run), about=about)


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
