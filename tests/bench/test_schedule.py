"""The adaptive grid, resume, and what makes two runs the same run."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bench.plan import plan
from bench.record import Outcome
from bench.schedule import default_grid, run_chains
from bench.store import Store

METHODS = Path(__file__).with_name("helpers_methods.py")


def go(tmp_path: Path, *refs: str, fresh: bool = False, retry=frozenset(), **arguments):
    arguments = {"seeds": 2, "seconds": 2.0, "out": tmp_path, **arguments}
    made = plan("modadd", {"p": "11"}, methods=refs, **arguments)
    store = Store(made.folder)
    store.create()
    return [(r, reused) for _, r, reused in run_chains(made.chains, store, jobs=2, threads=1, fresh=fresh, retry=retry)]


@pytest.mark.parametrize("cells", [1, 4, 25, 121, 3422, 3481, 12167, 994009])
def test_the_default_grid_goes_down_and_never_asks_for_all_cells(cells):
    grid = default_grid(cells)
    assert list(grid) == sorted(set(grid), reverse=True)
    assert grid[-1] <= 2
    assert grid[0] < cells or cells == 1


def test_an_adaptive_chain_stops_after_two_sizes_that_no_seed_solves(tmp_path):
    records = [record for record, _ in go(tmp_path, f"{METHODS}:needs_half")]
    by_size = {}
    for record in records:
        by_size.setdefault(record.n, []).append(record.solved)
    grid = default_grid(121)
    first_failure = next(i for i, n in enumerate(grid) if 2 * n < 121)
    assert sorted(by_size, reverse=True) == list(grid[: first_failure + 2])
    assert all(len(flags) == 2 for flags in by_size.values())
    assert all(all(flags) == (2 * n >= 121) for n, flags in by_size.items())


def test_an_inapplicable_method_is_asked_once_a_seed(tmp_path):
    records = [record for record, _ in go(tmp_path, f"{METHODS}:cannot")]
    assert [record.outcome for record in records] == [Outcome.INAPPLICABLE] * 2


def test_sizes_asked_for_all_run(tmp_path):
    records = [record for record, _ in go(tmp_path, f"{METHODS}:needs_half", examples=[5, 3, 2, 1])]
    assert sorted({record.n for record in records}) == [1, 2, 3, 5]


def test_a_second_call_runs_nothing_again_and_finds_the_same_records(tmp_path):
    first = go(tmp_path, f"{METHODS}:needs_half", f"{METHODS}:oracle_sum")
    second = go(tmp_path, f"{METHODS}:oracle_sum", f"{METHODS}:needs_half")
    assert not any(reused for _, reused in first)
    assert all(reused for _, reused in second)
    encode = msgspec.json.encode
    assert sorted(encode(r) for r, _ in first) == sorted(encode(r) for r, _ in second)


def test_fresh_and_retry_run_again(tmp_path):
    go(tmp_path, f"{METHODS}:oracle_sum", f"{METHODS}:raises", examples=[9])
    again = go(tmp_path, f"{METHODS}:oracle_sum", f"{METHODS}:raises", examples=[9], retry=frozenset({Outcome.ERROR}))
    assert {r.spec.method: reused for r, reused in again} == {"oracle_sum": True, "raises": False}
    fresh = go(tmp_path, f"{METHODS}:oracle_sum", examples=[9], fresh=True)
    assert not any(reused for _, reused in fresh)


def test_the_run_id_is_blind_to_the_order_of_parameters_and_to_paths(tmp_path):
    (spec,) = plan("modadd", {"p": "11"}, methods=["lookup"], examples=[9], seeds=1, out=tmp_path).chains[0].specs[0][1]
    turned = msgspec.structs.replace(
        spec, task_params=dict(reversed(spec.task_params.items())), task_ref="elsewhere.py:modadd"
    )
    assert turned.run_id == spec.run_id
    for change in ({"n": 10}, {"data_seed": 1}, {"noise": 0.1}, {"split": "pairs"}, {"seconds": 6.0},
                   {"language": "ring"},
                   {"task_fingerprint": "0"}, {"method_source": "0"}, {"verifier_version": 0}):  # fmt: skip
        assert msgspec.structs.replace(spec, **change).run_id != spec.run_id


def test_an_edited_task_file_never_returns_old_results(tmp_path):
    file = tmp_path / "tasks.py"
    text = (
        "from bench.task import Task, task\n\n@task(version=1)\ndef mine(p: int = 11):\n"
        '    """Mine."""\n    return Task(modulus=p, arity=2, target=lambda a, b: (a + {k} * b) % p)\n'
    )

    def solved(k: int) -> list[tuple[bool, bool]]:
        file.write_text(text.format(k=k))
        made = plan(f"{file}:mine", {}, methods=[f"{METHODS}:oracle_sum"], examples=[9], seeds=1, out=tmp_path / "out")
        store = Store(made.folder)
        store.create()
        return [(record.solved, reused) for _, record, reused in run_chains(made.chains, store, jobs=1, threads=1)]

    assert solved(1) == [(True, False)]
    assert solved(1) == [(True, True)]
    assert solved(2) == [(False, False)]
    assert solved(1) == [(True, True)]


def test_an_edited_neighbour_of_a_users_method_never_returns_old_results(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import numpy as np\nfrom bench.method import Candidate, method\nfrom label import LABEL\n\n"
        "@method('mine', version=1, family='test')\ndef mine(problem, budget, rng):\n"
        "    yield Candidate(predict=lambda: np.full(len(problem.domain), LABEL))\n"
    )

    def reused(label: int) -> bool:
        (tmp_path / "label.py").write_text(f"LABEL = {label}\n")
        ((_, found),) = go(tmp_path, f"{tmp_path}/mine.py:mine", examples=[9], seeds=1)
        return found

    assert [reused(0), reused(0), reused(1)] == [False, True, False]
