"""Phase correlation: the laws phi(c) = f(a) + g(b) + .. in a table of evidence, few of whose cells may be known.

Two rows of a law's table differ by a shift of classes, f(a') - f(a). The circular cross-correlation of their evidence,
summed over the columns that both have, peaks at that shift; in the frequency domain it is a product of spectra, so that
every frequency votes with its energy, the non-invertible ones of a composite order included. Rows are chained along a
maximum spanning tree, strongest pairs first, and the tables then refined in turn, each entry by the vote of all its
cells. Evidence is a label for each cell or, from a network, a score for each class of each cell.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from synth.carrier import IntArray, Residues
from synth.laws import UNKNOWN, ZERO, Basis, Law, order_of, phi

FloatArray = npt.NDArray[np.floating[Any]]
Evidence = npt.NDArray[Any]  # labels (N,), or scores (N, order)
_MAX_SWEEPS = 12
_SPARE = 8  # examples beyond a law's free entries that leave no doubt: chance fits them with probability order**-8
_MAX_PAIRED = 256  # beyond, size² pairs of rows are too many to correlate
_MAX_ENTRIES = 1 << 23  # of the dense correlation operands: columns beyond are left to the refinement


def additive_tables(
    cells: IntArray,
    evidence: Evidence,
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
    if evidence.ndim == 2:
        evidence = np.asarray(evidence, dtype=np.float32)
    elif order is None:
        raise ValueError("additive_tables: labels need the order of their classes")
    order = order if order is not None else int(evidence.shape[1])
    tables = list(_chained(cells, evidence, size, order, weights))
    _refine(tables, cells, evidence, size, order)
    return tuple(tables)


def _chained(
    cells: IntArray, evidence: Evidence, size: int, order: int, weights: FloatArray | None
) -> tuple[IntArray, ...]:
    """First tables: the first input's by a spanning tree over its rows, the others' in its wake."""
    arity = cells.shape[1]
    if arity == 1:
        votes = _votes(cells[:, 0], evidence, np.zeros(len(cells), dtype=np.int64), size, order)
        return (_decide(votes, np.bincount(cells[:, 0], minlength=size) > 0),)
    code = cells[:, 1:] @ (size ** np.arange(arity - 1, dtype=np.int64))
    columns, column = np.unique(code, return_inverse=True)
    cap = max(1, _MAX_ENTRIES // (size * size if evidence.ndim == 1 else size * order))
    used = slice(None)
    if len(columns) > cap:  # the fullest columns tie the most rows
        counts = np.bincount(column)
        rank = np.empty(len(columns), dtype=np.int64)
        rank[np.argsort(-counts, kind="stable")] = np.arange(len(columns))
        used = np.flatnonzero(rank[column] < cap)
        column = rank[column]
    rows = cells[used, 0]
    if size > _MAX_PAIRED:
        first = _grown(rows, column[used], evidence[used], size, order)
    else:
        if evidence.ndim == 1:
            shift, confidence = _correlate_labels(rows, column[used], evidence[used], size, order)
        else:
            shift, confidence = _correlate_scores(rows, column[used], evidence[used], size, order, weights)
        first = _spanning_tree(shift, confidence, np.bincount(rows, minlength=size), order)
    tied = np.flatnonzero(first[cells[:, 0]] >= 0)
    rest = _shift(evidence[tied], first[cells[tied, 0]], order)
    return (first, *_chained(cells[tied, 1:], rest, size, order, weights))


def _correlate_labels(
    rows: IntArray, columns: IntArray, labels: IntArray, size: int, order: int
) -> tuple[IntArray, FloatArray]:
    """For every two rows the likeliest shift and how many columns say so, each of shape (size, size)."""
    # With one label a cell the product of spectra counts differences, which is cheaper to do directly.
    width = int(columns.max(initial=-1)) + 1
    label = np.full((size, width), -1, dtype=np.int32)
    label[rows, columns] = labels
    first, second = np.triu_indices(size, 1)
    peak = np.zeros(len(first), dtype=np.int64)
    votes = np.zeros(len(first), dtype=np.int64)
    block = max(1, (1 << 19) // max(width, order))
    for start in range(0, len(first), block):
        x, y = label[first[start : start + block]], label[second[start : start + block]]
        pair, column = np.nonzero((x >= 0) & (y >= 0))
        difference = (y - x)[pair, column]
        difference[difference < 0] += order
        counts = np.bincount(pair * order + difference, minlength=len(x) * order).reshape(len(x), order)
        peak[start : start + block] = counts.argmax(axis=1)
        votes[start : start + block] = counts.max(axis=1)
    shift = np.zeros((size, size), dtype=np.int64)
    shift[first, second], shift[second, first] = peak, -peak % order
    confidence = np.zeros((size, size))
    confidence[first, second] = confidence[second, first] = votes
    return shift, confidence


def _correlate_scores(
    rows: IntArray, columns: IntArray, scores: FloatArray, size: int, order: int, weights: FloatArray | None
) -> tuple[IntArray, FloatArray]:
    """For every two rows the peak of their scores' circular cross-correlation, and its height above the mean."""
    width = int(columns.max(initial=-1)) + 1
    spectrum = np.fft.rfft(np.asarray(scores, dtype=np.float32), axis=1).astype(np.complex64)
    dense = np.zeros((spectrum.shape[1], width, size), dtype=np.complex64)
    dense[:, columns, rows] = spectrum.T
    product = np.conj(dense.transpose(0, 2, 1)) @ dense  # [k, a, a'], summed over the columns
    scale = np.ones(spectrum.shape[1]) if weights is None else np.asarray(weights, dtype=np.float64).copy()
    scale[0] = 0.0  # how much evidence a row has says nothing about its shift
    product *= scale[:, None, None].astype(np.float32)
    correlation = np.fft.irfft(np.ascontiguousarray(product.transpose(1, 2, 0)), n=order, axis=2)
    shift = correlation.argmax(axis=2)
    confidence = np.take_along_axis(correlation, shift[:, :, None], axis=2)[:, :, 0].astype(np.float64)
    np.fill_diagonal(confidence, 0.0)
    confidence[confidence <= 1e-6 * confidence.max(initial=0.0)] = 0.0  # rounding is not evidence
    return shift, confidence


def _spanning_tree(shift: IntArray, confidence: FloatArray, counts: IntArray, order: int) -> IntArray:
    """Each row's class by a maximum spanning tree (Prim) over the component with the most cells; the root has 0."""
    best: tuple[int, IntArray] = (0, np.full(len(counts), UNKNOWN, dtype=np.int64))
    remaining = counts > 0
    while int(counts[remaining].sum()) > best[0]:
        root = int(np.argmax(np.where(remaining, confidence.max(axis=1) + 1e-9 * counts, -1.0)))
        found = _grow(root, confidence, shift, order)
        covered = int(counts[found >= 0].sum())
        if covered > best[0]:
            best = (covered, found)
        remaining &= found < 0
    return best[1]


def _grow(root: int, confidence: FloatArray, shift: IntArray, order: int) -> IntArray:
    table = np.full(len(confidence), UNKNOWN, dtype=np.int64)
    table[root] = 0
    strength = confidence[root].copy()
    parent = np.full(len(confidence), root)
    strength[root] = -1.0
    while strength[nearest := int(strength.argmax())] > 0:
        table[nearest] = (table[parent[nearest]] + shift[parent[nearest], nearest]) % order
        strength[nearest] = -1.0
        closer = (confidence[nearest] > strength) & (table == UNKNOWN)
        strength[closer] = confidence[nearest][closer]
        parent[closer] = nearest
    return table


def _grown(rows: IntArray, columns: IntArray, evidence: Evidence, size: int, order: int) -> IntArray:
    """Each row's class, grown from the fullest row by votes alone."""
    width = int(columns.max(initial=-1)) + 1
    pair = [np.full(max(size, width), UNKNOWN, dtype=np.int64) for _ in range(2)]
    pair[0][int(np.bincount(rows).argmax())] = 0
    _refine(pair, np.stack([rows, columns], axis=1), evidence, max(size, width), order, start=1)
    return pair[0][:size]


def _shift(evidence: Evidence, by: IntArray, order: int) -> Evidence:
    """Evidence on class s + by as evidence on class s."""
    if evidence.ndim == 1:
        return (evidence - by) % order
    doubled = np.concatenate([evidence, evidence], axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(doubled, order, axis=1)
    return windows[np.arange(len(evidence)), by]


def _votes(keys: IntArray, evidence: Evidence, by: IntArray, size: int, order: int) -> FloatArray:
    """The summed evidence of each key's cells, shape (size, order), each cell's taken ``by`` classes on."""
    if evidence.ndim == 1:
        votes = np.bincount(keys * order + (evidence - by) % order, minlength=size * order)
        return votes.reshape(size, order).astype(np.float64)
    votes = np.zeros((size, order))
    if len(keys):
        sequence = np.argsort(keys, kind="stable")
        starts = np.flatnonzero(np.diff(keys[sequence], prepend=-1))
        votes[keys[sequence[starts]]] = np.add.reduceat(_shift(evidence[sequence], by[sequence], order), starts, axis=0)
    return votes


def _decide(votes: FloatArray, seen: npt.NDArray[np.bool_]) -> IntArray:
    return np.where(seen, votes.argmax(axis=1), UNKNOWN).astype(np.int64)


def _matched(votes: FloatArray, table: IntArray) -> FloatArray:
    """Votes through a matched filter: the mean profile of all other keys' votes, each moved to its present class.

    For scores that are one profile of (s - f - g) under white noise, the highest entry is the most likely class.
    """
    order = votes.shape[1]
    known = table >= 0
    centred = votes - votes.mean(axis=1, keepdims=True)
    aligned = np.zeros_like(votes)
    aligned[known] = _shift(centred[known], table[known], order)
    profile = np.fft.rfft(aligned.sum(axis=0) - aligned, axis=1)
    return np.fft.irfft(np.fft.rfft(centred, axis=1) * np.conj(profile), n=order, axis=1)


def _refine(tables: list[IntArray], cells: IntArray, evidence: Evidence, size: int, order: int, start: int = 0) -> None:
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
        votes = _votes(keys, evidence[known], by[known] % order, size, order)
        first = np.where(seen & (tables[j] < 0), votes.argmax(axis=1), tables[j])
        table = _decide(votes if evidence.ndim == 1 else _matched(votes, first), seen)
        table = np.where(table == UNKNOWN, tables[j], table)
        settled = settled + 1 if np.array_equal(table, tables[j]) else 0
        tables[j] = table
        if settled >= arity:
            break
    if evidence.ndim == 2:  # the filter leaves open which class the profile peaks at
        total = _total(tables, cells)
        known = np.flatnonzero(total >= 0)
        profile = np.fft.rfft(_shift(evidence[known], total[known] % order, order).sum(axis=0))
        peak = int(np.fft.irfft(profile * np.abs(profile) ** 2, n=order).argmax())  # weighed again: noise is faint
        tables[0] = np.where(tables[0] >= 0, (tables[0] + peak) % order, tables[0])


def _total(tables: list[IntArray], cells: IntArray) -> IntArray:
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
