"""``python -m bench.film``: one training observed, from random weights to an algorithm, checkpoint by checkpoint.

From Python: ``from bench.film import film; rolls = film("modadd", arch="relu", p=59)``.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

from cyclopts import App, Parameter

from bench.arguments import as_typed
from bench.commandline import EXIT_OK, EXIT_RUN_FAILED, Count, serve, version
from bench.errors import RunFailed

if TYPE_CHECKING:
    import pandas as pd

    from bench.registry import LoadedTask
    from bench.shots import Footage, Shot

EXAMPLES = """\
Examples:

  python -m bench.film --task modadd --p 59 --arch transformer
  python -m bench.film --task modadd --p 59 --arch relu:h=256 --wd .8 --steps 4000 --settle 0
  python -m bench.film --task modmul --p 59 --arch bilinear --recipe fast --seeds 1
  python -m bench.film --task "a**2 + 3*b" --arch my_nets.py:Mine --control none

Exit status: 0 filmed, 1 a training diverged (its film ends there) or a run failed (the others are filmed), 2 the
command line is wrong, 130 interrupted."""


class Rolls(NamedTuple):
    """What ``film`` returns: DataFrames with the columns of the CSV files, and the folder that these are in."""

    checkpoints: pd.DataFrame
    transitions: pd.DataFrame
    spectrum: pd.DataFrame
    folder: Path
    anatomy: pd.DataFrame
    units: pd.DataFrame
    tokens: pd.DataFrame


@as_typed
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
        bench.errors.RunFailed: no run could be filmed, or the film could not be written into its folder.

    Warns:
        RuntimeWarning: a training diverged, or a run failed; the others are there.
    """
    import pandas as pd

    from bench.reel import ROWS
    from bench.registry import as_flags
    from bench.storyboard import changes_of, storyboard

    loaded, shots, folder = storyboard(
        task, as_flags(task_parameters), arch=arch, recipe=recipe, fraction=fraction, seeds=seeds, control=control,
        split=split, changes=changes_of(lr, wd, steps, settle), jobs=jobs, device=device, out=out,
    )  # fmt: skip
    footages, wrong = _perform(loaded, shots, folder, jobs=jobs, quiet=True, plots=plots)
    for line in wrong:
        warnings.warn(line, RuntimeWarning, stacklevel=3)
    tables = {
        name: pd.DataFrame([row for x in footages for row in rows(loaded, x)]).convert_dtypes()
        for name, rows in ROWS.items()
    }
    return Rolls(**tables, folder=folder)


def _perform(
    loaded: LoadedTask, shots: Sequence[Shot], folder: Path, *, jobs: int | None, quiet: bool, plots: bool
) -> tuple[list[Footage], list[str]]:
    """Shoot everything and write the folder's files.

    Returns:
        What was shot, in the order asked; and a line for each way in which a training diverged or a run failed.

    Raises:
        RunFailed: nothing was shot, or what was shot could not be written where it belongs.
    """
    from bench.canister import aside, publish
    from bench.provenance import cores
    from bench.reel import troubles, write_tables
    from bench.studio import shoot_all

    with aside(folder) as place:
        with closing(shoot_all(shots, jobs or cores(), quiet=quiet)) as finished:
            by_index = dict(finished)
        takes = [by_index[i] for i in range(len(shots))]
        footages, wrong = [x for take in takes for x in take.footages], troubles(shots, takes)
        if not any(not x.shot.control for x in footages):
            raise RunFailed("; ".join(wrong))
        try:
            write_tables(loaded, footages, place)
            try:
                if plots:
                    from bench.plots import draw

                    draw(loaded, footages, place)
            finally:  # the tables stand, whatever happens to the plots
                publish(place, folder)
        except OSError as error:  # a full disk
            raise RunFailed(f"can't write to {folder}: {error.strerror or error}") from None
    return footages, wrong


app = App(
    name="python -m bench.film",
    help="Film the training of a network: what changes in it, and when, beside the jump of its accuracy.",
    help_epilogue=EXAMPLES,
    help_format="plaintext",
    version=version,
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
    seeds: Count = 5,
    control: str = "random",
    split: str = "cells",
    lr: float | None = None,
    wd: float | None = None,
    steps: Count | None = None,
    settle: float | None = None,
    jobs: Count | None = None,
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
        recipe: delayed, fast or sparse.
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
    from bench.storyboard import changes_of, storyboard

    flags = {name.replace("-", "_"): value for name, value in task_flags.items()}
    loaded, shots, folder = storyboard(
        task, flags, arch=arch, recipe=recipe, fraction=fraction, seeds=seeds, control=control, split=split,
        changes=changes_of(lr, wd, steps, settle), jobs=jobs, device=device, out=out,
    )  # fmt: skip
    footages, wrong = _perform(loaded, shots, folder, jobs=jobs, quiet=quiet, plots=not no_plots)
    for line in wrong:
        print(f"bench.film: {line}", file=sys.stderr)
    if not quiet:
        from bench.console import Terminal
        from bench.reel import summary

        console = Terminal()
        console.print(summary(loaded, footages))
        files = sorted(x.name for x in folder.glob("*.csv")) + ([] if no_plots else ["plots/"])
        console.print(f"[dim]{folder}/: {' '.join(files)}[/]", soft_wrap=True)
    return EXIT_RUN_FAILED if wrong else EXIT_OK


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: whatever is wrong with it is said in one line on stderr, with exit status 2."""
    return serve(
        app, "bench.film", arguments, failures=(RunFailed,),
        interrupted="interrupted; a film is written when all its runs have ended",
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
