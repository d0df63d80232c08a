"""The shots of a film, each in a process of its own, with a bar of all their work together."""

from __future__ import annotations

import queue
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any

from bench.casting import own
from bench.shots import Take
from bench.worker import WorkerContext, start

if TYPE_CHECKING:
    from bench.shots import Footage, Shot


def shoot_all(shots: Sequence[Shot], jobs: int, *, quiet: bool = False) -> Generator[tuple[int, Take], None, None]:
    """What came of each shot, as it comes in, with the shot's index. Closing the generator ends what still runs."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from bench.console import Terminal

    console = Terminal(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"), TimeElapsedColumn(),
        TimeRemainingColumn(), console=console, disable=quiet or not console.is_terminal, transient=True,
    )  # fmt: skip
    done = dict.fromkeys(range(len(shots)), 0.0)
    ended = 0
    with bar:
        line = bar.add_task(f"filming {len(shots)} seed{'s' * (len(shots) > 1)}", total=len(shots))

        def report(index: int, share: float) -> None:
            done[index] = max(done[index], share)
            bar.update(line, completed=sum(done.values()))

        alone = min(jobs, len(shots)) == 1 and not any(own(x.network) for x in shots)
        filmed = _here(shots, report) if alone else _apart(shots, jobs, report)
        for index, found in filmed:
            ended += 1
            report(index, 1.0)
            if not quiet and not console.is_terminal and found.footages:
                console.print(_line(found.footages, ended, len(shots)))
            yield index, found


Report = Callable[[int, float], None]


def _here(shots: Sequence[Shot], report: Report) -> Generator[tuple[int, Take], None, None]:
    """One after the other in this process, for another takes seconds to start; not for what may end its process."""
    from bench.shots import take

    for i, shot in enumerate(shots):
        yield i, take(shot, lambda share, i=i: report(i, share))


def _apart(shots: Sequence[Shot], jobs: int, report: Report) -> Generator[tuple[int, Take], None, None]:
    """In processes of their own, ``jobs`` at a time; where one dies, each that died with it gets one for itself."""
    broken: list[int] = []
    for index, found in _pooled(dict(enumerate(shots)), jobs, report):
        if found is None:
            broken.append(index)
        else:
            yield index, found
    for index in broken:
        for _, found in _pooled({index: shots[index]}, 1, report):
            yield index, found or Take([], "its process died; is there enough memory?")


def _pooled(shots: Mapping[int, Shot], jobs: int, report: Report) -> Generator[tuple[int, Take | None], None, None]:
    """By index what came of each shot; None for those whose process died, or another of the pool."""
    context = WorkerContext()
    with context.Manager() as manager:
        news = manager.Queue()
        workers = min(jobs, len(shots))
        pool = ProcessPoolExecutor(workers, mp_context=context, initializer=start, initargs=(1,))
        try:
            waiting = {pool.submit(_take, i, shot, news): i for i, shot in shots.items()}
            while waiting:
                ready, _ = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
                _read(news, report)
                for future in ready:
                    index = waiting.pop(future)
                    try:
                        yield index, future.result()
                    except BrokenProcessPool:
                        yield index, None
        finally:
            running = list((getattr(pool, "_processes", None) or {}).values())  # Python 3.14 has a method for that
            pool.shutdown(wait=False, cancel_futures=True)
            for process in running:
                process.terminate()


def _take(index: int, shot: Shot, news: Any) -> Take:
    from bench.shots import take

    return take(shot, lambda share: news.put((index, share)))


def _read(news: Any, report: Report) -> None:
    while True:
        try:
            report(*news.get_nowait())
        except queue.Empty:
            return


def _line(found: Sequence[Footage], number: int, of: int) -> str:
    ended = ", ".join(f"{'random labels' if x.shot.control else 'task'} {x.steps[-1]} steps" for x in found)
    return f"{number}/{of}  seed {found[0].shot.seed}: {ended} ({found[0].cause})"
