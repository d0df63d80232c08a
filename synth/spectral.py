"""Phase correlation: the laws phi(c) = f(a) + g(b) + .. in a table of evidence, few of whose cells may be known.

Two rows of a law's table differ by a shift of classes, f(a') - f(a). The circular cross-correlation of their evidence,
summed over the columns that both have, peaks at that shift; in the frequency domain it is a product of spectra, so that
every frequency votes with its energy, the non-invertible ones of a composite order included. Rows are chained along a
maximum spanning tree, strongest pairs first, and the tables then refined in turn, each entry by the vote of all its
cells. Evidence is a label for each cell or, from a network, a score for each class of each cell.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from synth.carrier import IntArray, Residues
from synth.evidence import Evidence, FloatArray, Labels, Scores
from synth.grid import Grid
from synth.laws import UNKNOWN, ZERO, Basis, Law, order_of, phi
from synth.spanning import spanning_tree

_MAX_SWEEPS = 12
_MOSTLY = 0.5  # of the scores' energy
_ONE_PROFILE = 0.25  # of the energy of means; noise, moved to its maxima, comes to some .1
_SPARE = 8  # examples beyond a law's free entries that leave no doubt: chance fits them with probability order**-8
_MAX_PAIRED = 256  # beyond, size² pairs of rows are too many to correlate
_MAX_ENTRIES = 1 << 23  # of the dense correlation operands: columns beyond are left to the refinement


def additive_tables(
    cells: IntArray,
    evidence: IntArray | FloatArray,
    size: int,
    order: int | None = None,
    weights: FloatArray | None = None,
) -> tuple[IntArray, ...]:
    """The tables of the law that the evidence speaks for most.

    Args:
        cells: shape (N, arity), arity 1 to 4, values 0 .. size-1.
        evidence: scores, shape (N, order), higher is likelier; or labels, shape (N,), classes 0 .. order-1.
        size: the number of values that an input can have.
        order: the number of classes; needed for labels only.
        weights: shape (order // 2 + 1,), a weight for each frequency of the correlation; scores only.

    Returns:
        One table for each input, shape (size,): classes 0 .. order-1, UNKNOWN where no evidence ties an element to
        the rest. Only sums of tables mean anything: a constant may move from one to another.

    Raises:
        ValueError: labels without an order.
    """
    if evidence.ndim == 1:
        if order is None:
            raise ValueError("additive_tables: labels need the order of their classes")
        return _tables(cells, Labels(np.asarray(evidence, dtype=np.int64), order), size)
    values = np.asarray(evidence, dtype=np.float32)
    if (grid := Grid.of(cells, values, size, weights)) is not None:
        return _gridded(grid)
    scores = Scores.of(values, weights)
    inner = scores.interaction(cells, size)
    tables = _tables(cells, inner, size)
    # Either what was taken off is noise, or one input decides (almost) alone.
    if inner.energy() < _MOSTLY * scores.energy() or _alone(cells, scores, size):
        whole = _tables(cells, scores, size)
        if _coherence(whole, cells, scores) > _coherence(tables, cells, inner):
            return whole
    return tables


def _gridded(grid: Grid) -> tuple[IntArray, ...]:
    inner = grid.interaction()
    tables = inner.tables()
    if inner.energy() < _MOSTLY * grid.energy() or any(_one_profile(grid.means(j)) for j in range(2)):
        whole = grid.tables()
        if grid.coherence(whole) > inner.coherence(tables):
            return whole
    return tables


def _alone(cells: IntArray, scores: Scores, size: int) -> bool:
    """Whether the mean scores of some input's elements are one profile, each moved to a class of its own."""
    columns = [cells[:, j] for j in range(cells.shape[1])]
    return any(_one_profile(scores.votes(x, size)[np.bincount(x, minlength=size) > 0]) for x in columns)


def _one_profile(means: FloatArray) -> bool:
    order = means.shape[1]
    moved = np.take_along_axis(means, (means.argmax(axis=1)[:, None] + np.arange(order)) % order, axis=1)
    return bool((moved.sum(axis=0) ** 2).sum() > _ONE_PROFILE * len(means) * (means**2).sum())


def _tables(cells: IntArray, evidence: Evidence, size: int) -> tuple[IntArray, ...]:
    tables = list(_chained(cells, evidence, size))
    _refine(tables, cells, evidence, size)
    if not evidence.exact:  # what the filter of the refinement leaves open: the class at which the profile peaks
        profile = np.fft.rfft(_profile(tables, cells, evidence))
        peak = int(np.fft.irfft(profile * np.abs(profile) ** 2, n=evidence.order).argmax())  # squared: noise is faint
        tables[0] = np.where(tables[0] >= 0, (tables[0] + peak) % evidence.order, tables[0])
    return tuple(tables)


def _profile(tables: Sequence[IntArray], cells: IntArray, evidence: Evidence) -> FloatArray:
    """The summed evidence by distance from what the tables say, shape (order,)."""
    total = _total(tables, cells)
    sure = np.flatnonzero(total >= 0)
    return evidence.shifted(sure, total[sure]).votes(np.zeros_like(sure), 1)[0]


def _coherence(tables: Sequence[IntArray], cells: IntArray, scores: Scores) -> float:
    """The share of the scores' energy that is one profile of the distance from what the tables say."""
    total = _total(tables, cells)
    sure = np.flatnonzero(total >= 0)
    together = scores.shifted(sure, total[sure]).spectra.sum(axis=0)
    return float(np.vdot(together, together).real) / max(len(sure) * scores.energy(), 1e-30)


def _chained(cells: IntArray, evidence: Evidence, size: int) -> tuple[IntArray, ...]:
    """First tables: the first input's by a spanning tree over its rows, the others' in its wake."""
    arity = cells.shape[1]
    if arity == 1:
        return (_decide(evidence.votes(cells[:, 0], size), np.bincount(cells[:, 0], minlength=size) > 0),)
    code = cells[:, 1:] @ (size ** np.arange(arity - 1, dtype=np.int64))
    columns, column = np.unique(code, return_inverse=True)
    cap = max(1, _MAX_ENTRIES // (size * (size if evidence.exact else evidence.order)))
    used = np.arange(len(cells))
    if len(columns) > cap:  # the fullest columns tie the most rows
        rank = np.empty(len(columns), dtype=np.int64)
        rank[np.argsort(-np.bincount(column), kind="stable")] = np.arange(len(columns))
        column = rank[column]
        used = np.flatnonzero(column < cap)
    rows, column = cells[used, 0], column[used]
    some = evidence.shifted(used, np.zeros_like(used))
    if size > _MAX_PAIRED:
        first = _grown(rows, column, some, size)
    else:
        shift, confidence = some.correlate(rows, column, size)
        first = spanning_tree(shift, confidence, np.bincount(rows, minlength=size), evidence.order)
    tied = np.flatnonzero(first[cells[:, 0]] >= 0)
    return (first, *_chained(cells[tied, 1:], evidence.shifted(tied, first[cells[tied, 0]]), size))


def _grown(rows: IntArray, columns: IntArray, evidence: Evidence, size: int) -> IntArray:
    """Each row's class, grown from the fullest row by votes alone."""
    size = max(size, int(columns.max(initial=-1)) + 1)
    pair = [np.full(size, UNKNOWN, dtype=np.int64) for _ in range(2)]
    if not len(rows):
        return pair[0]
    pair[0][int(np.bincount(rows).argmax())] = 0
    _refine(pair, np.stack([rows, columns], axis=1), evidence, size, start=1)
    return pair[0]


def _decide(votes: FloatArray, seen: npt.NDArray[np.bool_]) -> IntArray:
    return np.where(seen, votes.argmax(axis=1), UNKNOWN).astype(np.int64)


def _matched(votes: FloatArray, table: IntArray) -> FloatArray:
    """Votes through a matched filter: the mean profile of all other keys' votes, each moved to its present class.

    For scores that are one profile of (s - f - g) under white noise, the highest entry is the most likely class.
    """
    order = votes.shape[1]
    known = np.flatnonzero(table >= 0)
    aligned = np.zeros_like(votes)
    aligned[known] = votes[known[:, None], (np.arange(order) + table[known, None]) % order]
    profile = np.fft.rfft(aligned.sum(axis=0) - aligned, axis=1)
    return np.fft.irfft(np.fft.rfft(votes, axis=1) * np.conj(profile), n=order, axis=1)


def _refine(tables: list[IntArray], cells: IntArray, evidence: Evidence, size: int, start: int = 0) -> None:
    """Every table in turn by the vote of all cells whose other inputs are known, until nothing changes."""
    arity = len(tables)
    settled = 0
    for step in range(start, start + _MAX_SWEEPS * arity):
        j = step % arity
        known = np.arange(len(cells))
        by = np.zeros(len(cells), dtype=np.int64)
        for i in range(arity):
            if i != j:
                known = known[tables[i][cells[known, i]] >= 0]
                by += tables[i][cells[:, i]]
        keys = cells[known, j]
        seen = np.bincount(keys, minlength=size) > 0
        votes = evidence.shifted(known, by[known]).votes(keys, size)
        if not evidence.exact:
            votes = _matched(votes, np.where(seen & (tables[j] < 0), votes.argmax(axis=1), tables[j]))
        table = np.where(seen, _decide(votes, seen), tables[j])
        settled = settled + 1 if np.array_equal(table, tables[j]) else 0
        tables[j] = table
        if settled >= arity:
            return


def _total(tables: Sequence[IntArray], cells: IntArray) -> IntArray:
    """The sum of each cell's entries, -1 where one is unknown."""
    entries = np.stack([table[cells[:, j]] for j, table in enumerate(tables)])
    return np.where((entries >= 0).all(axis=0), entries.sum(axis=0), -1)


def zero_elements(inputs: IntArray, outputs: IntArray, size: int) -> npt.NDArray[np.bool_]:
    """Which element of which input makes the result 0 if the table is a product, shape (arity, size).

    A factor's zero is seen with 0 only (with noise: mostly). Those that explain most zero labels are taken first; where
    two elements explain the same labels equally well, neither is taken.
    """
    arity = inputs.shape[1]
    is_zero = outputs == 0
    keys = inputs + size * np.arange(arity, dtype=np.int64)
    with_zero = np.bincount(keys[is_zero].ravel(), minlength=arity * size)
    without = np.bincount(keys[~is_zero].ravel(), minlength=arity * size)
    chosen: npt.NDArray[np.bool_] = np.zeros(arity * size, dtype=np.bool_)
    unexplained = keys[is_zero]
    candidate = with_zero > without
    while len(unexplained):
        explains = np.bincount(unexplained.ravel(), minlength=arity * size) * candidate
        best = int(explains.argmax())
        if explains[best] == 0:
            break
        its = (unexplained == best).any(axis=1)
        others = np.where(unexplained[its] == best, 0, explains[unexplained[its]])
        chosen[best] = bool((others.max(axis=1) < explains[best]).any())
        unexplained = unexplained[~its]
    return chosen.reshape(arity, size)


def read_labels(carrier: Residues, inputs: IntArray, outputs: IntArray) -> list[Law]:
    """The best law of labelled examples in each basis of the carrier, the one that fits more of them first.

    A basis whose law leaves no doubt ends the reading.

    Args:
        inputs: shape (n, arity), arity 1 to 4.
        outputs: shape (n,).
    """
    bases: tuple[Basis, ...] = ("additive", "dlog") if carrier.is_prime and carrier.modulus > 2 else ("additive",)
    laws: list[Law] = []
    for basis in bases:
        laws.append(_read(carrier, basis, inputs, outputs))
        if len(outputs) >= laws[-1].freedom + _SPARE and laws[-1].fit(inputs, outputs) == 1.0:
            break  # no second law fits that many examples for free
    return sorted(laws, key=lambda law: -law.fit(inputs, outputs))


def _read(carrier: Residues, basis: Basis, inputs: IntArray, outputs: IntArray) -> Law:
    m, order = carrier.modulus, order_of(carrier, basis)
    if basis == "additive":
        return Law.of(carrier, basis, additive_tables(inputs, outputs, m, order))
    zero = zero_elements(inputs, outputs, m)
    touched = np.any([zero[j][inputs[:, j]] for j in range(inputs.shape[1])], axis=0)
    usable = np.flatnonzero(~touched & (outputs != 0))
    tables = additive_tables(inputs[usable], phi(carrier, basis)[outputs[usable]], m, order)
    return Law.of(carrier, basis, tuple(np.where(zero[j], ZERO, table) for j, table in enumerate(tables)))
