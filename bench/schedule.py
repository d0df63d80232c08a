"""The grid: which sizes each method runs at, in which order, on a pool of warm workers that a crash can't take down."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec
from pebble import ProcessExpired, ProcessPool

from bench import worker
from bench.execute import execute
from bench.record import Outcome, Record, RunSpec, one_line
from bench.remains import WATCHDOG_MARK, record_of_remains
from bench.stack import MOST_STACKED, execute_stack
from bench.store import Store

FRACTIONS = (0.8, 0.5, 0.3, 0.2, 0.1, 0.05)
# Down to 2: after one example the answer is whichever of many equally short programs is tried first.
SMALL_SIZES = (64, 32, 16, 8, 5, 3, 2)
FAILED_SIZES = 2  # sizes at which every seed fails, after which smaller ones are not tried
STARTUP_SECONDS = 120.0  # beyond the budget, before a worker that says nothing at all is given up


def default_grid(cells: int) -> tuple[int, ...]:
    """Sizes from .8 of the cells down to 2, descending: six fractions, then small counts below the smallest of them."""
    large = {max(1, round(fraction * cells)) for fraction in FRACTIONS}
    small = {size for size in SMALL_SIZES if size < min(large)}
    return tuple(sorted(large | small, reverse=True))


@dataclass
class Chain:
    """One method's sizes: some run always, the others one after the other for as long as there is a point.

    Attributes:
        label: the method as the tables name it.
        specs: for each size, the runs of all seeds.
        always: sizes that run whatever happens at others; the rest go down from the largest and stop after FAILED_SIZES
            sizes without a solved seed.
        trains: whether the method is a training method; long runs are started first.
    """

    label: str
    specs: Sequence[tuple[int, Sequence[RunSpec]]]
    always: frozenset[int]
    trains: bool
    at: int = 0
    failures: int = 0
    stopped: str = ""
    records: dict[str, Record] = field(default_factory=dict[str, Record])

    @property
    def _descent(self) -> list[tuple[int, Sequence[RunSpec]]]:
        return [x for x in self.specs if x[0] not in self.always]

    def ready(self) -> list[RunSpec]:
        """The runs that may start now and have no record yet."""
        sizes = [*self._descent[self.at : self.at + 1], *(x for x in self.specs if x[0] in self.always)]
        return [spec for _, specs in sizes for spec in specs if spec.run_id not in self.records]

    def take(self, record: Record) -> None:
        """Note a finished run and move on where its size is complete."""
        self.records[record.run_id] = record
        descent = self._descent
        while self.at < len(descent):
            ended = [self.records.get(spec.run_id) for spec in descent[self.at][1]]
            if any(x is None for x in ended):
                return
            if all(x is not None and x.outcome is Outcome.INAPPLICABLE for x in ended):
                self.stopped, self.at = "inapplicable", len(descent)
                return
            self.failures += not any(x is not None and x.solved for x in ended)
            self.at += 1
            if self.failures >= FAILED_SIZES:
                self.stopped, self.at = f"failed at {FAILED_SIZES} sizes", len(descent)

    @property
    def done(self) -> bool:
        return not self.ready()


def run_chains(
    chains: Sequence[Chain],
    store: Store,
    *,
    jobs: int,
    threads: int,
    fresh: bool = False,
    retry: frozenset[Outcome] = frozenset(),
) -> Generator[tuple[Chain, Record, bool]]:
    """Run every chain to its end, yielding (chain, record, reused) as runs finish or are found on disk.

    Interrupting is safe at any moment: a run is on disk, whole, before it is yielded, and the next call finds it there.

    Args:
        store: where the records lie.
        jobs: worker processes.
        threads: threads a run.
        fresh: run again what is on disk.
        retry: outcomes to run again.
    """

    def reuse(spec: RunSpec) -> Record | None:
        record = None if fresh else store.load(spec.run_id)
        return record if record is not None and record.outcome not in retry else None

    jobs = min(jobs, sum(len(specs) for chain in chains for _, specs in chain.specs))
    pool: ProcessPool | None = None
    flying: dict[Future[Any], tuple[Chain, list[tuple[RunSpec, int]]]] = {}
    submitted: set[str] = set()
    apart: dict[str, str] = {}  # runs whose batch's process died, and how: one by one, then, and the guilty is found
    plain: set[str] = set()  # those that were the only ones in it: as runs are that are never stacked
    longest_first = sorted(chains, key=lambda chain: not chain.trains)
    timing = "alone" if jobs == 1 else "shared"
    try:
        while True:
            for chain in longest_first:
                while waiting := [spec for spec in chain.ready() if spec.run_id not in submitted]:
                    reused = next(((spec, found) for spec in waiting if (found := reuse(spec)) is not None), None)
                    if reused is None:
                        break
                    submitted.add(reused[0].run_id)
                    chain.take(reused[1])
                    yield chain, reused[1], True
                for specs in _batches(waiting, apart):
                    if len(flying) >= jobs:
                        break
                    pool = pool or ProcessPool(
                        max_workers=jobs, initializer=worker.start, initargs=[threads], context=worker.WorkerContext()
                    )
                    submitted.update(spec.run_id for spec in specs)
                    before = [(spec, _written(store, spec)) for spec in specs]
                    stacked = specs[0].stack and specs[0].run_id not in plain
                    why = apart.get(specs[0].run_id, "")
                    flying[_submit(pool, specs, store, timing, why, stacked=stacked)] = chain, before
            if not flying:
                return
            # Waking up now and then lets Python handle a Ctrl-C that arrives while the wait is inside a lock.
            finished, _ = wait(flying, timeout=0.5, return_when=FIRST_COMPLETED)
            for future in finished:
                chain, before = flying.pop(future)
                stacked = before[0][0].stack and before[0][0].run_id not in plain
                lost = _lost(future, before, store) if stacked else set[str]()
                apart |= dict.fromkeys(lost, _why_lost(future, len(before)))
                plain |= lost if len(before) == 1 else set()
                submitted -= lost
                how = f"{timing} stacked:{len(before)}" if stacked else timing
                for spec, written in before:
                    if spec.run_id not in lost:
                        record = _collect(future, spec, store, written, chain.trains, how)
                        if spec.run_id in apart and "stacked" not in record.notes:
                            record.notes["stacked"] = f"{'by itself' if stacked else 'no'}: {apart[spec.run_id]}"
                            store.save(record)
                        chain.take(record)
                        yield chain, record, False
    finally:
        if pool is not None:
            if flying:
                pool.stop()
            else:
                pool.close()
            with suppress(TimeoutError):
                pool.join(timeout=10)
            for _, before in flying.values():
                _tidy(store, [spec for spec, _ in before])


def _batches(waiting: Sequence[RunSpec], apart: Collection[str]) -> Iterator[list[RunSpec]]:
    """Each run by itself, or those of one size side by side where they may be."""
    batch: list[RunSpec] = []
    for spec in waiting:
        joins = spec.stack and spec.run_id not in apart
        if batch and not (joins and spec.n == batch[0].n and len(batch) < MOST_STACKED):
            yield batch
            batch = []
        if joins:
            batch.append(spec)
        else:
            yield [spec]
    if batch:
        yield batch


def _submit(
    pool: ProcessPool, specs: Sequence[RunSpec], store: Store, timing: str, why: str, *, stacked: bool
) -> Future[Any]:
    """``why``: what kept a run by itself from others, or from being stacked at all."""
    encoded, folder = [msgspec.json.encode(spec) for spec in specs], str(store.folder)
    seconds = (STARTUP_SECONDS + 2 * specs[0].seconds) * len(specs)
    if not stacked:
        return pool.schedule(execute, args=[encoded[0], folder, timing, why], timeout=seconds)
    # Three times: should the batch break, they still run one after the other, and once more where that breaks as well.
    return pool.schedule(execute_stack, args=[encoded, folder, timing, why], timeout=3 * seconds)


def _lost(future: Future[Any], before: Sequence[tuple[RunSpec, int]], store: Store) -> set[str]:
    """Ids of those that a batch's dead process took with it: they are to run again, otherwise.

    Where the batch itself did not come back in time, it is the time of those in it that was over: they do not.
    """
    if future.cancelled() or future.exception() is None:
        return set()
    missing = {spec.run_id for spec, written in before if _written(store, spec) == written}
    stacks = {run_id: store.trace_path(run_id).with_suffix(".stack") for run_id in missing}
    opened = {run_id: path for run_id, path in stacks.items() if path.is_file()}  # the others had not begun
    for spec, _ in before:
        batch = store.batch_path(spec.run_id)
        stuck = batch.read_text(errors="replace") if batch.is_file() else ""
        batch.unlink(missing_ok=True)
        if stuck.startswith(WATCHDOG_MARK):
            for path in opened.values():
                path.write_text(stuck)
    return missing - {run_id for run_id, path in opened.items() if path.read_text(errors="replace")}


def _why_lost(future: Future[Any], k: int) -> str:
    died = future.exception() if not future.cancelled() else None
    if isinstance(died, ProcessExpired):
        return f"the process of a batch of {k} died with exit code {died.exitcode}"
    return f"a batch of {k} was stopped" if died is None else f"a batch of {k}: {one_line(died)}"


def _tidy(store: Store, specs: Sequence[RunSpec]) -> None:
    """Take away what runs that were stopped in the middle had open."""
    for spec in specs:
        store.batch_path(spec.run_id).unlink(missing_ok=True)
        store.trace_path(spec.run_id).with_suffix(".stack").unlink(missing_ok=True)


def _written(store: Store, spec: RunSpec) -> int:
    """When a run's record was last written, in nanoseconds; 0 where there is none."""
    try:
        return store.path(spec.run_id).stat().st_mtime_ns
    except OSError:
        return 0


def _collect(future: Future[Any], spec: RunSpec, store: Store, before: int, trains: bool, timing: str) -> Record:
    exit_code: int | None = None
    reason = "the worker came back without a record"
    try:
        future.result()
        exit_code = 0
    except ProcessExpired as died:
        exit_code = int(died.exitcode or 0)
        reason = ""
    except (TimeoutError, CancelledError):
        reason = ""
    except Exception as error:  # the disk is full, say: this run is lost, the others need not be
        exit_code, reason = 0, one_line(error)
    # A record as old as the submission is an earlier run's (--fresh, --retry): this one's worker died in the middle.
    record = store.load(spec.run_id) if _written(store, spec) != before else None
    if record is None:
        record = record_of_remains(spec, store, exit_code=exit_code, trains=trains)
        record.reason, record.timing = reason or record.reason, timing
        store.save(record)
    return record
