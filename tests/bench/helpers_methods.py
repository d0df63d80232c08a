"""Methods that behave badly on purpose, named by the tests as a user would: path/to/this/file.py:name."""

from __future__ import annotations

import ctypes
import os
import signal
import time

import numpy as np

from bench.method import Candidate, Inapplicable, method


def _constant(problem, value=0):
    return Candidate(predict=lambda: np.full(len(problem.domain), value), work={"tries": 1})


@method("oracle_sum", version=1, family="test")
def oracle_sum(problem, budget, rng, wait: float = 0.0):
    """Knows that the task is a + b; for timing and resume tests."""
    time.sleep(wait)
    m = problem.carrier.size
    yield Candidate(predict=lambda: problem.domain.sum(axis=1) % m, work={"tries": 1})


@method("needs_half", version=1, family="test")
def needs_half(problem, budget, rng):
    """Solves a + b from half of the cells on, never below."""
    m, enough = problem.carrier.size, 2 * problem.n >= len(problem.domain)
    yield Candidate(predict=lambda: (problem.domain.sum(axis=1) + (not enough)) % m, work={"tries": 1})


@method("raises", version=1, family="test")
def raises(problem, budget, rng):
    """Yields once, then breaks."""
    yield _constant(problem)
    raise ZeroDivisionError("on purpose")


@method("malformed", version=1, family="test")
def malformed(problem, budget, rng):
    """Predicts for half of the cells."""
    yield Candidate(predict=lambda: np.zeros(3, dtype=int))


@method("cannot", version=1, family="test")
def cannot(problem, budget, rng):
    """Takes no task at all."""
    raise Inapplicable("it takes no task at all")
    yield


@method("sleeps", version=1, family="test")
def sleeps(problem, budget, rng):
    """Yields a wrong answer, then an endless row of them."""
    while True:
        yield _constant(problem)
        time.sleep(0.05)


@method("stuck_in_c", version=1, family="test")
def stuck_in_c(problem, budget, rng):
    """Yields, then holds the interpreter lock inside one C call for a minute."""
    yield _constant(problem)
    ctypes.PyDLL(None).sleep(60)
    yield _constant(problem)


@method("hungry", version=1, family="test")
def hungry(problem, budget, rng):
    """Allocates far more than it may."""
    yield _constant(problem)
    hoard = [np.empty(2**24) for _ in range(200)]
    yield _constant(problem, len(hoard))


@method("dies", version=1, family="test")
def dies(problem, budget, rng):
    """Takes its whole process down."""
    yield _constant(problem)
    os.kill(os.getpid(), signal.SIGSEGV)
    yield _constant(problem)


@method("silent", version=1, family="test")
def silent(problem, budget, rng):
    """Has no answer."""
    return
    yield


@method("exits", version=1, family="test")
def exits(problem, budget, rng):
    """Leaves as a script would."""
    yield _constant(problem)
    raise SystemExit(3)


@method("odd_notes", version=1, family="test")
def odd_notes(problem, budget, rng):
    """Notes what JSON does not know."""
    yield Candidate(predict=lambda: np.zeros(len(problem.domain), int), notes={"o": np.float32(3), "x": object()})


@method("not_a_number", version=1, family="test")
def not_a_number(problem, budget, rng):
    """Claims an amount of work that is none."""
    yield Candidate(predict=lambda: np.zeros(len(problem.domain), int), work={"x": float("nan")})


@method("back_in_time", version=1, family="test")
def back_in_time(problem, budget, rng):
    """Claims that more of its time than there was went into reading."""
    yield Candidate(predict=lambda: np.zeros(len(problem.domain), int), extraction_seconds=1e6)


@method("yields_42", version=1, family="test")
def yields_42(problem, budget, rng):
    """No Candidate."""
    yield 42


@method("leaves", version=1, family="test")
def leaves(problem, budget, rng):
    """Ends its process with the very exit code of the watchdog."""
    yield _constant(problem)
    os._exit(1)


@method("surroundings", version=1, family="test")
def surroundings(problem, budget, rng):
    """Notes the environment that its process runs in."""
    yield Candidate(predict=lambda: np.zeros(len(problem.domain), int), notes=dict(os.environ))
