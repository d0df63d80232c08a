"""A network's portrait at one checkpoint: its tokens in the plane of a frequency, its units' phases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nets.fourier import characters, constants
from nets.models import Network
from nets.neurons import tuning, units
from synth.carrier import IntArray
from synth.laws import Law

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Portrait:
    """What the plots show of a checkpoint.

    Attributes:
        step: of the checkpoint.
        frequency: of the circle.
        circle: shape (tokens, 2): the weights of the first input's tokens, in the plane in which the *last* network
            keeps the frequency.
        tokens, classes: shape (tokens,): which they are, and the law's class of each.
        order, dlog: of the law: classes count modulo the order; whether they are discrete logarithms.
        input_phases, output_phases: shape (units,), radians: the sum of the phases that a living unit gets from its
            inputs, and that of its row of the readout, at its strongest frequency.
        unit_frequencies: shape (units,): those frequencies.
        unit_shares: shape (units,): the share of the unit's energy on it.
    """

    step: int
    frequency: int
    circle: Matrix
    tokens: IntArray
    classes: IntArray
    order: int
    dlog: bool
    input_phases: Matrix
    output_phases: Matrix
    unit_frequencies: IntArray
    unit_shares: Matrix


def plane(network: Network, law: Law, frequency: int) -> Matrix:
    """Two orthonormal directions among the columns of the first input's table, shape (columns, 2).

    They span what the cosine and the sine of the frequency pick out of it. A frequency of order / 2 has no sine, and a
    table of one column no second direction: that is 0 then.
    """
    rows = _table(network, law)
    waves = characters(law.tables[0], law.order, [frequency])
    left, values, _ = np.linalg.svd(rows.T @ waves, full_matrices=False)
    found = np.zeros((rows.shape[1], 2))
    found[:, : len(values)] = left * (values > 1e-9 * max(float(values[0]), 1e-30))
    return found


def portrait(network: Network, law: Law, frequency: int, axes: Matrix, cells: IntArray, step: int) -> Portrait:
    """The portrait of a checkpoint.

    Args:
        frequency, axes: of the circle, see ``plane``.
        cells: shape (n, arity): where units are looked at; best the whole domain.
    """
    tokens = np.flatnonzero(law.tables[0] >= 0)
    circle, classes = _table(network, law)[tokens] @ axes, law.tables[0][tokens]
    found = units(network, cells)
    empty = np.zeros(0)
    if found is None:
        nothing = np.zeros(0, dtype=np.int64)
        return Portrait(
            step, frequency, circle, tokens, classes, law.order, law.basis == "dlog", empty, empty, nothing, empty
        )
    tuned, alive = tuning(network, law, cells, found), found.alive()
    at = tuned.dominant, np.arange(len(alive))
    return Portrait(
        step, frequency, circle, tokens, classes, law.order, law.basis == "dlog",
        tuned.phases[at][alive], tuned.heard[at][alive], tuned.dominant[alive] + 1, tuned.shares[alive],
    )  # fmt: skip


def _table(network: Network, law: Law) -> Matrix:
    """The first input's weights per token, (size, columns), less the constants of the law's classes."""
    name = next(name for name, readers in network.architecture.tables() if 0 in readers)
    rows = network.weights[name].detach().cpu().double().numpy()
    still = constants(law.tables[0])
    return rows - still @ np.linalg.lstsq(still, rows, rcond=None)[0]
