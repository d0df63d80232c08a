"""What the rival methods share: the extra that brings them, and how one that has found nothing ends in time."""

from __future__ import annotations

import time
from importlib import import_module
from typing import Any

import numpy as np

from bench.method import Budget, Candidate, Inapplicable, Problem


def peer(name: str) -> Any:
    """The package of another project.

    Raises:
        Inapplicable: it is not installed.
    """
    try:
        return import_module(name)
    except ImportError:
        raise Inapplicable("needs the extra: pip install 'tworoads[peers]'") from None


def out_of_time(problem: Problem, budget: Budget) -> Candidate:
    """An answer that comes after the time, so that the run counts as censored and not as ended: the commonest label."""
    time.sleep(max(0.0, budget.seconds_left + 0.001))
    label = int(np.bincount(problem.outputs, minlength=1).argmax())
    return Candidate(predict=lambda: np.full(len(problem.domain), label, dtype=np.int64))
