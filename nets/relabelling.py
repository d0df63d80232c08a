"""Laws whose outputs are relabelled: h(c) = f(a) + g(b), where h is as unknown as f and g.

Two rows of a law's table are a shift of classes apart, whatever the classes are called, and a shift by a generator goes
through all outputs in turn: their order is h, up to an automorphism, h -> u h, and a constant. No evidence tells more.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from nets.models import FloatArray
from synth.carrier import IntArray, Residues
from synth.laws import ZERO, Law
from synth.spectral import additive_tables, zero_elements

Array = npt.NDArray[np.float64]
_TRIES = 16  # outputs that a first one is shifted to: of a composite order some shifts are no generators
_FAILURES = 6  # tries that come to nothing
_SWEEPS = 8
_MOST = 1 << 23  # floats of evidence at once
_LARGE = 80  # classes, beyond which a try is dear and two failures are enough
_STEADY = 0.3  # of the shift, that must stay from sweep to sweep for a try to go on
_OFTEN = 1.5  # times as often as others, that the answer of zero factors is given


def read_relabelled(cells: IntArray, logits: FloatArray, carrier: Residues) -> Law | None:
    """The law in logits of shape (N, m) at ``cells`` (N, arity), its outputs in whatever order; None for none.

    Tried as a law of Z_m and, for a prime m, of Z_(m-1) beside a zero: one answer that some element of each input
    always gives.
    """
    m = carrier.modulus
    answers = logits.argmax(axis=1)
    counts = np.bincount(answers, minlength=m)
    zero = int(counts.argmax())
    if carrier.is_prime and m > 3 and counts[zero] > _OFTEN * np.median(counts):
        swap = np.arange(m)
        swap[[0, zero]] = zero, 0
        elements = zero_elements(cells, swap[answers], m)
        touched = np.any([elements[j][cells[:, j]] for j in range(cells.shape[1])], axis=0)
        if elements.any(axis=1).all() and not touched.all():
            others = np.delete(np.arange(m), zero)
            found = _classes(cells[~touched], logits[~touched][:, others], m)
            if found is not None:
                classes, tables = found
                tables = tuple(np.where(elements[j], ZERO, table) for j, table in enumerate(tables))
                return Law(carrier, "dlog", m - 1, tables, others[np.argsort(classes)], zero)
    found = _classes(cells, logits, m)
    if found is None:
        return None
    classes, tables = found
    return Law(carrier, "additive", m, tables, np.argsort(classes))


def _classes(cells: IntArray, logits: FloatArray, size: int) -> tuple[IntArray, tuple[IntArray, ...]] | None:
    """Each output's class, shape (order,), and the inputs' tables."""
    order = logits.shape[1]
    values = _interaction(cells, logits.astype(np.float64), size)
    classes = _cycle(cells, values, size)
    if classes is None:
        return None
    tables: tuple[IntArray, ...] = ()
    for _ in range(_SWEEPS):
        tables = additive_tables(cells, values[:, np.argsort(classes)].astype(np.float32), size)
        total = np.stack([table[cells[:, j]] for j, table in enumerate(tables)])
        known = (total >= 0).all(axis=0)
        better = _assigned(values[known], total[:, known].sum(axis=0) % order)
        if np.array_equal(better, classes):
            break
        classes = better
    return classes, tables


def _interaction(cells: IntArray, values: Array, size: int) -> Array:
    """Values less what depends on the cell or on one input alone."""
    rest = values - values.mean(axis=1, keepdims=True)
    for j in [*range(cells.shape[1])] * 2:
        sums: Array = np.zeros((size, values.shape[1]))
        sequence = np.argsort(cells[:, j], kind="stable")
        keys = cells[sequence, j]
        starts = np.flatnonzero(np.diff(keys, prepend=-1))
        sums[keys[starts]] = np.add.reduceat(rest[sequence], starts, axis=0)
        rest = rest - (sums / np.maximum(np.bincount(cells[:, j], minlength=size), 1)[:, None])[cells[:, j]]
    return rest


def _cycle(cells: IntArray, values: Array, size: int) -> IntArray | None:
    """Each output's class by its place in a shift that goes through all of them; None where none is found.

    Which rows are as far apart as two outputs, c and x, is told by the columns where one has c and the other x; those
    pairs of rows then tell where the same shift takes every other output, and that tells the pairs better.
    """
    order = values.shape[1]
    code = cells[:, 1:] @ (size ** np.arange(cells.shape[1] - 1, dtype=np.int64))
    columns, column = np.unique(code, return_inverse=True)
    if len(columns) > (most := max(1, _MOST // (size * order))):  # the fullest columns tie the most rows
        kept = np.isin(column, np.argsort(-np.bincount(column), kind="stable")[:most])
        cells, values = cells[kept], values[kept]
        columns, column = np.unique(column[kept], return_inverse=True)
    # By torch, whose products of long and narrow matrices take half the time of numpy's.
    dense = torch.zeros(size, order, len(columns), device="cpu")
    dense.numpy()[cells[:, 0], :, column] = values
    flat, by_output = dense.view(size, -1), dense.transpose(0, 1).contiguous()
    moved = torch.empty_like(by_output)
    start = int(np.argmax((values**2).sum(axis=0)))
    others = [x for x in np.argsort(-(values**2).sum(axis=0), kind="stable").tolist() if x != start]
    failures = 0
    for x in others[:_TRIES]:
        pairs = dense[:, start] @ dense[:, x].T
        shift: IntArray = np.zeros(0, dtype=np.int64)
        for sweep in range(_SWEEPS):
            weight, partner = pairs.fill_diagonal_(-torch.inf).max(dim=1)
            torch.mul(by_output.index_select(1, partner), weight.clamp_(min=0)[:, None], out=moved)
            better = _matching((by_output.view(order, -1) @ moved.view(order, -1).T).numpy())
            if np.array_equal(better, shift):
                break
            if sweep > 1 and (better == shift).mean() < _STEADY:
                break
            shift = better
            pairs = flat @ dense.index_select(1, torch.from_numpy(shift)).view(size, -1).T
        else:
            better = shift[:0]
        if not np.array_equal(better, shift):
            failures += 1
            if failures >= (_FAILURES if order <= _LARGE else 2):
                break
            continue
        classes = np.full(order, -1, dtype=np.int64)
        at = start
        for step in range(order):
            classes[at], at = step, int(shift[at])
        if (classes >= 0).all():
            return classes
    return None


def _matching(votes: npt.NDArray[np.floating[Any]]) -> IntArray:
    from scipy.optimize import linear_sum_assignment

    return np.asarray(linear_sum_assignment(-votes)[1], dtype=np.int64)


def _assigned(values: Array, total: IntArray) -> IntArray:
    """The classes that outputs prefer, one each: where their values are highest, over cells of that total."""
    order = values.shape[1]
    count = np.maximum(np.bincount(total, minlength=order), 1)
    sums: Array = np.zeros((order, order))
    sequence = np.argsort(total, kind="stable")
    starts = np.flatnonzero(np.diff(total[sequence], prepend=-1))
    sums[total[sequence[starts]]] = np.add.reduceat(values[sequence], starts, axis=0)
    return _matching((sums / count[:, None]).T)
