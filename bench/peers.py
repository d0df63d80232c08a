"""What the rival methods share: the extra that brings them, and how one that has found nothing ends in time."""

from __future__ import annotations

import time
from importlib.util import find_spec

import numpy as np

from bench.method import Budget, Candidate, Inapplicable, Problem


def require(package: str) -> None:
    """Refuse where another project's package is not installed.

    Raises:
        Inapplicable: it is not.
    """
    if find_spec(package) is None:
        raise Inapplicable("needs the extra: pip install 'tworoads[peers]'")


def out_of_time(problem: Problem, budget: Budget) -> Candidate:
    """An answer that comes after the time, so that the run counts as censored and not as ended: the commonest label."""
    time.sleep(max(0.0, budget.seconds_left + 0.001))
    label = int(np.bincount(problem.outputs, minlength=1).argmax())
    return Candidate(predict=lambda: np.full(len(problem.domain), label, dtype=np.int64))
