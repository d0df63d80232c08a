"""The mean logits as a function of a law's combination, and how much of the logits that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nets.cycles import Cycles
from nets.models import FloatArray
from synth.carrier import IntArray
from synth.laws import Law


@dataclass(frozen=True, eq=False)
class Profile:
    """The mean logits as a function of the law's combination.

    Attributes:
        classes: shape (order,): the mean logit of the class that is s above f(a) + g(b), over cells with a class.
        explained: share of the variance of the centred logits that functions of the combination explain.
    """

    classes: npt.NDArray[np.float64]
    explained: float


def profile(law: Law, cells: IntArray, logits: FloatArray) -> Profile:
    """Centred logits at ``cells`` (N, arity), shape (N, m), against the law's combination.

    Logits are centred cell by cell. Cells whose combination has a class are averaged after a shift by it; in the
    discrete-log basis the logit of 0 is averaged beside them, and cells with a zero factor by themselves.
    """
    centred = logits - logits.mean(axis=1, keepdims=True, dtype=np.float64)
    cycles = Cycles.of(law)
    entries, usual = cycles.entries(cells)
    total = cycles.number(entries[:, :, usual].sum(axis=0))
    shifted = cycles.aligned(centred[usual][:, law.decode], total)
    classes = shifted.mean(axis=0) if len(total) else np.zeros(law.order)
    explained = len(total) * float((classes**2).sum())
    others = np.setdiff1d(np.arange(logits.shape[1]), law.decode)
    if len(others) and len(total):
        explained += len(total) * float((centred[usual][:, others].mean(axis=0) ** 2).sum())
    if not usual.all():
        explained += int((~usual).sum()) * float((centred[~usual].mean(axis=0) ** 2).sum())
    return Profile(classes, explained / max(float((centred**2).sum()), 1e-30))
