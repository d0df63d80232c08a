"""A network piece by piece: what it still gets right when one piece keeps, loses or is disturbed in some frequencies.

Pieces with an index of tokens or classes on one side have frequencies there (nets/sides.py): tables of weights per
token, also as only the attention's scores or only its values see them; the readout; and what enters and leaves the
hidden units, as a function of both tokens. The hidden units come in groups, by the frequency that each is tuned to.
Other pieces (nets/paths.py) have none: attention's pattern and heads, the paths from attention to the hidden units and
past them, biases, positions. An architecture of a user's own has the tables that it declares.

Each piece is changed alone, the rest of the network stays as it is:

    keep_keys      only the key frequencies stay in it, and what belongs to no frequency
    remove_keys    the key frequencies are taken out
    remove_random  as many other frequencies, drawn at random, are taken out; or all others but one, where the keys are
                   more than the rest
    disturb        Gaussian noise is added that holds nothing of the key frequencies and has the energy that
                   ``remove_keys`` takes away: equal energy, where others hold too little of it to be removed
    zero, mean     of pieces without frequencies: set to 0, and to its mean over the cells; there ``disturb`` adds
                   Gaussian noise of the energy that ``mean`` (or ``zero``) takes away

and of the groups of hidden units: those of other (of key, of random other) frequencies are fixed at their mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from nets.attention import attended, driven, moved, read
from nets.fourier import frequencies
from nets.keys import key_frequencies
from nets.models import FloatArray, Network, computes_as
from nets.neurons import Units, activate, tuning, units
from nets.paths import Score, Whole, judged, without_frequencies
from nets.sides import Side, Values, energy
from nets.transformer import Transformer
from synth.carrier import IntArray
from synth.laws import Law

DRAWS = 3  # of random frequencies, and of noise; what is reported is the mean
MOST_GRID = 1 << 25  # numbers of the hidden units' activity on all pairs of tokens


@dataclass(frozen=True)
class Ablation:
    """One change of one piece, and what the network then does on cells that it has not seen.

    Attributes:
        name: keep_keys, remove_keys, remove_random, disturb, zero or mean.
        count: how many frequencies, or units, were kept or taken out.
        changed: the energy of the change over the piece's own, without what belongs to no frequency or is constant.
        accuracy, loss: the mean over draws; the loss in nats a cell.
        draws: how many.
    """

    name: str
    count: int
    changed: float
    accuracy: float
    loss: float
    draws: int = 1


@dataclass(frozen=True)
class Piece:
    """A piece of a network, and its ablations.

    Attributes:
        name: "E", "E in scores", "hidden in", "units", "head 0".
        kind: what has an index: "tokens", "classes", "pairs" (of tokens), "units"; or "path" or "weights".
        numbers: how many it is made of; of an activation, on one cell.
        ablations: in the order of the module's list.
    """

    name: str
    kind: str
    numbers: int
    ablations: tuple[Ablation, ...]


def pieces(
    network: Network,
    law: Law,
    cells: IntArray,
    labels: IntArray,
    rng: np.random.Generator,
    draws: int = DRAWS,
    keys: Sequence[int] | None = None,
) -> Iterator[Piece]:
    """Ablate each piece of a network.

    Args:
        network: of any architecture.
        law: whose frequencies are meant.
        cells, labels: held out, shapes (n, arity) and (n,), n at least 1.
        rng: draws the random frequencies and the noise.
        keys: the key frequencies; None for those of the law's profile at ``cells``.
    """
    logits = network.logits(cells)
    if keys is None:
        keys = key_frequencies(law, cells, logits)
    score = partial(judged, labels=labels)
    for part in [*_tables(network, law, cells), *_attention_tables(network, law, cells), *_hidden(network, law, cells)]:
        numbers = part.values.size if part.kind in ("tokens", "classes") else part.values.shape[-1]
        yield Piece(part.name, part.kind, numbers, tuple(_by_frequency(part, keys, score, rng, draws)))
    found = units(network, cells)
    if found is not None:
        yield Piece("units", "units", found.activity.shape[1],
                    tuple(_by_unit(network, law, cells, logits, found, keys, score, rng, draws)))  # fmt: skip
    for whole in without_frequencies(network, cells):
        yield Piece(whole.name, whole.kind, whole.numbers, tuple(_whole(whole, score, rng, draws)))


@dataclass(frozen=True, eq=False)
class _Part:
    """A piece that has frequencies: its values, and the logits at the cells with others in their place."""

    name: str
    kind: str
    values: Values
    side: Side
    logits: Callable[[Values], FloatArray]


def _tables(network: Network, law: Law, cells: IntArray) -> Iterator[_Part]:
    """Every table of weights per token, and the readout of the architectures whose ``W`` is one."""
    for name, readers in network.architecture.tables():

        def with_table(values: Values, name: str = name) -> FloatArray:
            return _with(network, name, values).logits(cells)

        yield _Part(name, "tokens", _array(network.weights[name]), Side.of_tokens(law, readers), with_table)
    if units(network, cells[:1]) is not None:
        values = _array(network.weights["W"]).T
        yield _Part("W", "classes", values, Side.of_classes(law), lambda x: _with(network, "W", x.T).logits(cells))


def _attention_tables(network: Network, law: Law, cells: IntArray) -> Iterator[_Part]:
    """Tables as only the scores see them, or only what is moved."""
    if not computes_as(network.architecture, Transformer):
        return
    own = attended(network, cells)
    for name, readers in network.architecture.tables():

        def scores(values: Values, name: str = name) -> FloatArray:
            other = attended(_with(network, name, values), cells)
            return _answers(network, (other.pattern[..., None] * own.values).sum(1))

        def moving(values: Values, name: str = name) -> FloatArray:
            other = attended(_with(network, name, values), cells)
            return _answers(network, (own.pattern[..., None] * other.values).sum(1))

        table, side = _array(network.weights[name]), Side.of_tokens(law, readers)
        yield _Part(f"{name} in scores", "tokens", table, side, scores)
        yield _Part(f"{name} in values", "tokens", table, side, moving)


def _hidden(network: Network, law: Law, cells: IntArray) -> Iterator[_Part]:
    """What enters and leaves the hidden units, shape (m, m, h): of two inputs only, and where memory allows."""
    size = network.architecture.size
    one = units(network, cells[:1])
    if one is None or law.arity != 2 or size**2 * one.activity.shape[1] > MOST_GRID:
        return
    grid = np.stack(np.meshgrid(np.arange(size), np.arange(size), indexing="ij"), axis=-1).reshape(-1, 2)
    found = units(network, grid)
    assert found is not None
    side, shape = Side.of_tokens(law, (0,), (1,)), (size, size, -1)
    past = _past(network, cells, found.readout)

    def leaving(values: Values) -> FloatArray:
        return past(values[cells[:, 0], cells[:, 1]].astype(np.float32))

    if found.drive is not found.activity and not np.array_equal(found.drive, found.activity):
        yield _Part("hidden in", "pairs", found.drive.reshape(shape), side, lambda x: leaving(activate(network, x)))
    yield _Part("hidden out", "pairs", found.activity.reshape(shape), side, leaving)


def _past(network: Network, cells: IntArray, readout: FloatArray) -> Callable[[FloatArray], FloatArray]:
    """Logits at the cells of the hidden units' activity there, all else as it is."""
    if not computes_as(network.architecture, Transformer):
        return lambda hidden: hidden @ readout
    with torch.no_grad():
        out = moved(network, attended(network, cells).mixed)
        skip = read(network, out, torch.zeros(len(cells), network.architecture.h, device=network.device))
    along = skip.cpu().numpy()
    return lambda hidden: along + hidden @ readout


def _by_frequency(
    part: _Part, keys: Sequence[int], score: Score, rng: np.random.Generator, draws: int
) -> Iterator[Ablation]:
    side, values = part.side, part.values
    whole = max(energy(side.moving(values)), 1e-30)

    def ablated(name: str, count: int, made: Sequence[Values]) -> Ablation:
        accuracy, loss = np.mean([score(part.logits(x)) for x in made], axis=0)
        changed = float(np.mean([energy(x - values) for x in made])) / whole
        return Ablation(name, count, changed, float(accuracy), float(loss), len(made))

    yield ablated("keep_keys", len(keys), [side.keep(values, keys)])
    yield ablated("remove_keys", len(keys), [side.remove(values, keys)])
    others = [k for k in side.all if k not in keys]
    count = min(len(keys), len(others) - 1)  # all others removed would be ``keep_keys`` again
    if count > 0:
        chosen = [rng.permutation(others)[:count].tolist() for _ in range(draws)]
        yield ablated("remove_random", count, [side.remove(values, x) for x in chosen])
    noisy = [x for _ in range(draws) if (x := side.disturb(values, keys, rng)) is not None]
    if noisy:
        yield ablated("disturb", len(others), noisy)


def _by_unit(
    network: Network,
    law: Law,
    cells: IntArray,
    logits: FloatArray,
    found: Units,
    keys: Sequence[int],
    score: Score,
    rng: np.random.Generator,
    draws: int,
) -> Iterator[Ablation]:
    """Groups of units fixed at their mean: what they add to the logits beyond it is taken off."""
    tuned = frequencies(law.order)[0] + tuning(network, law, cells, found).dominant
    moving = found.activity - found.activity.mean(axis=0)
    whole = max(energy(moving), 1e-30)
    key = np.isin(tuned, keys)

    def ablated(name: str, count: int, fixed: Sequence[IntArray]) -> Ablation:
        made = [score(logits - moving[:, x] @ found.readout[x]) for x in fixed]
        accuracy, loss = np.mean(made, axis=0)
        changed = float(np.mean([energy(moving[:, x]) for x in fixed])) / whole
        return Ablation(name, count, changed, float(accuracy), float(loss), len(made))

    others, mine = np.flatnonzero(~key), np.flatnonzero(key)
    yield ablated("keep_keys", len(mine), [others])
    yield ablated("remove_keys", len(mine), [mine])
    count = min(len(mine), len(others) - 1)
    if count > 0:
        yield ablated("remove_random", count, [rng.permutation(others)[:count] for _ in range(draws)])
    if len(others):
        accuracies: list[tuple[float, float]] = []
        for _ in range(draws):
            noise = rng.normal(size=(len(cells), len(others))).astype(np.float32)
            noise *= (energy(moving[:, mine]) / energy(noise)) ** 0.5
            accuracies.append(score(logits + noise @ found.readout[others]))
        accuracy, loss = np.mean(accuracies, axis=0)
        yield Ablation("disturb", len(others), energy(moving[:, mine]) / whole, float(accuracy), float(loss), draws)


def _whole(whole: Whole, score: Score, rng: np.random.Generator, draws: int) -> Iterator[Ablation]:
    size = max(
        energy(whole.values - whole.values.mean(axis=0)) if whole.kind == "path" else energy(whole.values), 1e-30
    )
    taken = 0.0
    for name, values in whole.changes:
        taken = energy(values - whole.values)
        accuracy, loss = score(whole.logits(values))
        yield Ablation(name, 0, taken / size, accuracy, loss)
    made: list[tuple[float, float]] = []
    for _ in range(draws):
        noise = rng.normal(size=whole.values.shape).astype(np.float32)
        made.append(score(whole.logits(whole.values + noise * (taken / energy(noise)) ** 0.5)))
    accuracy, loss = np.mean(made, axis=0)
    yield Ablation("disturb", 0, taken / size, float(accuracy), float(loss), draws)


def _answers(network: Network, mixed: torch.Tensor) -> FloatArray:
    with torch.no_grad():
        out = moved(network, mixed)
        return read(network, out, torch.relu(driven(network, out))).cpu().numpy()


def _with(network: Network, name: str, values: Values) -> Network:
    table = network.weights[name]
    return network.with_weights({name: torch.from_numpy(np.ascontiguousarray(values)).to(table)})


def _array(value: torch.Tensor) -> Values:
    return value.detach().cpu().double().numpy()
