"""Records -> the three tables. CSV is always derived from the records, never the other way round."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.codelength import Bits, Code, assemble
from bench.record import Record, RunSpec
from bench.stats import Interval, median, median_interval, n_star
from bench.store import write_atomically

Row = dict[str, Any]
Group = tuple[Any, ...]
Seed = tuple[int, int]
Load = Callable[[Record], "Bits | None"]


def no_codes(record: Record) -> None:
    """Where no stored codes can be read: then only those that lie in the records themselves count."""
    del record


_COMMON = "task params p carrier carrier_size split noise language method family"
LEADERBOARD = (
    f"{_COMMON} seeds n cells n_star n_star_lo n_star_hi n_star_program solve_rate outcome seconds_to_solve "
    "seconds_to_program cpu_seconds work work_unit test_accuracy program form bits verdict proof faithfulness "
    "code_length_bits seconds_budget threads device stack timing task_version method_version"
).split()
CURVES = (
    f"{_COMMON} n cells data_seed seed outcome test_accuracy seconds_to_solve seconds_to_program seconds cpu_seconds "
    "startup_seconds verify_seconds work work_unit program form bits verdict proof faithfulness p_correct "
    "network_bits code_length_bits timing run_id"
).split()
PROGRAMS = (
    f"{_COMMON} n data_seed seed program form sympy canonical bits two_part_bits minimal verdict proof counterexample "
    "agreement agreement_on_errors errors variance_explained keep_only remove_only remove_random transfers_to run_id"
).split()


def tell(value: Any) -> str:
    """A value as the CSV has it: empty for None and infinity, integers as integers, seconds to nine digits."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.9g}"
    return str(value)


def _common(spec: RunSpec) -> Row:
    params = {name: value for name, value in spec.task_params.items() if name != "p"}
    return {
        "task": spec.task,
        "params": " ".join(f"{name}={tell(value)}" for name, value in sorted(params.items())),
        "p": spec.task_params.get("p"),
        "carrier": spec.carrier,
        "carrier_size": spec.carrier_size,
        "split": spec.split,
        "noise": spec.noise,
        "language": spec.language,
        "method": spec.method_label,
        "family": spec.family,
    }


def group_of(spec: RunSpec) -> Group:
    """What runs of one leaderboard row share: all that is not n or a seed."""
    return (
        *(tell(value) for value in _common(spec).values()),
        spec.seconds, spec.memory_mib, spec.threads, spec.device, spec.stack, spec.task_version, spec.method_version,
        spec.method_source, spec.language_source, spec.task_fingerprint, spec.verifier_version,
    )  # fmt: skip


def _work(record: Record) -> tuple[float | None, str]:
    unit, amount = next(iter(record.work.items()), ("", None))
    return amount, unit


def faithfulness(record: Record) -> float | None:
    """The one number of the boards: the share of the held-out centred logits' variance that the law explains."""
    return record.faithfulness.variance_explained if record.faithfulness is not None else None


def _program_cells(record: Record) -> Row:
    program = record.program
    return {
        "program": program.text if program else None,
        "form": program.form if program else None,
        "bits": program.bits if program else None,
        "verdict": record.verdict,
        "proof": record.proof,
    }


def curve_row(record: Record, code: Code | None = None) -> Row:
    """One run as a row of curves.csv; ``code`` is of its method and seed."""
    work, unit = _work(record)
    return {
        **_common(record.spec),
        "n": record.n,
        "cells": record.spec.cells,
        "data_seed": record.spec.data_seed,
        "seed": record.spec.method_seed,
        "outcome": record.outcome.value,
        "test_accuracy": record.test_accuracy,
        "seconds_to_solve": record.seconds_to_solve,
        "seconds_to_program": record.seconds_to_program,
        "seconds": record.seconds,
        "cpu_seconds": record.cpu_seconds,
        "startup_seconds": record.startup_seconds,
        "verify_seconds": record.verify_seconds,
        "work": work,
        "work_unit": unit,
        **_program_cells(record),
        "faithfulness": faithfulness(record),
        "p_correct": record.p_correct,
        "network_bits": record.network_bits,
        "code_length_bits": float(code.bits[: record.n].sum()) if code is not None else None,
        "timing": record.timing,
        "run_id": record.run_id,
    }


def program_row(record: Record) -> Row | None:
    """One run as a row of programs.csv, or None where it recovered no program."""
    if record.program is None:
        return None
    evidence = record.faithfulness
    scores = ("agreement", "agreement_on_errors", "errors", "variance_explained", "keep_only", "remove_only",
              "remove_random")  # fmt: skip
    return {
        **_common(record.spec),
        "n": record.n,
        "data_seed": record.spec.data_seed,
        "seed": record.spec.method_seed,
        **_program_cells(record),
        "sympy": record.program.sympy,
        "canonical": record.program.canonical,
        "two_part_bits": record.program.two_part_bits,
        "minimal": record.program.minimal,
        "counterexample": " ".join(map(str, record.counterexample)) if record.counterexample else None,
        **{name: getattr(evidence, name) if evidence else None for name in scores},
        "transfers_to": record.transfers_to,
        "run_id": record.run_id,
    }


def _codes(records: Sequence[Record], load: Load) -> dict[Seed, Code]:
    """The prequential code of each seed's stream, by the runs of one group."""
    by_seed: dict[Seed, list[Record]] = {}
    for record in records:
        by_seed.setdefault(_seed(record), []).append(record)
    return {seed: code for seed, own in by_seed.items() if (code := assemble(own, load)) is not None}


def _stars(by_seed: Mapping[Seed, Mapping[int, bool]]) -> Interval:
    return median_interval([n_star(sizes) for sizes in by_seed.values()])


def leaderboard_row(records: Sequence[Record], load: Load = no_codes) -> Row:
    """The row of one group's records, described at n = n_star, or at the largest n where n_star is censored.

    n* is a number of a grid: seeds that ran at other sizes than most do not enter it (see ``widest``). Nor do runs
    without any example, with which a code begins.
    """
    records = widest(records)
    codes = _codes(records, load)
    records = [record for record in records if record.spec.n] or records
    solved: dict[Seed, dict[int, bool]] = {}
    programs: dict[Seed, dict[int, bool]] = {}
    for record in records:
        solved.setdefault(_seed(record), {})[record.spec.n] = record.solved
        programs.setdefault(_seed(record), {})[record.spec.n] = record.seconds_to_program is not None
    star = _stars(solved)
    largest = max(record.spec.n for record in records)
    asked = int(star.median) if math.isfinite(star.median) else largest
    there = [record for record in records if record.spec.n == asked]

    def reached(size: float | None) -> float | None:
        """The n that --split pairs reached for the n that was asked for."""
        there = [record.n for record in records if record.spec.n == size]
        return median(there) if there else size

    first = there[0]
    outcomes = Counter(record.outcome.value for record in there)
    best = _typical_program(there)
    works = [amount for record in there if (amount := _work(record)[0]) is not None]
    accuracies = [x.test_accuracy for x in there if x.test_accuracy is not None]
    evidence = [value for record in there if (value := faithfulness(record)) is not None]
    verdict = _verdict(there)
    proofs = Counter(record.proof for record in there if verdict and record.verdict == verdict)
    return {
        **_common(first.spec),
        "seeds": len(solved),
        "n": round(median([record.n for record in there])),
        "cells": first.spec.cells,
        "n_star": reached(star.median),
        "n_star_lo": reached(star.low if math.isfinite(star.median) else largest),
        "n_star_hi": reached(star.high) if math.isfinite(star.median) else None,
        "n_star_program": reached(_stars(programs).median),
        "solve_rate": sum(record.solved for record in there) / len(there),
        # The median run's outcome where the row is solved; otherwise the failure that most seeds met.
        "outcome": "solved" if 2 * outcomes["solved"] > len(there) else outcomes.most_common(1)[0][0],
        "seconds_to_solve": median(record.seconds_to_solve for record in there),
        "seconds_to_program": median(record.seconds_to_program for record in there),
        "cpu_seconds": median(record.cpu_seconds for record in there),
        "work": median(works) if works else None,
        "work_unit": next((unit for record in there if (unit := _work(record)[1])), ""),
        "test_accuracy": median(accuracies) if accuracies else None,
        "program": best.program.text if best and best.program else None,
        "form": best.program.form if best and best.program else None,
        "bits": best.program.bits if best and best.program else None,
        "verdict": verdict,
        "proof": proofs.most_common(1)[0][0] if proofs else None,
        "faithfulness": median(evidence) if evidence else None,
        "code_length_bits": median(code.total for code in codes.values()) if codes else None,
        "seconds_budget": first.spec.seconds,
        "threads": first.spec.threads,
        "device": first.spec.device,
        "stack": "on" if first.spec.stack else "off",
        "timing": _timing({record.timing for record in there}),
        "task_version": first.spec.task_version,
        "method_version": first.spec.method_version,
    }


def _timing(timings: Collection[str]) -> str:
    """What the clocks of a row's runs showed: "shared" where some were, and how many runs their batches held.

    "alone stacked:5" where all batches held five, "alone stacked:1/5" where a run was in one by itself, and
    "alone stacked:no/5" where one was in none.
    """
    words = {timing: timing.split() for timing in timings}
    shared = any("shared" in x for x in words.values())
    held = {next((y.partition(":")[2] for y in x if y.startswith("stacked:")), "no") for x in words.values()}
    told = "" if held == {"no"} else " stacked:" + "/".join(sorted(held, key=lambda x: 0 if x == "no" else int(x)))
    return ("shared" if shared else "alone") + told


def _seed(record: Record) -> Seed:
    return record.spec.data_seed, record.spec.method_seed


def widest(records: Sequence[Record]) -> list[Record]:
    """The records of the seeds that ran at the most sizes, all of them at the same ones.

    A folder collects the runs of many commands. A seed that only a later ``--examples 64`` ran knows nothing of smaller
    sizes, and its "smallest solved" would drag the median.
    """
    sizes: dict[Seed, set[int]] = {}
    for record in records:
        sizes.setdefault(_seed(record), set()).add(record.spec.n)
    counts = Counter(frozenset(x) for x in sizes.values())
    grid = max(counts, key=lambda x: (len(x), counts[x], sorted(x)))
    return [record for record in records if frozenset(sizes[_seed(record)]) == grid]


def _typical_program(records: Sequence[Record]) -> Record | None:
    """The run whose canonical program is the most frequent; of equals the one of fewest bits."""
    with_program = [record for record in records if record.program is not None]
    counts = Counter(record.program.canonical for record in with_program if record.program)

    def rank(record: Record) -> tuple[float, float, str]:
        assert record.program is not None
        bits = record.program.bits if record.program.bits is not None else math.inf
        return -counts[record.program.canonical], bits, record.program.text

    return min(with_program, key=rank, default=None)


def _verdict(records: Sequence[Record]) -> str:
    verdicts = {record.verdict for record in records}
    if "wrong" in verdicts:
        return "wrong"
    if verdicts == {"correct"}:
        return "correct"
    return "unknown" if verdicts - {""} else ""


def boards(
    records: Iterable[Record], unfinished: Collection[Group] = (), load: Load = no_codes
) -> dict[str, list[Row]]:
    """The rows of the three tables, "leaderboard", "curves" and "programs", in a fixed order.

    Args:
        records: what there is.
        unfinished: groups that were interrupted; their n* would look final, and so they have no row yet.
        load: the stored bits of a record whose code has a file (``Store.load_code``).
    """
    groups: dict[Group, list[Record]] = {}
    for record in records:
        groups.setdefault(group_of(record.spec), []).append(record)
    every = [x for key in groups for x in sorted(groups[key], key=_order)]
    codes = {key: _codes(own, load) for key, own in groups.items()}
    rows = [leaderboard_row(sorted(groups[key], key=_order), load) for key in groups if key not in unfinished]
    return {
        "leaderboard": sorted(rows, key=_rank),
        "curves": [curve_row(x, codes[group_of(x.spec)].get(_seed(x))) for x in every],
        "programs": [row for record in every if (row := program_row(record)) is not None],
    }


def _order(record: Record) -> tuple[int, int, int]:
    return record.spec.n, record.spec.data_seed, record.spec.method_seed


def _rank(row: Row) -> tuple[Any, ...]:
    """Solved with fewest examples first; of equals those without a wrong program, of more seeds, of less cost."""
    star, seconds = row["n_star"], row["seconds_to_solve"]
    return (
        not math.isfinite(star),
        star,
        row["verdict"] == "wrong",
        -row["solve_rate"],
        seconds if seconds is not None else math.inf,
        row["method"],
    )


def to_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> bytes:
    """The CSV's bytes, header first, unix line ends."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([tell(row[name]) for name in columns])
    return text.getvalue().encode()


COLUMNS = {"leaderboard": LEADERBOARD, "curves": CURVES, "programs": PROGRAMS}


def write_boards(folder: Path, tables: Mapping[str, Sequence[Row]]) -> None:
    """Write the three CSV files into a task's folder, each whole or not at all."""
    for name, columns in COLUMNS.items():
        write_atomically(folder / f"{name}.csv", to_csv(columns, tables[name]))


def write_overall(out: Path) -> None:
    """results/leaderboard.csv: the rows of every task's leaderboard.csv below ``out``, in their folders' order."""
    lines: list[list[str]] = []
    for path in sorted(out.glob("*/leaderboard.csv")):
        with path.open(newline="") as file:
            rows = list(csv.reader(file))
        if rows and rows[0] == LEADERBOARD:  # an older version's file stays out until its task runs again
            lines.extend(rows[1:])
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(LEADERBOARD)
    writer.writerows(lines)
    write_atomically(out / "leaderboard.csv", text.getvalue().encode())
