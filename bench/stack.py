"""Several specs of one method and size -> one batched training -> as many verified records.

A run that is trained side by side with others has a record of its own, made as any other. What it shares with them is
the training, and that is charged to each of them whole: every one waits for the batch. Reading laws, and what else it
does by itself, is on its own clock alone.

Whatever breaks the batch breaks no run: those that have no record by then run again by themselves.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import msgspec

from bench.execute import execute, keep, now
from bench.judge import Ending
from bench.method import Method, Trainee
from bench.observe import clocked_together
from bench.record import RunSpec, one_line
from bench.running import Running, collect_garbage, memory_limit, method_of, warm_up
from bench.store import Store

MOST_STACKED = 32  # runs in one batch; a hundred times the examples and weights of a small network are too many


@dataclass(frozen=True, eq=False)
class _Lane:
    """One run of a batch, and the files that it keeps open while it runs."""

    running: Running
    trainee: Trainee
    files: ExitStack

    @property
    def late(self) -> bool:
        return self.running.budget.elapsed > self.running.budget.seconds


def execute_stack(specs_json: Sequence[bytes], folder: str, timing: str) -> None:
    """Run these specs in this process, side by side as far as they fit together, and write their records.

    Args:
        specs_json: RunSpecs of one method and size, each of other seeds.
        folder: the task's results folder.
        timing: "alone" or "shared", as the scheduler knows it; with " stacked:5" behind for five runs in one batch.
    """
    specs = [msgspec.json.decode(x, type=RunSpec) for x in specs_json]
    apart = _side_by_side(specs, Store(Path(folder)), timing)
    for spec, encoded in zip(specs, specs_json, strict=True):
        if spec.run_id in apart:
            execute(encoded, folder, timing, apart[spec.run_id])


def _side_by_side(specs: Sequence[RunSpec], store: Store, timing: str) -> dict[str, str]:
    """Train what fits together; by run id why the others have no record yet. Nothing of a batch is kept by then."""
    clock = time.perf_counter()
    groups, apart = _grouped(specs, store)
    startup = time.perf_counter() - clock
    for lanes in groups:
        batch = _Batch(lanes, store, f"{timing} stacked:{len(lanes)}", startup)
        why = batch.run()
        apart |= {x.running.spec.run_id: why for x in lanes if x.running.spec.run_id not in batch.ended}
    return apart


def _grouped(specs: Sequence[RunSpec], store: Store) -> tuple[list[list[_Lane]], dict[str, str]]:
    """The runs that fit together, two or more of them, and by run id why the others go by themselves."""
    groups: dict[Hashable, list[_Lane]] = {}
    apart: dict[str, str] = {}
    try:
        method, params = method_of(specs[0])
        warm_up(method, specs[0].device, stacked=True)
    except BaseException as error:  # each run then says so itself
        return [], {spec.run_id: one_line(error) for spec in specs}
    for spec in specs:
        try:
            lane = _lane(spec, store, method, params)
        except BaseException as error:
            apart[spec.run_id] = one_line(error)
            continue
        if lane is None:
            apart[spec.run_id] = "there is nothing to train side by side"
        else:
            groups.setdefault(lane.trainee.fits, []).append(lane)
    apart |= {x[0].running.spec.run_id: "it fits no other run" for x in groups.values() if len(x) == 1}
    collect_garbage()
    return [x for x in groups.values() if len(x) > 1], apart


def _lane(spec: RunSpec, store: Store, method: Method, params: Mapping[str, Any]) -> _Lane | None:
    if method.stacking is None:
        return None
    running = Running(spec, store, method, params)
    with running.watch.charged(running.budget):
        trainee = method.stacking.prepare(running.problem, running.rng, **params)
    return _Lane(running, trainee, ExitStack()) if trainee is not None else None


class _Batch:
    """Runs that are trained together.

    Attributes:
        ended: ids of the runs whose records are on disk.
    """

    def __init__(self, lanes: Sequence[_Lane], store: Store, timing: str, startup: float) -> None:
        self.ended: set[str] = set()
        self._lanes, self._store = lanes, store
        self._timing, self._startup, self._started = timing, startup, now()

    def run(self) -> str:
        """Train until every run has ended, or the batch breaks; the reason, "" where it did not."""
        specs = [x.running.spec for x in self._lanes]
        path = self._store.batch_path(specs[0].run_id)
        with path.open("w") as stack, memory_limit(sum(x.memory_mib for x in specs), specs[0].device):
            try:
                for lane in self._lanes:
                    lane.running.record.startup_seconds = self._startup - lane.running.budget.elapsed
                    lane.files.enter_context(lane.running.watch)
                self._train(stack)
            except BaseException as error:
                return one_line(error)
            finally:
                for lane in self._lanes:
                    lane.files.close()
                path.unlink(missing_ok=True)
        return ""

    def _train(self, stack: IO[str]) -> None:
        stacking = self._lanes[0].running.method.stacking
        assert stacking is not None
        training = stacking.train([x.trainee for x in self._lanes])
        going = dict(enumerate(self._lanes))
        while going:
            with clocked_together([(x.running.watch, x.running.budget) for x in going.values()], stack):
                points = next(training)
            for i, lane in list(going.items()):
                if (ending := self._ending(lane, points.get(i))) is not None:
                    self._end(lane, ending)
                    del going[i]
        training.close()

    def _ending(self, lane: _Lane, point: Any) -> Ending | None:
        """One run at this point of the training: how it ends, or None where it goes on."""
        running = lane.running
        if lane.late:
            return "timeout"
        if point is None:
            return None
        try:
            with running.watch.clocked(running.budget):
                candidate, over = lane.trainee.answer(point)
            if lane.late:
                return "timeout"
            running.watch.note(candidate, running.budget.elapsed)
        except BaseException as error:  # sys.exit() in a user's network ends that run, not the worker
            return running.broke(error)
        return "returned" if over else None

    def _end(self, lane: _Lane, ending: Ending) -> None:
        record = lane.running.end(ending)
        lane.files.close()
        keep(record, self._store, self._timing, self._started)
        self.ended.add(record.run_id)
