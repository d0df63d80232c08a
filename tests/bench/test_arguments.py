"""Arguments from Python: what is of another type is refused in one line that names it, before anything is run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bench.arguments import as_typed
from bench.errors import UserError
from bench.film import film
from bench.run import run

RUN = [
    ("seeds", "x", "an integer"),
    ("seeds", 2.0, "an integer"),
    ("seeds", True, "an integer"),
    ("seeds", None, "an integer"),
    ("seeds", 10**9, "1 to 100000"),
    ("seconds", "long", "a number"),
    ("seconds", 10**400, "a number"),
    ("memory_mib", 1e3, "an integer"),
    ("jobs", 1.5, "an integer"),
    ("threads", 1.5, "an integer"),
    ("stack", True, "a text"),
    ("device", 0, "a text"),
    ("noise", [0.1], "a number"),
    ("language", 3, "a text"),
    ("methods", 3, "a list"),
    ("methods", ["lookup", 3], "a text"),
    ("examples", 8, "a list"),
    ("examples", [8.5], "an integer"),
    ("examples", "8,x", "an integer"),
    ("fractions", ["half"], "a number"),
    ("retry", 1, "a list"),
    ("fresh", 1, "true or false"),
    ("out", 3, "a path"),
]
FILM = [
    ("arch", 3, "a text"),
    ("fraction", "x", "a number"),
    ("seeds", 1.5, "an integer"),
    ("seeds", 10**9, "1 to 100000"),
    ("lr", "fast", "a number"),
    ("steps", 1e3, "an integer"),
    ("jobs", "two", "an integer"),
    ("plots", "perhaps", "true or false"),
    ("out", 3, "a path"),
]


@pytest.mark.parametrize(
    ("function", "name", "value", "said"), [*((run, *x) for x in RUN), *((film, *x) for x in FILM)]
)
def test_another_type_is_refused_in_one_line(tmp_path, monkeypatch, function, name, value, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"^--{name.replace('_', '-')}: expected {said}") as caught:
        function("modadd", p=5, **{name: value})
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_task_is_a_text():
    for function in (run, film):
        with pytest.raises(UserError, match=r"^--task: expected a text, got 3"):
            function(3)
        with pytest.raises(UserError, match="--p: expected an integer"):
            function("modadd", p=None)


def test_what_means_the_same_is_the_same():
    @as_typed
    def told(
        task: str, *, n: int = 1, x: float | None = None, refs: Sequence[str] | str = (), sizes: Sequence[int] = (),
        out: str | Path = "r", on: bool = False, **rest: int,
    ):  # fmt: skip
        return task, n, x, refs, sizes, out, on, rest

    plain = told("t", n=2, x=3.0, refs=["a", "b"], sizes=[8, 16], out="q", on=True, p=59)
    assert plain == ("t", 2, 3.0, ["a", "b"], [8, 16], "q", True, {"p": 59})
    assert told("t", n="2", x="3", refs="a, b,", sizes="8,16", out="q", on="yes", p=59) == plain
    assert told(
        np.str_("t"), n=np.int64(2), x=np.float32(3), refs=("a", "b"), sizes=np.array([8, 16]), out="q",
        on=np.bool_(True), p=59,
    ) == plain  # fmt: skip
    assert told("t", x=None, refs="") == ("t", 1, None, [], (), "r", False, {})
