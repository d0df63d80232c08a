"""What is going on while runs run: a line a method in a terminal, a line a finished size elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bench.record import Outcome, Record
from bench.schedule import Chain

_MARKS = {
    Outcome.SOLVED: ("●", "green"),
    Outcome.INAPPLICABLE: ("–", "dim"),
    Outcome.ERROR: ("!", "bold red"),
    Outcome.TIMEOUT: ("◷", "yellow"),
    Outcome.MEMOUT: ("▪", "yellow"),
}
_FAILED = ("○", "dim")


class Progress:
    """Follows chains as their records come in.

    In a terminal: one live line a method with a mark a seed (● solved, ○ not, ◷ time-out, – inapplicable, ! error), the
    sizes going down. Elsewhere: one plain line whenever a size is complete.
    """

    def __init__(self, console: Console, chains: Sequence[Chain], *, quiet: bool) -> None:
        self._console = console
        self._chains = chains
        self._quiet = quiet
        self._reused = 0
        self._ran = 0
        self._live: Live | None = None

    def __enter__(self) -> Progress:
        if not self._quiet and self._console.is_terminal:
            self._live = Live(self._view(), console=self._console, refresh_per_second=8, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def note(self, chain: Chain, record: Record, reused: bool) -> None:
        """A run has finished, or was found finished."""
        self._reused += reused
        self._ran += not reused
        if self._live is not None:
            self._live.update(self._view())
        elif not self._quiet and not reused:
            self._print_when_complete(chain, record.spec.n)

    @property
    def summary(self) -> str:
        """How many runs ran and how many were on disk."""
        return f"{self._ran} runs" + (f", {self._reused} more found on disk" if self._reused else "")

    def _view(self) -> Table:
        width = max(8, self._console.width - 20)
        grid = Table.grid(padding=(0, 2))
        for chain in self._chains:
            line = Text()
            for n, specs in chain.specs:
                marks = [_mark(chain.records[x.run_id]) for x in specs if x.run_id in chain.records]
                if marks:
                    line.append(f" {n} ", style="dim")
                    for mark, style in marks:
                        line.append(mark, style=style)
            if chain.stopped:
                line.append(f"  {chain.stopped}", style="dim")
            if line.cell_len > width:  # the latest sizes matter
                line = Text("…") + line[line.cell_len - width + 1 :]
            grid.add_row(Text(chain.label, style="bold" if chain.ready() else "dim"), line)
        return grid

    def _print_when_complete(self, chain: Chain, n: int) -> None:
        specs = next(specs for size, specs in chain.specs if size == n)
        ended = [chain.records[x.run_id] for x in specs if x.run_id in chain.records]
        if len(ended) == len(specs):
            solved = sum(x.solved for x in ended)
            others = sorted({x.outcome.value for x in ended if not x.solved})
            detail = f"  ({', '.join(others)})" if others else ""
            self._console.print(f"{chain.label:<14} n = {n:<6} {solved}/{len(ended)} solved{detail}", highlight=False)


def _mark(record: Record) -> tuple[str, str]:
    return _MARKS.get(record.outcome, _FAILED)
