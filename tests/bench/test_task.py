"""A task is its table; whatever is not an exact function into the carrier is refused in one line."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UserError
from bench.registry import load_task
from bench.task import Task, cells, inverses, task
from synth.carrier import Residues, is_prime, symmetric_group

MODULAR = {
    "modadd": lambda p, a, b: a + b,
    "modsub": lambda p, a, b: a - b,
    "modmul": lambda p, a, b: a * b,
    "affine": lambda p, a, b: 2 * a + 3 * b + 7,
    "squares": lambda p, a, b: a**2 + b**2,
    "quadform": lambda p, a, b: a**2 + a * b + b**2,
    "quadform_a": lambda p, a, b: a**2 + a * b + b**2 + a,
    "cubic": lambda p, a, b: a**3 + a * b,
    "cubic_b": lambda p, a, b: a**3 + a * b**2 + b,
    "modadd3": lambda p, a, b, c: a + b + c,
    "modmax": lambda p, a, b: max(a, b),
    "moddiv": lambda p, a, b: a * pow(b, -1, p),
    "oddbranch": lambda p, a, b: a * pow(b, -1, p) if b % 2 else a - b,
}
DIVIDING = {"moddiv", "oddbranch"}


@pytest.mark.parametrize("p", [2, 11, 12, 13])
@pytest.mark.parametrize("name", MODULAR)
def test_modular_tasks_are_what_they_say(name: str, p: int) -> None:
    if name in DIVIDING and not is_prime(p):
        with pytest.raises(
            UserError, match=f"{name}: it divides, so p must be a prime, got {p}; the nearest are 11 and 13"
        ):
            load_task(name, {"p": p})
        return
    loaded = load_task(name, {"p": str(p)})
    built = loaded.task
    expected = [MODULAR[name](p, *cell) % p for cell in built.domain.tolist()]
    assert built.table.tolist() == expected
    assert len(built.domain) == (p * (p - 1) if name == "moddiv" else p**built.arity)
    assert built.formula_program is not None
    assert built.formula_program.evaluate(built.domain, built.carrier).tolist() == expected
    assert loaded.params["p"] == p


@pytest.mark.parametrize(("name", "word"), [("s5", "ab"), ("s5_conj", "abA"), ("s5_aba", "aba")])
def test_tasks_on_permutations_are_what_they_say(name: str, word: str) -> None:
    built = load_task(name).task
    group = symmetric_group(5)
    assert built.carrier == group
    assert built.domain.shape == (14_400, 2)
    for cell in range(0, 14_400, 997):
        a, b = built.domain[cell]
        letters = {"a": group.labels[a], "b": group.labels[b], "A": group.labels[group.inverses[a]]}
        images = []
        for point in range(5):
            for letter in reversed(word):  # (xy)(i) = x(y(i))
                point = int(letters[letter][point]) - 1
            images.append(str(point + 1))
        assert group.labels[built.table[cell]] == "".join(images)


@pytest.mark.parametrize("arity", [1, 2, 3])
def test_domains_are_lexicographic(arity: int) -> None:
    domain = Task(modulus=5, arity=arity, target=lambda *x: sum(x) % 5).domain
    assert domain.dtype == np.int64
    assert domain.tolist() == sorted(domain.tolist())
    assert len({tuple(x) for x in domain.tolist()}) == 5**arity
    assert np.array_equal(domain, cells(5, arity))


def test_a_task_is_immutable() -> None:
    built = load_task("modadd", {"p": 11}).task
    for array in (built.table, built.domain):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    with pytest.raises(AttributeError):
        built.arity = 3  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    "target",
    [
        lambda a, b: a if a > b else b,
        lambda a, b: max(a, b),
        lambda a, b: sorted([a, b])[1],
        lambda a, b: np.maximum(a, b),
        lambda a, b: np.where(a > b, a, b).astype(np.uint8),
        lambda a, b: a * (a > b) + b * (a <= b),
        lambda a, b: np.maximum(a, b).astype(object),
    ],
)
def test_scalar_and_vectorised_targets_give_one_table(target: Callable[..., Any]) -> None:
    assert np.array_equal(Task(modulus=7, target=target, formula="max(a, b)").table, cells(7, 2).max(axis=1))


def test_a_truth_value_counts_as_0_or_1() -> None:
    assert Task(modulus=5, target=lambda a, b: a == b).table.tolist() == [int(a == b) for a, b in cells(5, 2)]
    assert Task(modulus=5, target=lambda a, b: 3).table.tolist() == [3] * 25


def test_python_integers_win_over_overflowing_arrays() -> None:
    built = Task(modulus=101, arity=1, target=lambda a: a**20 % 101)
    assert built.table.tolist() == [pow(a, 20, 101) for a in range(101)]


def test_a_target_cannot_spoil_the_domain() -> None:
    def spoil(a: Any, b: Any) -> Any:
        a += b
        a %= 7
        return a

    built = Task(modulus=7, target=spoil, formula="a + b")
    assert np.array_equal(built.domain, cells(7, 2))


def test_masks_choose_the_domain() -> None:
    for mask in (lambda a, b: (a != 0) & (b > a), lambda a, b: a != 0 and b > a):
        built = Task(modulus=7, target=lambda a, b: (b - a) % 7, mask=mask, formula="b - a")
        assert built.domain.tolist() == [[a, b] for a in range(7) for b in range(7) if a and b > a]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"target": lambda a, b: a / 2}, "must give integers 0 to 10, got float64; whole division is //"),
    ({"target": lambda a, b: 0.5 if a else 1}, "must give integers 0 to 10, got float64"),
    ({"target": lambda a, b: a + b}, "leaves Z_11: at a=1, b=10 it is 11"),
    ({"target": lambda a, b: a - b}, "leaves Z_11: at a=0, b=1 it is -1"),
    ({"target": lambda a, b: "x"}, "must give an integer for each cell, got 'x' at a=0, b=0"),
    ({"target": lambda a, b: None}, "got None at a=0, b=0"),
    ({"target": lambda a, b: [a, b]}, "got [0, 0]"),
    ({"target": lambda a, b: 10**30}, "must give an integer"),
    ({"target": lambda a, b: float("nan")}, "got float64"),
    ({"target": lambda a, b: a // b}, "raised ZeroDivisionError at a=0, b=0 (line "),
    ({"target": lambda a: a}, "takes 1 positional argument but 2 were given"),
    ({"target": lambda a, b: random.randrange(11)}, "differs between two calls"),
    ({"target": lambda a, b: np.random.default_rng().integers(0, 11, a.shape)}, "differs between two calls"),
    ({"target": 3}, "must be a function, got 3"),
    ({"formula": "a - b"}, "the formula 'a - b' is not the target: at (0, 1) it is 10, the target 1"),
    ({"formula": "a + c"}, "formula: 'c' in 'a + c': unknown name"),
    ({"formula": "a +"}, "formula: 'a +': syntax error"),
    ({"mask": lambda a, b: a - b}, "the mask must give true or false for each cell, got int64"),
    ({"mask": lambda a, b: a < 0}, "the mask keeps no cell"),
    ({"modulus": 0}, "the modulus must be at least 2, got 0"),
    ({"modulus": 1}, "the modulus must be at least 2, got 1"),
    ({"modulus": -3}, "the modulus must be at least 2, got -3"),
    ({"modulus": 2.0}, "the modulus must be an integer, got 2.0"),
    ({"modulus": "11"}, "the modulus must be an integer, got '11'"),
    ({"modulus": True}, "the modulus must be an integer, got True"),
    ({"modulus": 10_000}, "a domain of 10000^2 cells is too large; at most 20000000 are tabulated"),
    ({"modulus": None}, "a task needs a modulus or a carrier"),
    ({"carrier": Residues(11)}, "a task needs a modulus or a carrier, and not both"),
    ({"arity": 0}, "the arity must be 1 to 4, got 0"),
    ({"arity": 5}, "the arity must be 1 to 4, got 5"),
    ({"arity": 2.0}, "the arity must be 1 to 4, got 2.0"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), REFUSED, ids=[x[1] for x in REFUSED])
def test_what_is_no_task_is_refused_in_one_line(change: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {"modulus": 11, "target": lambda a, b: (a + b) % 11}
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        Task(**{**good, **change})
    assert "\n" not in str(caught.value)


def test_a_huge_prime_is_refused_before_anything_is_computed() -> None:
    for name in ("moddiv", "modadd", "random"):
        with pytest.raises(UserError, match="too large"):
            load_task(name, {"p": 10**17 + 3})


@given(st.sampled_from([2, 3, 5, 7, 11, 13, 59, 97]))
def test_inverses_invert(p: int) -> None:
    assert [x * y % p for x, y in enumerate(inverses(p).tolist())] == [0] + [1] * (p - 1)


def test_fingerprints_tell_tasks_apart() -> None:
    def one(p: int = 11, shift: int = 0, mask: Any = None) -> Task:
        return Task(modulus=p, target=lambda a, b: (a + b + shift) % p, mask=mask)

    tasks = [one(), one(13), one(shift=1), one(mask=lambda a, b: a != b), one().named("x", 1), one().named("x", 2)]
    tasks += [load_task(name).task for name in ("s5", "s5_conj", "modadd", "modsub")]
    fingerprints = [x.fingerprint for x in tasks]
    assert len(set(fingerprints)) == len(tasks)
    assert all(re.fullmatch("[0-9a-f]{64}", x) for x in fingerprints)
    assert one().fingerprint == one().fingerprint
    assert load_task("modadd", {"p": 11}).task.fingerprint == load_task("modadd", {"p": "11"}).task.fingerprint


@pytest.mark.parametrize("of", ["modadd", "moddiv", "affine:alpha=5", "s5", "modadd3", "a**2 + b"])
def test_a_relabelled_task_is_a_relabelling(of: str) -> None:
    inner = load_task(of, {} if of == "s5" else {"p": 11}).task
    outer = load_task("relabelled", {"of": of, "p": "11", "task-seed": "7"}).task
    assert outer.carrier == inner.carrier
    size, arity = inner.carrier.size, inner.arity
    permutations = _relabelling(inner, outer)
    assert permutations is not None
    inputs, outputs = permutations
    moved = {
        tuple(inputs[cell].tolist()): int(outputs[value]) for cell, value in zip(inner.domain, inner.table, strict=True)
    }
    assert moved == {
        tuple(cell): value for cell, value in zip(outer.domain.tolist(), outer.table.tolist(), strict=True)
    }
    assert len(outer.domain) == len(inner.domain) <= size**arity
    assert not np.array_equal(outer.table, inner.table)
    assert outer.formula is None


def _relabelling(inner: Task, outer: Task) -> tuple[np.ndarray, np.ndarray] | None:
    """The permutations, found again from the documented draws and checked to be permutations."""
    from synth.draws import permutation

    size = inner.carrier.size
    inputs, outputs = permutation(7, "input labels", size), permutation(7, "output labels", size)
    both = sorted(inputs.tolist()) == sorted(outputs.tolist()) == list(range(size))
    return (inputs, outputs) if both and not np.array_equal(inputs, outputs) else None


def test_seeded_tasks_differ_by_seed_and_repeat() -> None:
    for name in ("random", "relabelled", "ladder"):
        first, again, other = (load_task(name, {"p": 59, "task_seed": seed}).task.table for seed in (0, 0, 1))
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)


def test_a_random_table_has_no_pattern_in_its_values() -> None:
    table = load_task("random", {"task_seed": 3}).task.table
    counts = np.bincount(table, minlength=59)
    assert ((counts - 59) ** 2 / 59).sum() < 101  # chi-square with 58 degrees of freedom, 99.95%


@pytest.mark.parametrize("p", [59, 60])
@pytest.mark.parametrize("seed", [0, 7])
def test_a_ladder_s_rung_has_its_length_and_needs_every_input(p: int, seed: int) -> None:
    built = load_task("ladder", {"p": p, "bits": "40", "task-seed": seed}).task
    assert built.formula_program is not None
    assert abs(built.formula_program.bits - 40) <= 2
    assert built.notes["bits"] == built.formula_program.bits
    assert float(built.notes["lower_bound_bits"]) > 30
    table = built.table.reshape(p, p)
    assert (table != table[:1]).any()
    assert (table != table[:, :1]).any()


def test_a_ladder_of_no_length_is_refused() -> None:
    with pytest.raises(UserError, match=r"ladder: .* 5 ± 2 bits"):
        load_task("ladder", {"bits": 5})


def test_a_declared_task_is_a_family() -> None:
    @task(version=3)
    def shifted(p: int = 7, by: int = 1) -> Task:
        """A shift.

        Of one input.
        """
        return Task(modulus=p, arity=1, target=lambda a: (a + by) % p)

    assert (shifted.name, shifted.version, shifted.about) == ("shifted", 3, "A shift.")
    assert [(x.flag, x.type, x.default) for x in shifted.parameters] == [("--p", int, 7), ("--by", int, 1)]
    built = shifted(by=2)
    assert (built.name, built.version, built.table.tolist()) == ("shifted", 3, [2, 3, 4, 5, 6, 0, 1])
    with pytest.raises(UserError, match=r"shifted: unknown parameter --bye; it takes --p, --by; did you mean '--by'\?"):
        shifted(bye=2)

    @task(version=1)
    def nothing(p: int = 7) -> Task:
        return None  # pyright: ignore[reportReturnType]

    with pytest.raises(UserError, match="nothing: expected its function to return a Task, got NoneType"):
        nothing()


def test_a_task_knows_what_its_answers_are_verified_against() -> None:
    pytest.importorskip("synth.verify")
    built = load_task("moddiv", {"p": 11}).task
    target = built.target()
    assert target.table is built.table
    assert target.domain is built.domain
