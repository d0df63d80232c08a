"""One thread a test process, as the harness gives one to a run: set before numpy and torch load.

And counts of controls are printed at the end, whoever ran the tests: under pytest-xdist a worker's prints are lost.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

Announce = Callable[[str, list[bool]], None]
Say = Callable[[str], None]


@pytest.fixture
def say(record_property: Callable[[str, Any], None]) -> Say:
    """Print a line in the summary."""
    return lambda text: record_property("said", text)


@pytest.fixture
def announce(say: Say) -> Announce:
    """Say how many controls were accepted, with what that means for the rate, and fail if any was."""

    def count(what: str, accepted: list[bool]) -> None:
        bound = 1 - 0.05 ** (1 / len(accepted))
        say(f"{what}: {sum(accepted)} of {len(accepted)} accepted (at most {bound:.1%}, 95%)")
        assert not any(accepted)

    return count


def pytest_terminal_summary(terminalreporter: Any) -> None:
    lines = [
        value
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, value in getattr(report, "user_properties", [])
        if name == "said" and getattr(report, "when", "") == "call"
    ]
    if lines:
        terminalreporter.section("measured")
        for line in lines:
            terminalreporter.write_line("  " + line)
