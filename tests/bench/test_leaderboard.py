"""Records -> rows: what a leaderboard row says, and that CSV says it exactly."""

from __future__ import annotations

import csv
import io
import math

import msgspec
import pytest

from bench.leaderboard import COLUMNS, boards, group_of, tell, to_csv
from bench.record import Outcome, ProgramRecord, Record, RunSpec

SPEC = RunSpec(
    task_ref="modadd", task="modadd", task_version=1, task_params={"p": 11}, task_fingerprint="f", method_ref="m",
    method="m", method_version=1, method_params={}, method_source="1", family="synth", carrier="Z_11", carrier_size=11,
    cells=121, language="full", n=10, data_seed=0, method_seed=0,
)  # fmt: skip


def record(n: int, seed: int, took: float | None = 1.0, program: str = "", verdict: str = "", **changes) -> Record:
    spec = msgspec.structs.replace(SPEC, n=n, data_seed=seed, method_seed=seed, **changes)
    outcome = Outcome.WRONG if took is None else Outcome.SOLVED
    bits = float(len(program))
    return Record(
        run_id=spec.run_id, spec=spec, outcome=outcome, n=n, test_accuracy=1.0 if took is not None else 0.25,
        seconds_to_solve=took, seconds_to_program=took if verdict == "correct" else None, work={"programs": 7.0},
        program=ProgramRecord(text=program, form="program", bits=bits, canonical=program) if program else None,
        verdict=verdict, proof="identity" if verdict == "correct" else "",
    )  # fmt: skip


def leaderboard(records):
    (row,) = boards(records)["leaderboard"]
    return row


def test_a_row_describes_the_runs_at_n_star():
    records = [record(n, s, float(n + s)) for n in (80, 40, 20) for s in range(3)]
    records += [record(10, 0, 1.0), record(10, 1, None), record(10, 2, None)]
    row = leaderboard(records)
    assert (row["n_star"], row["n_star_lo"], row["n_star_hi"], row["n"]) == (20, 10, 20, 20)
    assert (row["seeds"], row["solve_rate"], row["outcome"]) == (3, 1.0, "solved")
    assert row["seconds_to_solve"] == 21
    assert (row["work"], row["work_unit"]) == (7, "programs")


def test_a_censored_row_describes_the_largest_n_and_leaves_n_star_empty():
    row = leaderboard([record(n, s, None) for n in (80, 40) for s in range(3)])
    assert math.isinf(row["n_star"])
    assert (row["n"], row["n_star_lo"], row["n_star_hi"]) == (80, 80, None)
    assert row["test_accuracy"] == 0.25
    (line,) = csv.DictReader(io.StringIO(to_csv(COLUMNS["leaderboard"], [row]).decode()))
    assert (line["n_star"], line["seconds_to_solve"], line["outcome"]) == ("", "", "wrong")


def test_the_program_is_the_most_frequent_one_and_a_wrong_seed_makes_the_row_wrong():
    records = [
        record(40, 0, 1.0, "a + b", "correct"),
        record(40, 1, 1.0, "a + b", "correct"),
        record(40, 2, None, "a", "wrong"),
    ]
    row = leaderboard(records)
    assert (row["program"], row["verdict"]) == ("a + b", "wrong")
    assert leaderboard(records[:2])["verdict"] == "correct"
    assert leaderboard([*records[:2], record(40, 2)])["verdict"] == "unknown"
    assert leaderboard(records[:2])["n_star_program"] == 40


def test_ties_go_to_the_program_of_fewest_bits():
    row = leaderboard([record(40, 0, 1.0, "a + b + 0", "correct"), record(40, 1, 1.0, "a + b", "correct")])
    assert row["program"] == "a + b"


def test_a_program_may_come_from_fewer_examples_than_its_network_needs():
    records = [record(40, s, 1.0, "a + b", "correct") for s in range(3)]
    for s in range(3):
        early = record(20, s, None, "a + b", "correct")
        early.seconds_to_program = 0.5
        records.append(early)
    row = leaderboard(records)
    assert (row["n_star"], row["n_star_program"]) == (40, 20)


@pytest.mark.parametrize(
    "change", [{"noise": 0.1}, {"split": "pairs"}, {"seconds": 9.0}, {"language": "ring"}, {"threads": 2},
               {"method_version": 2}, {"task_fingerprint": "g"}, {"verifier_version": 0}, {"device": "cuda"}],
)  # fmt: skip
def test_what_is_not_the_same_experiment_is_not_one_row(change):
    rows = boards([record(40, 0), record(40, 0, **change)])["leaderboard"]
    assert len(rows) == 2


def test_solved_rows_come_first_then_fewer_examples():
    records = [record(40, 0, None, method="c"), record(40, 0, method="b"), record(20, 0, method="a")]
    assert [row["method"] for row in boards(records)["leaderboard"]] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (math.inf, ""), (3.0, "3"), (59, "59"), (0.000123456789, "0.000123456789"), (1 / 3, "0.333333333"),
     (True, "true"), ("a, b", "a, b"), (0.0, "0")],
)  # fmt: skip
def test_values_in_csv(value, text):
    assert tell(value) == text


def test_timing_says_how_many_ran_side_by_side():
    for timings, told in (
        (["alone", "alone"], "alone"),
        (["alone", "shared"], "shared"),
        (["alone stacked:5", "alone stacked:5"], "alone stacked:5"),
        (["alone stacked:10", "alone stacked:2", "shared stacked:1"], "shared stacked:1/2/10"),
        (["alone", "alone stacked:3"], "alone stacked:no/3"),
    ):
        records = [record(40, seed, stack=True) for seed in range(len(timings))]
        for one, timing in zip(records, timings, strict=True):
            one.timing = timing
        row = leaderboard(records)
        assert (row["stack"], row["timing"]) == ("on", told)


def test_csv_round_trips_awkward_text():
    row = dict.fromkeys(COLUMNS["programs"]) | {"program": 'a, "b"\nc'}
    (line,) = csv.DictReader(io.StringIO(to_csv(COLUMNS["programs"], [row]).decode(), newline=""))
    assert line["program"] == 'a, "b"\nc'


def test_a_seed_that_ran_at_other_sizes_does_not_drag_n_star():
    grid = [record(n, 0) for n in (80, 40, 20)]
    later = [record(80, seed) for seed in (1, 2)]
    row = leaderboard(grid + later)
    assert (row["seeds"], row["n_star"]) == (1, 20)
    assert leaderboard(later)["seeds"] == 2


def test_an_unfinished_group_has_no_row_but_keeps_its_runs():
    runs = [record(80, 0)]
    tables = boards(runs, {group_of(runs[0].spec)})
    assert tables["leaderboard"] == []
    assert len(tables["curves"]) == 1


def test_a_row_names_no_proof_that_its_verdict_has_not():
    right, wrong = record(40, 0, 1.0, "a + b", "correct"), record(40, 1, None, "a*a", "wrong")
    wrong.proof = "exhaustive"
    assert leaderboard([right])["proof"] == "identity"
    assert leaderboard([right, wrong])["proof"] == "exhaustive"
    assert leaderboard([right, record(40, 1)])["proof"] is None


def test_pairs_report_the_n_that_was_reached():
    reached = record(9, 0, split="pairs")
    reached.n = 10
    row = leaderboard([reached])
    assert (row["n"], row["n_star"], row["n_star_lo"], row["n_star_hi"]) == (10, 10, 10, 10)
