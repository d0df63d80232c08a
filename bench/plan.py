"""From what the user asked to the chains of runs: every check that can fail fails here, before anything runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

from bench.errors import UserError, nearest
from bench.languages import load_language
from bench.method import Check
from bench.parameters import Value
from bench.record import Outcome, RunSpec
from bench.registry import LoadedTask, list_methods, load_method, load_task
from bench.schedule import Chain, default_grid

DEFAULT_METHODS = (
    "enumerate", "mitm", "mixture", "interpolate", "spectral", "bilinear", "transformer", "bilinear+law", "lookup"
)  # fmt: skip
ALL_METHODS = "all"
DEFAULT_SEEDS = 3
DEFAULT_SECONDS = 5.0
DEFAULT_MEMORY_MIB = 2048
MOST_PROCESSES = 1024  # of jobs and of threads: beyond, a slip of the finger
MOST_SEEDS = 100_000  # likewise
SPLITS = ("cells", "pairs")
CODELENGTHS = ("blocks", "full")
DEVICES = ("auto", "cpu", "cuda")
STACKS = ("auto", "on", "off")
RETRYABLE = tuple(x.value for x in Outcome)


@dataclass(frozen=True)
class Plan:
    """What will run.

    Attributes:
        task: the task, loaded and checked.
        chains: one a method, in the order asked.
        out: the results folder; ``folder`` is this task's within it.
        grid: the sizes, descending, whether adaptive or asked for.
    """

    task: LoadedTask
    chains: Sequence[Chain]
    out: Path
    grid: Sequence[int]
    adaptive: bool
    seeds: int
    seconds: float
    noise: float
    split: str
    language: str

    @property
    def folder(self) -> Path:
        return self.out / self.task.slug


def plan(
    task: str,
    task_flags: Mapping[str, str],
    *,
    methods: Sequence[str] = (),
    examples: Sequence[str | int] = (),
    fractions: Sequence[str | float] = (),
    seeds: int = DEFAULT_SEEDS,
    seconds: float = DEFAULT_SECONDS,
    memory_mib: int = DEFAULT_MEMORY_MIB,
    threads: int = 1,
    device: str = "auto",
    stack: str = "auto",
    noise: float = 0.0,
    split: str = "cells",
    codelength: str = "blocks",
    language: str | None = None,
    out: str | Path = "results",
) -> Plan:
    """Check every argument and lay out the runs.

    Raises:
        UserError: anything that the user should mend; the message is one line.
    """
    check_seeds(seeds)
    _within("--threads", threads, 1, MOST_PROCESSES)
    _within("--memory-mib", memory_mib, 64)
    if not (math.isfinite(seconds) and seconds > 0):
        raise UserError(f"--seconds: expected a positive number of seconds, got {seconds:g}")
    if not 0 <= noise < 1:
        raise UserError(f"--noise: expected a probability from 0 up to 1, got {noise:g}")
    _one_of("--split", split, SPLITS)
    _one_of("--device", device, DEVICES)
    _one_of("--stack", stack, STACKS)
    _one_of("--codelength", codelength, CODELENGTHS)
    loaded = load_task(task, dict(task_flags))
    carrier, cells = loaded.task.carrier, len(loaded.task.domain)
    chosen = load_language(language, carrier, loaded.task.arity)
    asked = _sizes(examples, fractions, cells)
    grid = asked or default_grid(cells)
    chains: list[Chain] = []
    for ref in _expanded(methods):
        method, params, source = load_method(ref)
        if method.check is not None:
            _checked(ref, method.check, carrier.size, loaded.task.arity, params)
        where = _device(device) if method.gpu else "cpu"
        stacked = method.stacking is not None and (where == "cuda" if stack == "auto" else stack == "on")
        specs = [
            (
                n,
                [
                    RunSpec(
                        task_ref=loaded.ref, task=loaded.name, task_version=loaded.version,
                        task_params=dict(loaded.params), task_fingerprint=loaded.task.fingerprint,
                        method_ref=ref, method=method.name, method_version=method.version, method_params=dict(params),
                        method_source=source, family=method.family, carrier=carrier.name, carrier_size=carrier.size,
                        cells=cells, language=chosen.name, language_ref=chosen.ref,
                        language_source=chosen.source, n=n, data_seed=seed, method_seed=seed, split=split, noise=noise,
                        seconds=float(seconds), memory_mib=memory_mib, threads=threads,
                        device=where, stack=stacked,
                    )
                    for seed in range(seeds)
                ],
            )
            for n in (*grid, *([0] if method.online and not asked else []))
        ]  # fmt: skip
        label = specs[0][1][0].method_label
        if any(chain.label == label for chain in chains):
            continue
        # A code goes over the whole stream: that of all blocks needs all sizes, a learner's own a run without examples.
        always = frozenset(n for n, _ in specs if n == 0 or asked or codelength == "full")
        chains.append(Chain(label, specs, always=always, trains=method.trains))
    adaptive = not asked and codelength == "blocks"
    return Plan(loaded, chains, Path(out), grid, adaptive, seeds, seconds, noise, split, chosen.name)


def _checked(ref: str, check: Check, size: int, arity: int, params: Mapping[str, Value]) -> None:
    try:
        check(size, arity, params)
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"{ref}: {error}") from None
    except (Exception, SystemExit) as error:  # the check itself is at fault
        raise UserError(f"{ref}: its check: {type(error).__name__}: {error}") from error


def _expanded(methods: Sequence[str]) -> list[str]:
    """The methods asked for, the default ones where none is, with "all" as every one there is."""
    refs: list[str] = []
    for ref in methods or DEFAULT_METHODS:
        refs += [x.name for x in list_methods()] if ref.strip() == ALL_METHODS else [ref]
    return refs


def _sizes(examples: Sequence[str | int], fractions: Sequence[str | float], cells: int) -> tuple[int, ...]:
    """The sizes asked for, descending; empty when the default grid is wanted."""
    if examples and fractions:
        raise UserError("--examples and --fractions: give one of the two")
    sizes: set[int] = set()
    for text in examples:
        try:
            n = int(text)
        except ValueError:
            raise UserError(f"--examples: expected whole numbers, got {text!r}") from None
        if not 0 <= n <= cells:
            raise UserError(f"--examples: expected 0 to {cells}, the cells of the task, got {n}")
        sizes.add(n)
    for text in fractions:
        try:
            fraction = float(text)
        except ValueError:
            raise UserError(f"--fractions: expected numbers from 0 to 1, got {text!r}") from None
        if not 0 <= fraction <= 1:
            raise UserError(f"--fractions: expected numbers from 0 to 1, got {fraction:g}")
        sizes.add(round(fraction * cells))
    return tuple(sorted(sizes, reverse=True))


def _within(flag: str, value: int, least: int, most: int | None = None) -> None:
    if value < least or (most is not None and value > most):
        wanted = f"at least {least}" if most is None else f"{least} to {most}"
        raise UserError(f"{flag}: expected {wanted}, got {value}")


def _one_of(flag: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise UserError(f"{flag}: expected one of {', '.join(known)}, got {value!r}{nearest(value, known)}")


@cache
def _device(asked: str) -> str:
    """ "cpu" or "cuda" for networks; "auto" is cuda where a driver and a CUDA build of torch are there.

    Raises:
        UserError: cuda was asked for and there is none.
    """
    if asked == "cpu":
        return "cpu"
    there = Path("/dev/nvidiactl").exists() and "+cpu" not in version("torch")
    if there:
        import torch  # only on a machine with a GPU: the import takes seconds

        there = torch.cuda.is_available()
    if asked == "cuda" and not there:
        raise UserError("--device: cuda was asked for, but torch sees no CUDA device here")
    return "cuda" if there else "cpu"


def retry_outcomes(names: Sequence[str]) -> frozenset[Outcome]:
    """The outcomes named by --retry.

    Raises:
        UserError: there is no such outcome.
    """
    for name in names:
        _one_of("--retry", name, RETRYABLE)
    return frozenset(Outcome(name) for name in names)


def check_seeds(seeds: int) -> None:
    """Whether so many seeds can be meant.

    Raises:
        UserError: they can't.
    """
    _within("--seeds", seeds, 1, MOST_SEEDS)


def check_jobs(jobs: int | None) -> None:
    """Whether so many runs at a time can be meant.

    Raises:
        UserError: they can't.
    """
    if jobs is not None:
        _within("--jobs", jobs, 1, MOST_PROCESSES)
