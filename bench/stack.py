"""Several specs of one method and size -> one batched training -> as many verified records.

A run that is trained side by side with others has a record of its own, made as any other. What it shares with them is
the training, and that is charged to each of them whole: every one waits for the batch. Reading laws, and what else it
does by itself, is on its own clock alone.

A run has the memory that it is allowed, too: an equal part of what the batch holds, and what it takes by itself.

A run without others is trained in a batch of its own: what a run comes to does not depend on which others are on disk
already. Whatever breaks a batch of several breaks no run: those without a record by then run again, in a batch each,
and where that breaks too as runs do that are never trained side by side. Their records say so.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Hashable, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import msgspec

from bench.execute import execute, keep, now
from bench.judge import Ending
from bench.method import Method, Trainee
from bench.observe import clocked_together
from bench.record import RunSpec, one_line
from bench.running import Running, collect_garbage, mapped, memory_limit, method_of, out_of_memory, warm_up
from bench.store import Store

MOST_STACKED = 32  # runs in one batch; a hundred times the examples and weights of a small network are too many
LEAST_PLACES = 2  # in one batch: torch rounds sums of one network otherwise than those of one among several


@dataclass(frozen=True, eq=False)
class _Lane:
    """One run of a batch, and the files that it keeps open while it runs."""

    running: Running
    trainee: Trainee
    files: ExitStack

    @property
    def run_id(self) -> str:
        return self.running.spec.run_id

    @property
    def late(self) -> bool:
        return self.running.budget.elapsed > self.running.budget.seconds


def execute_stack(specs_json: Sequence[bytes], folder: str, timing: str, why: str = "") -> None:
    """Run these specs in this process, side by side as far as they fit together, and write their records.

    Args:
        specs_json: RunSpecs of one method and size, each of other seeds.
        folder: the task's results folder.
        timing: "alone" or "shared", as the scheduler knows it; with " stacked:5" behind for five runs in one batch.
        why: what kept a single spec from being in a batch with others, where something did; kept as a note.
    """
    specs = [msgspec.json.decode(x, type=RunSpec) for x in specs_json]
    store = Store(Path(folder))
    apart, broken = _side_by_side(specs, store, timing, why)
    for spec in specs:
        if spec.run_id in broken:
            apart |= _side_by_side([spec], store, timing, broken[spec.run_id])[0]
    for spec, encoded in zip(specs, specs_json, strict=True):
        if spec.run_id in apart:
            execute(encoded, folder, timing, apart[spec.run_id])


def _side_by_side(
    specs: Sequence[RunSpec], store: Store, timing: str, why: str
) -> tuple[dict[str, str], dict[str, str]]:
    """Train what fits together. Nothing of a batch is kept by the end.

    Returns:
        Two tables of runs that have no record yet, by run id why: those that can't be stacked, and those whose batch,
        of several, broke.
    """
    clock = time.perf_counter()
    groups, apart = _grouped(specs, store)
    broken: dict[str, str] = {}
    startup = time.perf_counter() - clock
    for lanes in groups:
        alone = why or ("it fits no other run" if len(specs) > 1 else "")
        batch = _Batch(lanes, store, f"{timing} stacked:{len(lanes)}", startup, alone if len(lanes) == 1 else "")
        reason = batch.run()
        (broken if len(lanes) > 1 else apart).update({x.run_id: reason for x in lanes if x.run_id not in batch.ended})
    return apart, broken


def _grouped(specs: Sequence[RunSpec], store: Store) -> tuple[list[list[_Lane]], dict[str, str]]:
    """The runs that fit together, and by run id why others can't be stacked."""
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
        elif lane.trainee.fits is None:
            apart[spec.run_id] = "its training is for one network at a time"
        else:
            groups.setdefault(lane.trainee.fits, []).append(lane)
    collect_garbage()
    return list(groups.values()), apart


def _lane(spec: RunSpec, store: Store, method: Method, params: Mapping[str, Any]) -> _Lane | None:
    if method.stacking is None:
        return None
    running = Running(spec, store, method, params)
    with running.watch.charged(running.budget):
        trainee = method.stacking.prepare(running.problem, running.rng, **params)
    return _Lane(running, trainee, ExitStack()) if trainee is not None else None


class _Batch:
    """Runs that are trained together, or one that is trained as they are.

    Attributes:
        ended: ids of the runs whose records are on disk.
    """

    def __init__(self, lanes: Sequence[_Lane], store: Store, timing: str, startup: float, why: str) -> None:
        """``why``: of a run without others, what kept it from them; "" where there were none."""
        self.ended: set[str] = set()
        self._lanes, self._store, self._why = lanes, store, why
        self._places = max(len(lanes), LEAST_PLACES)
        self._timing, self._startup, self._started = timing, startup, now()
        self._held = 0

    def run(self) -> str:
        """Train until every run has ended, or the batch breaks; the reason, "" where it did not."""
        spec = self._lanes[0].running.spec
        path = self._store.batch_path(spec.run_id)
        self._held = mapped() or 0
        with path.open("w") as stack, memory_limit(self._places * spec.memory_mib, spec.device):
            try:
                for lane in self._lanes:
                    lane.running.record.startup_seconds = self._startup - lane.running.budget.elapsed
                    lane.files.enter_context(lane.running.watch)
                self._train(stack)
            except BaseException as error:
                if len(self._lanes) > 1 or not out_of_memory(error):
                    return one_line(error)
                self._end(self._lanes[0], "memout")  # it had all that it may have
            finally:
                for lane in self._lanes:
                    lane.files.close()
                path.unlink(missing_ok=True)
        return ""

    def _train(self, stack: IO[str]) -> None:
        stacking = self._lanes[0].running.method.stacking
        assert stacking is not None
        trainees = [x.trainee for x in self._lanes]
        training = stacking.train(trainees + trainees[:1] * (self._places - len(trainees)))
        going = dict(enumerate(self._lanes))
        while going:
            with clocked_together([(x.running.watch, x.running.budget) for x in going.values()], stack):
                points = next(training)
            for i, lane in list(going.items()):
                with self._its_memory(lane):
                    if (ending := self._ending(lane, points.get(i))) is not None:
                        self._end(lane, ending)
                        del going[i]
        training.close()

    @contextmanager
    def _its_memory(self, lane: _Lane) -> Generator[None]:
        """What a run does by itself may take what its part of the batch leaves of its memory."""
        spec = lane.running.spec
        part = ((mapped() or 0) - self._held) / self._places / 2**20
        with memory_limit(max(0.0, spec.memory_mib - part), spec.device):
            yield

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
        if self._why:
            record.notes["stacked"] = f"by itself: {self._why}"
        lane.files.close()
        keep(record, self._store, self._timing, self._started)
        self.ended.add(record.run_id)
