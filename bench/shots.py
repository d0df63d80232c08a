"""One training run of a film: train, keep the weights of every checkpoint, and measure them in hindsight.

The first checkpoint is that of step 0, the untrained network. Hindsight is needed because the key frequencies are those
of the last checkpoint (Nanda et al. 2023). Everything here runs in a process of its own, so that a shot is made of
plain values and its footage can be sent back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from bench.casting import network_of, recipe_of
from bench.errors import UserError
from bench.parameters import Value
from synth.carrier import IntArray, Residues

if TYPE_CHECKING:
    from bench.anatomy import Anatomy
    from bench.stream import Stream
    from bench.task import Task
    from nets.dynamics import Scene
    from nets.models import Architecture, FloatArray, Network
    from nets.portrait import Portrait
    from nets.recipes import Recipe
    from nets.transitions import Jump, Transition
    from synth.laws import Law

CODE_EVERY = 4  # checkpoints: the two-part code takes as long as all other measures together
WATCHED = 1 << 15  # cells whose answers must settle
LARGEST = 1e8  # weight or logit that a checkpoint may have
Report = Callable[[float], None]
State: TypeAlias = "Mapping[str, FloatArray]"


@dataclass(frozen=True)
class Shot:
    """One run to film.

    Attributes:
        task_ref, task_params: as the registry finds the task.
        network: "relu" or "relu:h=256" or "my_nets.py:Mine:h=3".
        recipe: its name; ``changes`` replaces single settings.
        n, seed, split: the first n cells of the stream of that seed; the same seed starts the weights.
        twin: whether a twin is trained beside it, for as many steps, on random labels.
        control: whether this is such a twin.
    """

    task_ref: str
    task_params: Mapping[str, Value]
    network: str
    recipe: str
    n: int
    seed: int
    split: str = "cells"
    device: str = "cpu"
    twin: bool = False
    control: bool = False
    changes: Mapping[str, int | float] = field(default_factory=dict[str, int | float])


@dataclass(frozen=True, eq=False)
class Footage:
    """What came of a shot.

    Attributes:
        steps: of the checkpoints.
        trace: by measure, a value a checkpoint, None where it does not apply.
        power: shape (checkpoints, order // 2): energy by frequency; None without a law.
        transitions, jump: see nets/transitions.py.
        portraits: of the first checkpoint, the one at which the examples were memorised, and the last; none without
            a law.
        keys: the key frequencies of the last checkpoint, strongest first.
        n: the examples that the split reached.
        cause: why training ended: "settled", "budget", or "diverged: ...".
        law: the task's, as text; "" where it has none.
        anatomy: of the last checkpoint; None without a law or held-out cells.
    """

    shot: Shot
    steps: list[int]
    trace: Mapping[str, list[float | None]]
    power: npt.NDArray[np.float64] | None
    transitions: Mapping[str, Transition]
    jump: Jump
    portraits: list[Portrait]
    keys: tuple[int, ...]
    n: int
    cause: str
    law: str
    anatomy: Anatomy | None


def law_of(task: Task) -> Law | None:
    """The law that the task's whole table obeys, or None where it has none, or one that held-out cells can't show."""
    if not isinstance(task.carrier, Residues) or task.arity < 2:
        return None
    from synth.spectral import read_labels

    law = read_labels(task.carrier, task.domain, task.table)[0]
    return law if law.fit(task.domain, task.table) == 1.0 else None


def unordered(task: Task) -> bool:
    """Whether the task's table is the same for every order of its inputs."""
    weights = task.carrier.size ** np.arange(task.arity - 1, -1, -1, dtype=np.int64)
    values = dict(zip((task.domain @ weights).tolist(), task.table.tolist(), strict=True))
    ordered = (np.sort(task.domain, axis=1) @ weights).tolist()
    return all(values.get(x) == y for x, y in zip(ordered, task.table.tolist(), strict=True))


@dataclass(frozen=True, eq=False)
class Take:
    """What came of a shot and its twin.

    Attributes:
        footages: its own, and its twin's where it has one.
        failure: why there are not as many as there should be, in one line; else "".
    """

    footages: list[Footage]
    failure: str = ""


def take(shot: Shot, report: Report = lambda share: None) -> Take:
    """The shot's footage and, where it has one, its twin's; what goes wrong costs neither the other nor other shots.

    Args:
        report: is told the share of the work that is done, now and then.
    """
    share = 0.5 if shot.twin else 1.0
    made: list[Footage] = []
    try:
        made.append(shoot(shot, lambda x: report(share * x)))
        if shot.twin:
            twin = replace(shot, twin=False, control=True)
            made.append(shoot(twin, lambda x: report(share + share * x), made[0].steps[-1]))
    except (Exception, SystemExit) as error:  # a user's own network may call sys.exit
        why = " ".join((str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}").split())
        return Take(made, f"on random labels: {why}" if made else why)
    return Take(made)


def shoot(shot: Shot, report: Report = lambda share: None, until: int | None = None) -> Footage:
    """Train, then measure every checkpoint.

    Args:
        report: is told the share of the work that is done, now and then.
        until: the step of the last checkpoint, should training not end before.
    """
    import torch

    from bench.anatomy import dissect
    from bench.registry import load_task
    from nets.dynamics import Measures, observe
    from nets.models import from_state
    from nets.recipes import symmetric, worth
    from nets.transitions import jump, transitions

    torch.set_num_threads(1)
    task = load_task(shot.task_ref, dict(shot.task_params)).task
    scene, n = _scene(task, shot)
    held_out = n < len(task.domain)
    examples = stream_of(task, shot).examples(shot.n)
    alike = symmetric(*examples[:2])  # by the task's own labels, so that a twin is of the same shape
    said = worth(examples[0], task.carrier.size) if alike and shot.recipe != "delayed" else n
    network = network_of(shot.network, shot.recipe, task.carrier.size, task.arity, said, alike)
    plan = recipe_of(shot.recipe, network, said, shot.changes)
    steps, states, cause = _trained(network, plan, scene, shot, task.domain, lambda x: report(0.5 * x), until)
    last = from_state(network, states[-1])
    scene = scene.with_keys(last)
    seen = []
    for i, state in enumerate(states):
        code = i % CODE_EVERY == 0 or i == len(states) - 1
        seen.append(observe(from_state(network, state), scene, shot.seed, code=code))
        report(0.5 + 0.5 * (i + 1) / len(states))
    rows = [asdict(x.measures) for x in seen]
    trace = {x.name: [row[x.name] for row in rows] for x in fields(Measures)}
    powers = [x.power for x in seen if x.power is not None]
    memorised = jump(steps, trace).memorised
    middle = steps.index(memorised) if memorised is not None else len(steps) // 2
    chosen = {i: from_state(network, states[i]) for i in sorted({0, middle, len(steps) - 1})}
    return Footage(
        shot=shot, steps=steps, trace=trace, power=np.stack(powers) if powers else None,
        transitions=transitions(steps, trace), jump=jump(steps, trace),
        portraits=_portraits(chosen, last, scene, steps, powers[-1] if powers else None),
        keys=scene.keys, n=n, cause=cause, law=scene.law.text if scene.law else "",
        anatomy=dissect(
            last, scene.law, *scene.held_out_seen, shot.seed,
            keys=scene.keys, domain=None if shot.control else task.domain,
        ) if scene.law and held_out else None,
    )  # fmt: skip


def _trained(
    network: Architecture, plan: Recipe, scene: Scene, shot: Shot, domain: IntArray, report: Report, until: int | None
) -> tuple[list[int], Sequence[State], str]:
    """The steps of the checkpoints, the weights at each, and why there are no more.

    Raises:
        ValueError: there is not even an untrained network to show.
    """
    from nets.models import fresh
    from nets.train import Diverged, train

    watched = domain[:: -(-len(domain) // WATCHED)]
    steps, states = [0], [fresh(network, shot.seed).state()]  # the very weights that ``train`` starts from
    if not _computable(network, states[0], watched):
        raise ValueError(
            f"{network.name}: its untrained weights or logits are no numbers, or too large to compute with"
        )
    if until == 0:
        return steps, states, "budget"
    cause = "budget"
    run = train(network, scene.inputs, scene.labels, plan, shot.seed, watched=watched, device=shot.device)
    try:
        for point in run:
            if point.attempt:  # a fresh start: what came before is another run
                break
            state = point.network.state()
            if not _computable(network, state, watched):  # the loss that was finite is the one before the last update
                raise Diverged(f"{network.name}: the weights are too large to compute with at step {point.step}")
            steps.append(point.step)
            states.append(state)
            cause = point.cause or "budget"
            if until is not None and point.step >= until:
                break
            report(point.step / min(plan.steps, until or plan.steps))
    except Diverged as reason:
        cause = f"diverged: {reason}"
    return steps, states, cause


def _computable(network: Architecture, state: State, cells: IntArray) -> bool:
    """Whether weights, and logits on the cells, are numbers whose fourth powers single precision can hold."""
    from nets.models import from_state

    with np.errstate(all="ignore"):
        parts = [*state.values(), from_state(network, state).logits(cells)]
        return all(bool((np.abs(x) < LARGEST).all()) for x in parts)


def stream_of(task: Task, shot: Shot) -> Stream:
    """The order in which the shot's examples come."""
    from bench.stream import Stream

    return Stream(task, shot.seed, shot.split)


def _scene(task: Task, shot: Shot) -> tuple[Scene, int]:
    """The cells and labels of a shot.

    The control's labels are random on all cells, the held-out ones too. Where the order of the task's inputs does not
    matter, it does not matter to them: a network of that symmetry could not fit others.
    """
    from nets.dynamics import Scene
    from synth.draws import integers

    stream = stream_of(task, shot)
    _, _, n = stream.examples(shot.n)
    labels = task.table
    if shot.control:
        size = task.carrier.size
        weights = size ** np.arange(task.arity - 1, -1, -1, dtype=np.int64)
        cells = np.sort(task.domain, axis=1) if unordered(task) else task.domain
        labels = integers(shot.seed, "random twin", cells @ weights, size)
    known, rest = stream.order[:n], stream.order[n:]
    domain = task.domain
    return Scene(domain[known], labels[known], domain[rest], labels[rest], law_of(task)), n


def _portraits(
    chosen: Mapping[int, Network], last: Network, scene: Scene, steps: list[int], power: Any
) -> list[Portrait]:
    from nets.portrait import plane, portrait

    if scene.law is None or power is None:
        return []
    frequency = int(np.argmax(power)) + 1
    axes = plane(last, scene.law, frequency)
    cells: IntArray = np.concatenate([scene.examples_seen[0], scene.held_out_seen[0]])
    return [portrait(network, scene.law, frequency, axes, cells, steps[i]) for i, network in chosen.items()]
