"""``python -m bench.film``: one training observed, from random weights to an algorithm, checkpoint by checkpoint.

From Python: ``from bench.film import film; rolls = film("modadd", arch="relu", p=59)``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

from cyclopts import App, CycloptsError, Parameter, UnusedCliTokensError

from bench.run import EXIT_INTERRUPTED, EXIT_OK, EXIT_RUN_FAILED, EXIT_USAGE

if TYPE_CHECKING:
    import pandas as pd

    from bench.registry import LoadedTask
    from bench.shots import Footage, Shot

CONTROLS = ("random", "none")

EXAMPLES = """\
Examples:

  python -m bench.film --task modadd --p 59 --arch transformer
  python -m bench.film --task modadd --p 59 --arch relu:h=256 --fraction .5 --wd .6 --settle 4
  python -m bench.film --task modmul --p 59 --arch bilinear --recipe fast --seeds 1
  python -m bench.film --task "a**2 + 3*b" --arch my_nets.py:Mine --control none

Exit status: 0 filmed, 1 a training diverged (its film ends there), 2 the command line is wrong, 130 interrupted."""


class Rolls(NamedTuple):
    """What ``film`` returns: DataFrames with the columns of the CSV files, and the folder that these are in."""

    checkpoints: pd.DataFrame
    transitions: pd.DataFrame
    spectrum: pd.DataFrame
    folder: Path


def film(
    task: str,
    *,
    arch: str = "transformer",
    recipe: str = "delayed",
    fraction: float = 0.4,
    seeds: int = 5,
    control: str = "random",
    split: str = "cells",
    lr: float | None = None,
    wd: float | None = None,
    steps: int | None = None,
    settle: float | None = None,
    jobs: int | None = None,
    device: str = "auto",
    out: str | Path = "results",
    plots: bool = True,
    **task_parameters: int | float | str | bool,
) -> Rolls:
    """Film the training of a network, as the command does.

    Args:
        task, task_parameters: as for ``bench.run.run``.
        arch: a network with optional widths, "relu:h=256", or "file.py:Class".
        recipe: its training recipe; ``lr``, ``wd``, ``steps`` and ``settle`` replace single settings of it.
        fraction: of the task's cells to train on.
        seeds: pairs of a split's seed and one of the weights.
        control: "random" trains a twin on random labels beside each; "none" does not.
        plots: whether to draw.

    Raises:
        bench.errors.UserError: an argument is wrong; one line says which.
    """
    import pandas as pd

    from bench.reel import checkpoint_rows, spectrum_rows, transition_rows
    from bench.registry import as_flags

    loaded, shots, folder = _plan(
        task, as_flags(task_parameters), arch=arch, recipe=recipe, fraction=fraction, seeds=seeds, control=control,
        split=split, changes=_changes(lr, wd, steps, settle), jobs=jobs, device=device, out=out,
    )  # fmt: skip
    footages = _perform(loaded, shots, folder, jobs=jobs, quiet=True, plots=plots)
    checkpoints, transitions, spectrum = (
        pd.DataFrame([row for x in footages for row in rows(loaded, x)]).convert_dtypes()
        for rows in (checkpoint_rows, transition_rows, spectrum_rows)
    )
    return Rolls(checkpoints, transitions, spectrum, folder)


def _changes(lr: float | None, wd: float | None, steps: int | None, settle: float | None) -> dict[str, int | float]:
    """The recipe's settings that a user replaces.

    Raises:
        UserError: one that no training could have.
    """
    import math

    from bench.errors import UserError

    given = {"lr": lr, "wd": wd, "steps": steps, "settle": settle}
    for name, value in given.items():
        least = 1 if name == "steps" else 0
        if value is not None and not (math.isfinite(value) and value >= least and (value or name in ("wd", "settle"))):
            wanted = "at least 1" if name == "steps" else "a positive number"
            raise UserError(f"--{name}: expected {wanted}, got {value:g}")
    names = {"lr": "rate", "wd": "decay", "steps": "steps", "settle": "settle"}
    return {names[name]: value for name, value in given.items() if value is not None}


def _plan(
    task: str, flags: Mapping[str, str], *, arch: str, recipe: str, fraction: float, seeds: int, control: str,
    split: str, changes: Mapping[str, int | float], jobs: int | None, device: str, out: str | Path,
) -> tuple[LoadedTask, list[Shot], Path]:  # fmt: skip
    """Check every argument and lay out the shots.

    Raises:
        UserError: anything that the user should mend; the message is one line.
    """
    import re

    from bench.errors import UserError, nearest
    from bench.plan import DEVICES, SPLITS, check_jobs
    from bench.registry import load_task

    def one_of(flag: str, value: str, known: Sequence[str]) -> None:
        if value not in known:
            raise UserError(f"{flag}: expected one of {', '.join(known)}, got {value!r}{nearest(value, known)}")

    one_of("--control", control, CONTROLS)
    one_of("--split", split, SPLITS)
    one_of("--device", device, DEVICES)
    check_jobs(jobs)
    if seeds < 1:
        raise UserError(f"--seeds: expected at least 1, got {seeds}")
    loaded = load_task(task, flags)
    cells = len(loaded.task.domain)
    if not 0 < fraction <= 1:
        raise UserError(f"--fraction: expected a number above 0 and up to 1, got {fraction:g}")
    n = max(1, round(fraction * cells))
    from bench.shots import Shot, network_of, recipe_of

    where = _device(device)
    shots = [
        Shot(loaded.ref, loaded.params, arch, recipe, n, seed, split, where, twin=control == "random", changes=changes)
        for seed in range(seeds)
    ]
    try:
        recipe_of(shots[0], network_of(arch, recipe, loaded.task.carrier.size, loaded.task.arity, n), n)
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"--arch: {error}") from None
    told = ["film", arch, recipe, f"n{n}", *(f"{k}-{v:g}" for k, v in sorted(changes.items()))]
    told += [] if split == "cells" else [split]
    name = "-".join(re.sub(r"[^A-Za-z0-9.]+", "_", x).strip("_") for x in told)
    return loaded, shots, Path(out) / loaded.slug / name


def _device(asked: str) -> str:
    from bench.errors import UserError

    if asked == "cpu":
        return "cpu"
    import torch

    there = torch.cuda.is_available()
    if asked == "cuda" and not there:
        raise UserError("--device: cuda was asked for, but torch sees no CUDA device here")
    return "cuda" if there else "cpu"


def _perform(
    loaded: LoadedTask, shots: Sequence[Shot], folder: Path, *, jobs: int | None, quiet: bool, plots: bool
) -> list[Footage]:
    """Shoot everything, write the folder's files, and return what was shot, in the order asked."""
    from bench.errors import UserError
    from bench.studio import shoot_all

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out: can't write to {folder}: {error.strerror or error}") from None
    with closing(shoot_all(shots, jobs or _cores(), quiet=quiet)) as finished:
        footages = dict(finished)
    taken = [x for i in range(len(shots)) for x in footages[i]]
    _write(loaded, taken, folder)
    if plots:
        from bench.plots import draw

        draw(loaded, taken, folder)
    return taken


def _write(loaded: LoadedTask, footages: Sequence[Footage], folder: Path) -> None:
    import csv
    import io

    from bench.leaderboard import tell
    from bench.reel import checkpoint_rows, spectrum_rows, transition_rows
    from bench.store import write_atomically

    for name, make in (
        ("checkpoints", checkpoint_rows),
        ("transitions", transition_rows),
        ("spectrum", spectrum_rows),
    ):
        rows = [row for x in footages for row in make(loaded, x)]
        path = folder / f"{name}.csv"
        if not rows:
            path.unlink(missing_ok=True)
            continue
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(rows[0])
        writer.writerows([tell(x) for x in row.values()] for row in rows)
        write_atomically(path, text.getvalue().encode())


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _version() -> str:
    from bench.provenance import package_version

    return f"tworoads {package_version()}"


app = App(
    name="python -m bench.film",
    help="Film the training of a network: what changes in it, and when, beside the jump of its accuracy.",
    help_epilogue=EXAMPLES,
    help_format="plaintext",
    version=_version,
    suppress_keyboard_interrupt=False,
)

_Flag = Parameter(negative="")


@app.default
def command(
    *,
    task: str | None = None,
    arch: str = "transformer",
    recipe: str = "delayed",
    fraction: float = 0.4,
    seeds: int = 5,
    control: str = "random",
    split: str = "cells",
    lr: float | None = None,
    wd: float | None = None,
    steps: int | None = None,
    settle: float | None = None,
    jobs: int | None = None,
    device: str = "auto",
    out: Path = Path("results"),
    no_plots: Annotated[bool, _Flag] = False,
    quiet: Annotated[bool, _Flag] = False,
    **task_flags: Annotated[str, Parameter(name="--TASK-FLAG")],
) -> int:
    """Film the training of a network: what changes in it, and when, beside the jump of its accuracy.

    Args:
        task: A name (see python -m bench.run --list), file.py:function, or an expression such as "a**2 + 3*b".
        arch: bilinear, quadratic, relu, transformer, with widths after colons, relu:h=256; or file.py:Class.
        recipe: delayed or fast.
        fraction: The share of the cells to train on.
        seeds: Pairs of a data seed and a seed of the weights.
        control: random trains a twin on random labels beside each run; none does not.
        split: cells, or pairs: (a, b) and (b, a) stay on one side.
        lr: Step size, in place of the recipe's.
        wd: Weight decay, in place of the recipe's.
        steps: Most gradient steps, in place of the recipe's.
        settle: Go on for so many times the steps that the answers took to settle; 0 to the last step.
        jobs: Runs at a time. Default: one a core.
        device: auto, cpu or cuda.
        out: Folder for results.
        no_plots: Write the tables only.
        quiet: No progress, no table; the files only.
        task_flags: The task's own parameters: --p 59.
    """
    from bench.errors import UserError

    if task is None:
        raise UserError("--task: no task given; try --task modadd")
    flags = {name.replace("-", "_"): value for name, value in task_flags.items()}
    loaded, shots, folder = _plan(
        task, flags, arch=arch, recipe=recipe, fraction=fraction, seeds=seeds, control=control, split=split,
        changes=_changes(lr, wd, steps, settle), jobs=jobs, device=device, out=out,
    )  # fmt: skip
    footages = _perform(loaded, shots, folder, jobs=jobs, quiet=quiet, plots=not no_plots)
    if not quiet:
        from bench.console import Terminal
        from bench.reel import summary

        console = Terminal()
        console.print(summary(loaded, footages))
        drawn = "" if no_plots else " plots/"
        console.print(f"[dim]{folder}/: checkpoints.csv transitions.csv spectrum.csv{drawn}[/]", soft_wrap=True)
    return EXIT_RUN_FAILED if any(x.cause.startswith("diverged") for x in footages) else EXIT_OK


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: whatever is wrong with it is said in one line on stderr, with exit status 2."""
    from bench.errors import UserError
    from bench.studio import RunFailed

    try:
        result = app(
            list(arguments) if arguments is not None else sys.argv[1:],
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
    except UserError as error:
        return _complain(str(error))
    except UnusedCliTokensError as error:
        return _complain(f"{' '.join(error.unused_tokens or [])!r} stands by itself; did you mean --task?")
    except CycloptsError as error:
        return _complain(" ".join(str(error).split()))
    except RunFailed as error:
        print(f"bench.film: {error}", file=sys.stderr)
        return EXIT_RUN_FAILED
    except KeyboardInterrupt:
        print("interrupted; a film is written when all its runs have ended", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    return int(result) if isinstance(result, int) else EXIT_OK


def _complain(message: str) -> int:
    print(f"bench.film: {message}", file=sys.stderr)
    return EXIT_USAGE


if __name__ == "__main__":
    sys.exit(main())
