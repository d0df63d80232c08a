"""``python -m bench.run``: every method on one task, the same examples for each, and the board of what they needed.

From Python: ``from bench.run import run; boards = run("modadd", p=59)``.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from cyclopts import App, Parameter

from bench.arguments import as_typed
from bench.commandline import EXIT_OK, EXIT_RUN_FAILED, Count, serve, version

if TYPE_CHECKING:
    import pandas as pd

    from bench.plan import Plan
    from bench.record import Record

EXAMPLES = """\
Examples:

  python -m bench.run --task modadd --p 59
  python -m bench.run --task "a**2 + 3*b" --p 97 --methods mitm,bilinear
  python -m bench.run --task my_tasks.py:mytask --seeds 5 --jobs 4
  python -m bench.run --task ladder --bits 40 --task-seed 7
  python -m bench.run --task modadd --methods bilinear:h=256 --fractions .5,.3
  python -m bench.run --list

Exit status: 0 all runs ended (a time-out is a result), 1 a run ended in error, 2 the command line is wrong,
130 interrupted (what had finished is kept; the same command goes on from there)."""


class Boards(NamedTuple):
    """What ``run`` returns: three DataFrames with the columns of the CSV files (README has their dictionary)."""

    leaderboard: pd.DataFrame
    curves: pd.DataFrame
    programs: pd.DataFrame


@as_typed
def run(
    task: str,
    *,
    methods: Sequence[str] | str = (),
    examples: Sequence[int] = (),
    fractions: Sequence[float] = (),
    seeds: int = 3,
    seconds: float = 5.0,
    memory_mib: int = 2048,
    jobs: int | None = None,
    threads: int = 1,
    device: str = "auto",
    stack: str = "auto",
    noise: float = 0.0,
    split: str = "cells",
    codelength: str = "blocks",
    language: str | None = None,
    out: str | Path = "results",
    fresh: bool = False,
    retry: Sequence[str] | str = (),
    **task_parameters: int | float | str | bool,
) -> Boards:
    """Run methods on a task, as the command does, and return the rows of exactly these runs.

    Args:
        task: a name, ``file.py:function`` or an expression such as "a**2 + 3*b".
        methods: names with optional parameters, "bilinear:h=256"; the default nine when empty. This list, as any other
            here, may be one text with commas.
        examples, fractions: sizes; the adaptive default grid when both are empty.
        seeds: pairs (data seed i, method seed i) for i below it.
        seconds, memory_mib: the backstops of one run.
        jobs: runs at a time; the number of cores when None.
        stack: whether the seeds of one size are trained side by side: "auto" (on cuda), "on" or "off".
        codelength: "full" runs every size of the default grid, so that every block of a code is its own run's.
        out: results folder; finished runs found there are not run again, unless ``fresh``, or their outcome is in
            ``retry``.
        task_parameters: the task's own, ``p=59``.

    Raises:
        bench.errors.UserError: an argument is wrong; one line says which.
    """
    import pandas as pd

    from bench.leaderboard import COLUMNS, boards
    from bench.plan import plan
    from bench.registry import as_flags
    from bench.store import Store

    made = plan(
        task, as_flags(task_parameters), methods=methods, examples=examples, fractions=fractions, seeds=seeds,
        seconds=seconds, memory_mib=memory_mib, threads=threads, device=device, stack=stack, noise=noise,
        split=split, codelength=codelength, language=language, out=out,
    )  # fmt: skip
    records = _perform(made, jobs=jobs, threads=threads, fresh=fresh, retry=retry, quiet=True)
    tables = boards(records, load=Store(made.folder).load_code)
    frames = {name: pd.DataFrame(tables[name], columns=columns) for name, columns in COLUMNS.items()}
    frames = {name: frame.replace(float("inf"), None) for name, frame in frames.items()}  # censored: not available
    return Boards(**{name: frame.convert_dtypes() for name, frame in frames.items()})


def _perform(
    made: Plan, *, jobs: int | None, threads: int, fresh: bool, retry: Sequence[str], quiet: bool
) -> list[Record]:
    """Run the plan's chains, write the folder's tables, and return this call's records."""
    from bench.console import Terminal
    from bench.plan import check_jobs, retry_outcomes
    from bench.progress import Progress
    from bench.provenance import cores
    from bench.schedule import run_chains
    from bench.store import Store

    outcomes = retry_outcomes(retry)
    check_jobs(jobs)
    store = Store(made.folder)
    store.create()
    if not quiet:
        from bench.table import headline

        Terminal().print(headline(made), end="\n\n")
    console = Terminal(stderr=True)
    for path in store.damaged():
        console.print(f"{path}: a damaged record; where this command needs it, it runs again", style="yellow")
    records: list[Record] = []
    progress = Progress(console, made.chains, quiet=quiet)
    try:
        with (
            progress,
            closing(
                run_chains(made.chains, store, jobs=jobs or cores(), threads=threads, fresh=fresh, retry=outcomes)
            ) as runs,
        ):
            for chain, record, reused in runs:
                records.append(record)
                progress.note(chain, record, reused)
    finally:
        _write_tables(made, store)
    return records


def _write_tables(made: Plan, store: Any) -> None:
    from bench.leaderboard import boards, group_of, write_boards, write_overall

    unfinished = {group_of(specs[0]) for chain in made.chains if not chain.done for _, specs in chain.specs}
    write_boards(made.folder, boards(current(store.records(), made.task.task.fingerprint), unfinished, store.load_code))
    write_overall(made.out)


def current(records: Any, fingerprint: str) -> list[Record]:
    """The records that may stand on one board: of this very task, by today's verifier, of the latest source of each
    method and language.

    An edited file has another hash; mixing the old runs with the new would make a board of two things.
    """
    from bench.record import VERIFIER_VERSION

    fit = [
        x for x in records
        if x.spec.task_fingerprint == fingerprint and x.spec.verifier_version == VERIFIER_VERSION
    ]  # fmt: skip
    methods: dict[str, tuple[str, int, str]] = {}
    languages: dict[str, tuple[str, str]] = {}
    for x in fit:
        version = x.started, x.spec.method_version, x.spec.method_source
        methods[x.spec.method_label] = max(methods.get(x.spec.method_label, version), version)
        source = x.started, x.spec.language_source
        languages[x.spec.language] = max(languages.get(x.spec.language, source), source)
    return [
        x for x in fit
        if (x.spec.method_version, x.spec.method_source) == methods[x.spec.method_label][1:]
        and x.spec.language_source == languages[x.spec.language][1]
    ]  # fmt: skip


app = App(
    name="python -m bench.run",
    help="Send program search and gradient descent down the same task, on the same examples, and compare.",
    help_epilogue=EXAMPLES,
    help_format="plaintext",
    version=version,
    suppress_keyboard_interrupt=False,
)

_Lists = Annotated[list[str] | None, Parameter(negative="")]
_Flag = Parameter(negative="")


@app.default
def command(
    *,
    task: str | None = None,
    methods: _Lists = None,
    language: str | None = None,
    examples: _Lists = None,
    fractions: _Lists = None,
    seeds: Count = 3,
    seconds: float = 5.0,
    memory_mib: Count = 2048,
    jobs: Count | None = None,
    threads: Count = 1,
    device: str = "auto",
    stack: str = "auto",
    noise: float = 0.0,
    split: str = "cells",
    codelength: str = "blocks",
    out: Path = Path("results"),
    fresh: Annotated[bool, _Flag] = False,
    retry: _Lists = None,
    dry_run: Annotated[bool, _Flag] = False,
    list_: Annotated[bool, Parameter(name="--list", negative="")] = False,
    quiet: Annotated[bool, _Flag] = False,
    **task_flags: Annotated[str, Parameter(name="--TASK-FLAG")],
) -> int:
    """Send program search and gradient descent down the same task, on the same examples, and compare.

    Args:
        task: A name (see --list), file.py:function, or an expression such as "a**2 + 3*b".
        methods: Comma-separated, with parameters after colons: mitm,bilinear:h=256; or all. Default: nine methods.
        language: Language of the symbolic answers, or file.py:name. Default: full for residues, group for groups.
        examples: Numbers of examples, comma-separated. Default: a grid that goes down while it is solved.
        fractions: The same as shares of the cells.
        seeds: Pairs of a data seed and a method seed.
        seconds: Wall-clock backstop of one run.
        memory_mib: Memory that one run may allocate.
        jobs: Runs at a time. Default: one a core.
        threads: Threads of one run.
        device: For networks: auto, cpu or cuda.
        stack: Whether networks of one size are trained side by side, all seeds in one batch: auto (on cuda), on or off.
        noise: Probability that a label is wrong; scores stay on clean labels.
        split: cells, or pairs: (a, b) and (b, a) stay on one side.
        codelength: blocks codes with the sizes that run anyway; full runs every size of the default grid.
        out: Folder for results; finished runs found there are not run again.
        fresh: Run again what is there.
        retry: Outcomes to run again: error,timeout.
        dry_run: Say what would run, and run nothing.
        list_: List tasks and methods.
        quiet: No progress, no table; the files only.
        task_flags: The task's own parameters: --p 59, --bits 40, --task-seed 7, --of modmul.
    """
    if list_:
        from bench.listing import print_lists

        print_lists()
        return EXIT_OK
    from bench.errors import UserError

    if task is None:
        raise UserError("--task: no task given; try --task modadd, or --list for all of them")
    made = _plan_or_hint(
        task, {name.replace("-", "_"): value for name, value in task_flags.items()},
        methods=_split("methods", methods), examples=_split("examples", examples),
        fractions=_split("fractions", fractions), seeds=seeds, seconds=seconds,
        memory_mib=memory_mib, threads=threads, device=device, stack=stack, noise=noise,
        split=split, codelength=codelength, language=language, out=out,
    )  # fmt: skip
    from bench.console import Terminal

    console = Terminal()
    if dry_run:
        from bench.listing import print_plan

        print_plan(console, made)
        return EXIT_OK
    records = _perform(made, jobs=jobs, threads=threads, fresh=fresh, retry=_split("retry", retry), quiet=quiet)
    broken = any(record.outcome.value == "error" for record in records)
    if not quiet:
        from bench.leaderboard import boards
        from bench.store import Store
        from bench.table import board

        rows = boards(records, load=Store(made.folder).load_code)["leaderboard"]
        console.print(board(made, rows, records, width=console.width))
        console.print(f"[dim]{made.folder}/: leaderboard.csv curves.csv programs.csv runs/[/]", soft_wrap=True)
    return EXIT_RUN_FAILED if broken else EXIT_OK


def _plan_or_hint(task: str, flags: dict[str, str], **arguments: Any) -> Plan:
    """Plan, and where the task does not know a flag, say which of the command's own flags it resembles."""
    from bench.errors import UnknownParameter, UserError, nearest
    from bench.plan import plan

    try:
        return plan(task, flags, **arguments)
    except UnknownParameter as error:
        own = [f"--{name.strip('_').replace('_', '-')}" for name in inspect.signature(command).parameters]
        hint = "" if "did you mean" in str(error) else nearest(error.label, own)
        raise UserError(str(error) + hint) from None


def _split(flag: str, values: Sequence[str] | None) -> list[str]:
    """Flatten a comma-separated, repeatable list; one that is given must hold something."""
    from bench.errors import UserError

    items = [item.strip() for value in values or () for item in value.split(",") if item.strip()]
    if values and not items:
        raise UserError(f"--{flag}: expected a comma-separated list, got nothing in it")
    return items


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: whatever is wrong with it is said in one line on stderr, with exit status 2."""
    return serve(
        app, "bench.run", arguments,
        interrupted="interrupted; what had finished is kept, and the same command goes on from there",
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
