"""--list and --dry-run: what there is, and what would run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from bench.console import Terminal
from bench.registry import list_methods, list_tasks
from bench.stack import MOST_STACKED
from bench.store import Store
from bench.table import headline

if TYPE_CHECKING:
    from bench.plan import Plan


def print_lists() -> None:
    """All tasks and methods with their parameters and a line about each."""
    console = Terminal()
    for title, entries in (("tasks", list_tasks()), ("methods", list_methods())):
        table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(title, style="bold", no_wrap=True)
        table.add_column("parameters")
        table.add_column("about", ratio=1)
        for entry in entries:
            table.add_row(escape(entry.name), escape(entry.parameters), escape(entry.about))
        console.print(table)
        console.print()
    console.print('Your own: --task file.py:function, --task "a**2 + 3*b", --methods file.py:function', markup=False)


def print_plan(console: Terminal, plan: Plan) -> None:
    """The runs a command would start, and how many of them are on disk."""
    store = Store(plan.folder)
    console.print(headline(plan))
    most = there = 0
    for chain in plan.chains:
        specs = [spec for _, specs in chain.specs for spec in specs]
        most += len(specs)
        there += sum(store.load(spec.run_id) is not None for spec in specs)
    how = "going down, stopping after two sizes that no seed solves" if plan.adaptive else "all of them"
    console.print(f"\nmethods  {' '.join(chain.label for chain in plan.chains)}", markup=False)
    if side_by_side := [x.label for x in plan.chains if any(spec.stack for _, specs in x.specs for spec in specs)]:
        batches = "one batch" if plan.seeds <= MOST_STACKED else f"batches of {MOST_STACKED} at most"
        console.print(f"stacked  {' '.join(side_by_side)} (the seeds of a size in {batches})", markup=False)
    console.print(f"sizes    {' '.join(map(str, plan.grid))} ({how})", markup=False)
    console.print(f"runs     at most {most}, {there} of them on disk already", markup=False)
    console.print(f"folder   {plan.folder}", markup=False)
