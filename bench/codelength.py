"""Prequential code lengths: what the labels of a stream cost whoever must say each before it is seen (Dawid 1984).

One currency for every method. A label costs -log2 of the probability that was given to it before it was seen. What is
measured here is a run's last answer on the labels that come after its examples.

- A learner that goes on learning (``Candidate.online``) says itself what each further label costs it.
- A network (``Candidate.distribution``) is frozen after its n examples and codes the block up to the next size that
  was run. Its own confidence is no calibration: q = (1 - e) softmax(logits / T) + e / size, and for (T, e) a Bayesian
  mixture over a fixed grid, which starts afresh in each block and learns from the block's labels only once they are
  coded. Half of the prior is on e = 1, the uniform code: no block costs more than its uniform code and one bit.
- A point predictor's next label is right with probability (hits + 1/2) / (t + 1) after t predictions, the rest being
  spread evenly over the other values (Krichevsky and Trofimov 1981).
- Labels before the first size that was run cost log2(size) each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log, log2

import numpy as np
import numpy.typing as npt

from bench.method import Candidate, FloatArray, Problem
from bench.record import CodeRecord, Record
from synth.carrier import IntArray

Bits = npt.NDArray[np.float64]

TEMPERATURES = 2.0 ** np.arange(-4, 4.5, 0.5)
SPREADS = np.array([1e-4, 1e-3, 0.01, 0.03, 0.1, 0.3, 0.6])  # shares of the uniform distribution
BLOCK = 1 << 21  # logits held at once
PROBED = 1  # values besides the first label whose probability is asked for too
SLACK = 1e-6  # of a probability, for rounding


def predictive_bits(hits: npt.NDArray[np.bool_], size: int, before: tuple[int, int] = (0, 0)) -> Bits:
    """What each label costs a point predictor, shape (t,).

    Args:
        hits: whether it was right, label by label, shape (t,).
        size: the number of values.
        before: how many predictions it had made, and how many of them were right.
    """
    if size == 1:
        return np.zeros(len(hits))
    made, right = before
    past = right + np.concatenate([[0], np.cumsum(hits)[:-1]]) if len(hits) else np.zeros(0)
    rate = (past + 0.5) / (made + np.arange(len(hits)) + 1.0)
    return np.where(hits, -np.log2(rate), -np.log2((1 - rate) / (size - 1)))


def calibrated_bits(scores: Callable[[IntArray], FloatArray], inputs: IntArray, labels: IntArray, size: int) -> Bits:
    """What each label costs a frozen network under the mixture of calibrations, shape (t,).

    Args:
        scores: logits, shape (k, size), for inputs of shape (k, arity).
        inputs, labels: the block's cells in their order, shapes (t, arity) and (t,).
        size: the number of values.

    Raises:
        TypeError: the scores are not (k, size) numbers.
    """
    count = len(TEMPERATURES) * len(SPREADS)
    # Of the expert e = 1 first, then of the grid.
    weights = np.concatenate([[-log(2)], np.full(count, -log(2) - log(count))])
    parts: list[Bits] = []
    step = max(1, BLOCK // size)
    for start in range(0, len(labels), step):
        block, truth = inputs[start : start + step], labels[start : start + step]
        costs = np.cumsum(_experts(_scores(scores, block, size), truth, size), axis=0) + weights
        total = np.logaddexp.reduce(costs, axis=1)
        before = np.concatenate([[np.logaddexp.reduce(weights)], total[:-1]])
        parts.append((before - total) / log(2))
        weights = costs[-1]
    return np.concatenate(parts) if parts else np.zeros(0)


def _scores(scores: Callable[[IntArray], FloatArray], inputs: IntArray, size: int) -> npt.NDArray[np.float32]:
    found = np.asarray(scores(inputs), dtype=np.float32)
    if found.shape != (len(inputs), size):
        raise TypeError(f"distribution: expected scores of shape {(len(inputs), size)}, got {found.shape}")
    # A value ruled out altogether is all that infinity may mean; no number at all is no confidence.
    return np.nan_to_num(found, nan=0.0, posinf=1e30, neginf=-1e30)


def _experts(scores: npt.NDArray[np.float32], labels: IntArray, size: int) -> Bits:
    """Natural logarithms of what every calibration gives each label, shape (t, 1 + experts)."""
    centred = scores - scores.max(axis=1, keepdims=True)
    own = centred[np.arange(len(labels)), labels].astype(np.float64)
    columns: list[Bits] = [np.full((len(labels), 1), -log(size))]
    for temperature in TEMPERATURES:
        whole = np.exp(centred / np.float32(temperature)).sum(axis=1, dtype=np.float64)
        probability = np.exp(own / temperature) / whole
        columns.append(np.log(np.outer(probability, 1 - SPREADS) + SPREADS / size))
    return np.concatenate(columns, axis=1)


def probability_of(
    distribution: Callable[[IntArray], FloatArray], inputs: IntArray, values: IntArray, size: int
) -> float:
    """The mean probability that a distribution over ``size`` values gives to ``values`` (t,) on ``inputs``."""
    total, step = 0.0, max(1, BLOCK // size)
    for start in range(0, len(values), step):
        scores = np.asarray(distribution(inputs[start : start + step]), dtype=np.float64)
        own = scores[np.arange(len(scores)), values[start : start + step]]
        total += float(np.exp(own - np.logaddexp.reduce(scores, axis=1)).sum())
    return total / len(values)


def online_bits(
    code: Callable[[IntArray, IntArray], FloatArray], inputs: IntArray, labels: IntArray, size: int
) -> Bits:
    """What each label costs a learner that goes on learning, as it says itself, shape (t,); see ``Candidate.online``.

    What it says is checked where that is cheap: the first label's probability and those of ``PROBED`` other values sum
    to at most 1, and the first half's costs do not change when the second half is not there.

    Raises:
        TypeError: it is no code: a wrong shape, negative or infinite bits, or one of the checks.
    """
    if not len(labels):
        return np.zeros(0)
    bits = np.asarray(code(inputs, labels), dtype=np.float64)
    if bits.shape != labels.shape or not np.isfinite(bits).all() or (bits < -SLACK).any():
        raise TypeError(f"online: expected {len(labels)} finite costs in bits, none negative")
    others = [(labels[:1] + shift) % size for shift in range(1, min(size, PROBED + 1))]
    first = [float(bits[0]), *(float(code(inputs[:1], value)[0]) for value in others)]
    if not sum(2.0**-x for x in first) <= 1 + SLACK:  # NaN is no code either
        raise TypeError("online: the probabilities of the first label's values sum to more than 1")
    half = len(labels) // 2
    if half and not np.abs(np.asarray(code(inputs[:half], labels[:half])) - bits[:half]).max() <= SLACK:
        raise TypeError("online: what a label costs depends on later labels")
    return np.maximum(bits, 0.0)


@dataclass(frozen=True, eq=False)
class Foresight:
    """What a run's last answer makes of the labels after its examples.

    Attributes:
        kind: "online", "distribution" or "point".
        bits: what each costs, shape (t,); for a point predictor its hits as 0 and 1, because its rate goes on from
            block to block.
    """

    kind: str
    bits: Bits

    @staticmethod
    def of(
        candidate: Candidate, problem: Problem, predictions: IntArray, ahead: IntArray, labels: IntArray
    ) -> Foresight:
        """Foresight of the labels of the cells ``ahead`` (numbers in the domain, shape (t,)), in their order.

        Args:
            predictions: the candidate's answers on the domain, shape (cells,).
            labels: the stream's, shape (t,).
        """
        size, inputs = problem.carrier.size, problem.domain[ahead]
        if candidate.online is not None:
            return Foresight("online", online_bits(candidate.online, inputs, labels, size))
        if candidate.distribution is not None:
            return Foresight("distribution", calibrated_bits(candidate.distribution, inputs, labels, size))
        return Foresight("point", (predictions[ahead] == labels).astype(np.float64))


def run_lengths(hits: Bits) -> list[int]:
    """Hits as the lengths of their runs, beginning with a (perhaps empty) run of hits."""
    flips = np.flatnonzero(np.diff(hits, prepend=1.0)) if len(hits) else np.zeros(0, dtype=np.int64)
    return [int(x) for x in np.diff(np.concatenate([[0], flips, [len(hits)]]))]


def hits_of(lengths: Sequence[int]) -> npt.NDArray[np.bool_]:
    """The inverse of ``run_lengths``."""
    return np.repeat(np.arange(len(lengths)) % 2 == 0, lengths)


@dataclass(frozen=True, eq=False)
class Code:
    """The code of one stream by one method and seed.

    Attributes:
        bits: what each label costs, shape (cells,).
        sizes: the sizes whose runs code a block of their own, ascending.
        uniform: what every label costs the uniform code.
    """

    bits: Bits
    sizes: tuple[int, ...]
    uniform: float

    @property
    def total(self) -> float:
        return float(self.bits.sum())


def assemble(records: Iterable[Record], load: Callable[[Record], Bits | None]) -> Code | None:
    """The code of one method's runs on one stream (one data seed and one method seed), or None without a run.

    Args:
        records: the runs at different n.
        load: the stored bits of a record whose code has a file; None where it can't be read.
    """
    ordered = sorted(records, key=lambda x: (x.n, x.spec.n))
    if not ordered:
        return None
    spec = ordered[0].spec
    uniform = log2(spec.carrier_size)
    bits = np.full(spec.cells, uniform)
    usable: dict[int, tuple[CodeRecord, Bits]] = {}
    for record in ordered:
        if record.code is not None and record.n < spec.cells and (found := _stored(record, load)) is not None:
            usable[record.n] = record.code, found
    first_online = next((n for n in sorted(usable) if usable[n][0].kind == "online"), None)
    if first_online is not None:  # it learns by itself: later runs of it would only start again
        usable = {n: x for n, x in usable.items() if n <= first_online}
    starts = sorted(usable)
    made = right = 0
    for start, end in pairwise([*starts, spec.cells]):
        code, found = usable[start]
        block = found[: end - start]
        if code.kind == "point":
            hits = block.astype(bool)
            block = predictive_bits(hits, spec.carrier_size, (made, right))
            made, right = made + len(hits), right + int(hits.sum())
        bits[start:end] = block
    return Code(bits, tuple(starts), uniform)


def _stored(record: Record, load: Callable[[Record], Bits | None]) -> Bits | None:
    assert record.code is not None
    found = load(record) if record.code.file else hits_of(record.code.hits).astype(np.float64)
    return found if found is not None and len(found) == record.spec.cells - record.n else None
