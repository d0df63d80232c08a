"""Whether scores tell a law's answer from the other answers that the examples leave open.

To rule out what a cell's row or column has been seen to give needs no algorithm; with most cells given it leaves the
right answer and few others, and a law can be put together from such lists. But it has no word on which of those that
are left it is. Who has the algorithm tells them apart. Who is blind to the order of the inputs keeps one list for both.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nets.models import FloatArray
from synth.carrier import IntArray
from synth.laws import Law
from synth.products import ProductLaw

TELLS = 5.0  # standard errors; networks with a law come to 25 and more (9 with .8 of 23² cells), elimination to 0
_MOST_CELLS = 2000  # that are looked at, which is plenty


def tells(
    law: Law | ProductLaw,
    cells: IntArray,
    scores: FloatArray,
    inputs: IntArray,
    labels: IntArray,
    *,
    blind: bool = False,
) -> float:
    """How many standard errors the law's answers are above the mean of others that the examples treat alike.

    Two answers of a cell are treated alike if the same of its inputs' elements have been seen to give them.

    Args:
        law: its answers at ``cells`` are put to the test.
        cells: held out, shape (N, arity).
        scores: shape (N, m).
        inputs, labels: the examples, shapes (n, arity) and (n,).
        blind: whether the order of the inputs may be nothing to who gives the scores: it then knows what an element
            has been seen to give at the other inputs, too.

    Returns:
        0 where fewer than two cells have such others.
    """
    every = slice(None, None, max(1, len(cells) // _MOST_CELLS))
    cells, scores = cells[every], scores[every]
    said = law.predict(cells)
    answered = said >= 0
    cells, values, said = cells[answered], scores[answered].astype(np.float64), said[answered]
    m = values.shape[1]
    seen: npt.NDArray[np.int8] = np.zeros((cells.shape[1], m, m), dtype=np.int8)
    for j in range(cells.shape[1]):
        seen[j, inputs[:, j], labels] = 1
    if blind:
        seen += seen.max(axis=0)
    status: npt.NDArray[np.int8] = np.zeros(values.shape, dtype=np.int8)  # 3^4 values at most
    for j in range(cells.shape[1]):
        status = 3 * status + seen[j, cells[:, j]]
    row = np.arange(len(said))
    values -= values.mean(axis=1, keepdims=True)
    alike = status == status[row, said][:, None]
    # Where what an input has been seen to give is the law's answer alone, it stands against all others.
    alike |= ((alike.sum(axis=1) == 1) & (status[row, said] > 0))[:, None]
    others = alike.sum(axis=1) - 1
    own = values[row, said]
    above = (own - ((values * alike).sum(axis=1) - own) / np.maximum(others, 1))[others > 0]
    if len(above) < 2:
        return 0.0
    error = float(above.std(ddof=1)) / len(above) ** 0.5
    return float(above.mean()) / max(error, 1e-9 * float(np.abs(values).max()), 1e-30)
