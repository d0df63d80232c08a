"""Classes along a maximum spanning tree: from how far apart two elements are to where each is."""

from __future__ import annotations

import numpy as np

from synth.carrier import IntArray
from synth.evidence import FloatArray
from synth.laws import UNKNOWN


def spanning_tree(shift: IntArray, confidence: FloatArray, counts: IntArray, order: int) -> IntArray:
    """Each row's class by a maximum spanning tree (Prim) over the component with the most cells; the root has 0.

    Args:
        shift, confidence: between every two rows, and its weight, both of shape (size, size); see ``Evidence``.
        counts: the rows' cells, shape (size,).
        order: the number of classes.

    Returns:
        Shape (size,): classes 0 .. order-1, UNKNOWN for rows of other components.
    """
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
