"""Runs trained side by side: each has the record that it would have alone, whatever becomes of the others."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from rich.console import Console

from bench.console import Terminal
from bench.execute import execute
from bench.leaderboard import boards
from bench.listing import print_plan
from bench.plan import plan
from bench.record import Outcome, Record, blank_record
from bench.schedule import run_chains
from bench.stack import MOST_STACKED, execute_stack
from bench.store import Store
from bench.table import board

METHODS = Path(__file__).with_name("helpers_stack.py")
HELD = "alone stacked:3"


def go(tmp_path: Path, ref: str, *, fresh: bool = False, **arguments: Any) -> list[tuple[Record, bool]]:
    """Records of the seeds in their order, and whether they were found on disk."""
    given = {"seeds": 3, "seconds": 5.0, "examples": [60], "stack": "on", "out": tmp_path, "p": 11, **arguments}
    made = plan("modadd", {"p": str(given.pop("p"))}, methods=[ref], **given)
    store = Store(made.folder)
    store.create()
    found = [(r, reused) for _, r, reused in run_chains(made.chains, store, jobs=1, threads=1, fresh=fresh)]
    assert not list(store.runs.glob("*.stack"))
    assert not list(store.runs.glob("*.part"))
    return sorted(found, key=lambda x: x[0].spec.method_seed)


def told(tmp_path: Path, fate: str, **arguments: Any) -> list[Record]:
    return [record for record, _ in go(tmp_path, f"{METHODS}:{fate}", **arguments)]


def test_each_run_has_a_record_of_its_own(tmp_path: Path) -> None:
    for record in told(tmp_path, "plain"):
        store = Store(tmp_path / "modadd-p11")
        assert record.outcome is Outcome.SOLVED
        assert record.timing == HELD
        assert record.notes == {"seed": float(record.spec.method_seed)}
        assert [x.exact for x in record.trace] == [False, True, True, True]
        lines = store.trace_path(record.run_id).read_bytes().splitlines()
        assert [msgspec.json.decode(x)["work"]["points"] for x in lines] == [1, 2, 3, 4]
        assert np.load(store.weights_path(record.run_id))["seed"] == record.spec.method_seed
        assert store.load(record.run_id) == record


@pytest.mark.parametrize(
    ("fate", "outcome", "reason"),
    [
        ("breaks", Outcome.ERROR, "ZeroDivisionError: on purpose"),
        ("leaves", Outcome.ERROR, "SystemExit: 3"),
        ("hungry", Outcome.MEMOUT, ""),
        ("cannot", Outcome.INAPPLICABLE, "not this one"),
        ("yields_42", Outcome.ERROR, "yielded a int"),
        ("ends", Outcome.SOLVED, ""),
    ],
)
def test_what_becomes_of_one_run_is_its_own_affair(tmp_path: Path, fate: str, outcome: Outcome, reason: str) -> None:
    one, other, another = told(tmp_path, fate)
    assert (other.outcome, reason in other.reason, other.timing) == (outcome, True, HELD)
    assert len(other.trace) == (3 if fate == "ends" else 2)
    for record in (one, another):
        assert (record.outcome, len(record.trace), record.timing) == (Outcome.SOLVED, 4, HELD)


def test_who_does_not_fit_goes_alone_and_the_record_says_why(tmp_path: Path) -> None:
    for fate, outcome, timing, why in (
        ("odd", Outcome.SOLVED, "alone stacked:1", "by itself: it fits no other run"),
        ("refuses", Outcome.INAPPLICABLE, "alone", "no: Inapplicable: it can't be prepared"),
    ):
        one, other, another = told(tmp_path, fate)
        assert (other.outcome, other.timing, other.notes["stacked"]) == (outcome, timing, why)
        assert one.timing == another.timing == "alone stacked:2"


def test_a_batch_that_breaks_breaks_no_run(tmp_path: Path) -> None:
    for record in told(tmp_path, "batch_breaks"):
        assert (record.outcome, record.timing, len(record.trace)) == (Outcome.SOLVED, "alone", 4)
        assert record.notes["stacked"] == "no: RuntimeError: the batch is broken"
    for record in told(tmp_path, "several_break"):
        assert (record.outcome, record.timing, len(record.trace)) == (Outcome.SOLVED, "alone stacked:1", 4)
        assert record.notes["stacked"] == "by itself: RuntimeError: the batch is broken"


def test_a_batch_whose_process_dies_is_run_one_by_one(tmp_path: Path) -> None:
    died = "the process of a batch of {} died with exit code {}"
    for fate, timing, why in (
        ("several_die", "alone stacked:1", f"by itself: {died.format(3, -9)}"),
        ("batch_dies", "alone", f"no: {died.format(1, -9)}"),
    ):
        for record in told(tmp_path, fate):
            assert (record.outcome, record.timing, record.notes["stacked"]) == (Outcome.SOLVED, timing, why)
    one, guilty, another = told(tmp_path, "dies")
    assert (guilty.outcome, guilty.reason) == (Outcome.ERROR, "the process died with exit code -11")
    assert guilty.notes["stacked"] == f"no: {died.format(1, -11)}"
    assert one.outcome is another.outcome is Outcome.SOLVED


def test_a_run_has_its_own_memory_in_a_batch_too(tmp_path: Path) -> None:
    """Its part of the batch, and what it takes by itself: neither another's share nor what the others leave."""
    one, other, another = told(tmp_path, "greedy", memory_mib=200)  # 90 MiB of the batch each, one of them 150 more
    assert (one.outcome, other.outcome, another.outcome) == (Outcome.SOLVED, Outcome.MEMOUT, Outcome.SOLVED)
    assert [x.timing for x in (one, other, another)] == [HELD] * 3
    assert {x.outcome for x in told(tmp_path, "greedy", memory_mib=280)} == {Outcome.SOLVED}
    for record in told(tmp_path, "heavy", memory_mib=200):  # 300 MiB of the batch each
        assert (record.outcome, record.timing) == (Outcome.MEMOUT, "alone stacked:1")
        assert "MemoryError" in record.notes["stacked"]


def test_a_batch_that_hangs_is_over_time_and_so_is_a_run_that_does(tmp_path: Path) -> None:
    for record in told(tmp_path, "batch_hangs", seconds=0.3):
        assert (record.outcome, record.timing) == (Outcome.TIMEOUT, HELD)
        assert "outlasted the budget" in record.reason
        assert len(record.trace) == 2
    one, guilty, another = told(tmp_path, "hangs", seconds=0.3)
    assert guilty.outcome is Outcome.TIMEOUT
    assert one.outcome is another.outcome is Outcome.SOLVED


def test_the_batch_is_on_every_clock_whole_and_what_a_run_does_by_itself_on_its_own(tmp_path: Path) -> None:
    for record in told(tmp_path, "slow"):
        assert record.seconds >= 0.8
        assert record.cpu_seconds < 0.4
    one, other, another = told(tmp_path, "rests")
    assert other.seconds >= 0.6 > max(one.seconds, another.seconds)
    late = told(tmp_path, "slow", seconds=0.5)
    assert [x.outcome for x in late] == [Outcome.TIMEOUT] * 3
    assert all(x.seconds >= 0.5 for x in late)
    assert all(len(x.trace) in (1, 2) for x in late)  # of four


def test_what_is_on_disk_is_not_run_again_and_the_rest_goes_side_by_side(tmp_path: Path) -> None:
    first = go(tmp_path, f"{METHODS}:plain")
    Store(tmp_path / "modadd-p11").path(first[0][0].run_id).unlink()
    Store(tmp_path / "modadd-p11").path(first[2][0].run_id).unlink()
    again = go(tmp_path, f"{METHODS}:plain")
    assert [reused for _, reused in again] == [False, True, False]
    assert [r.timing for r, _ in again] == ["alone stacked:2", HELD, "alone stacked:2"]
    assert [r.run_id for r, _ in again] == [r.run_id for r, _ in first]
    assert all(not reused for _, reused in go(tmp_path, f"{METHODS}:plain", fresh=True))


def test_side_by_side_is_another_run_than_alone_and_another_row(tmp_path: Path) -> None:
    stacked, plain = told(tmp_path, "plain"), told(tmp_path, "plain", stack="off")
    assert {x.run_id for x in stacked}.isdisjoint({x.run_id for x in plain})
    assert [x.timing for x in plain] == ["alone"] * 3
    assert [x.run_id for x in told(tmp_path, "plain", stack="auto")] == [x.run_id for x in plain]  # no GPU for it
    rows = boards([*stacked, *plain])["leaderboard"]
    assert sorted((row["stack"], row["timing"]) for row in rows) == [("off", "alone"), ("on", HELD)]
    assert [row["seeds"] for row in rows] == [3, 3]
    lone = told(tmp_path, "plain", seeds=1, examples=[70])
    assert [x.timing for x in lone] == ["alone stacked:1"]
    assert all("stacked" not in x.notes for x in lone)


@pytest.mark.parametrize(
    ("timing", "cpu", "advice"),
    [
        ("alone stacked:3", 0.5, "3 runs timed out in a batch, .* --stack off, or more --seconds$"),
        ("alone stacked:3", 0.1, "3 runs timed out in a batch, .* --stack off, or more --seconds$"),
        ("alone stacked:1", 0.1, "3 runs timed out while waiting for a processor: more --seconds$"),
        ("shared", 0.1, "3 runs timed out while waiting for a processor: fewer --jobs, or more --seconds$"),
        ("shared", 0.5, ""),
    ],
)
def test_who_timed_out_is_told_what_would_help(tmp_path: Path, timing: str, cpu: float, advice: str) -> None:
    made = plan("modadd", {"p": "11"}, methods=[f"{METHODS}:plain"], stack="on", seconds=0.5, out=tmp_path)
    records = [blank_record(spec, Outcome.TIMEOUT) for spec in made.chains[0].specs[0][1]]
    for record in records:
        record.timing, record.seconds, record.cpu_seconds = timing, 0.5, cpu
    console = Console(width=200)
    with console.capture() as shown:
        console.print(board(made, boards(records)["leaderboard"], records, width=200))
    said = [x.strip() for x in shown.get().splitlines() if "timed out" in x]
    assert len(said) == bool(advice)
    assert all(re.search(advice, x) for x in said)


def test_a_dry_run_says_how_many_go_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seeds, told in ((MOST_STACKED, "in one batch"), (MOST_STACKED + 8, f"in batches of {MOST_STACKED} at most")):
        made = plan("modadd", {"p": "11"}, methods=[f"{METHODS}:plain"], stack="on", seeds=seeds, out=tmp_path)
        print_plan(Terminal(), made)
        assert f"(the seeds of a size {told})" in capsys.readouterr().out


@pytest.mark.parametrize(
    "ref", ["bilinear", "bilinear+law", pytest.param("transformer:steps=60", marks=pytest.mark.slow)]
)
def test_networks_side_by_side_answer_as_they_do_alone(tmp_path: Path, ref: str) -> None:
    both = [told_by_networks(tmp_path, ref, stack) for stack in ("on", "off")]
    again = told_by_networks(tmp_path / "again", ref, "on")
    for one, other, same in zip(*both, again, strict=True):
        assert one.timing.startswith("alone stacked:")
        assert other.timing == "alone"
        assert (one.outcome, one.verdict, one.notes["cause"]) == (other.outcome, other.verdict, other.notes["cause"])
        assert (one.trace[-1].program, one.trace[-1].exact) == (other.trace[-1].program, other.trace[-1].exact)
        for x, y in zip(one.trace[:5], other.trace[:5], strict=True):  # later ones may differ by a few cells
            assert x.accuracy == pytest.approx(y.accuracy, abs=0.01)
        assert (one.notes, one.code) == (same.notes, same.code)  # to the last bit
        assert [x.accuracy for x in one.trace] == [x.accuracy for x in same.trace]


@pytest.mark.parametrize("ref", ["bilinear:steps=40", "bilinear+law:steps=40", "transformer:steps=20"])
def test_a_run_comes_to_the_same_however_many_are_beside_it(tmp_path: Path, ref: str) -> None:
    """To the last bit: an id is then one result, whatever was on disk."""
    alone, two, three = (
        told_by_networks(tmp_path / f"{len(parts[0])}", ref, p=11, n=60, parts=parts)
        for parts in ([[0], [1], [2]], [[0, 1], [2]], [[0, 1, 2]])
    )
    for one, other, another in zip(alone, two, three, strict=True):
        assert (one.timing, another.timing) == ("alone stacked:1", HELD)
        for x in (other, another):
            assert (one.outcome, one.notes, one.code, one.work) == (x.outcome, x.notes, x.code, x.work)
            assert [e.accuracy for e in one.trace] == [e.accuracy for e in x.trace]
            mine, its = (
                np.load(Store(tmp_path / k / "modadd-p11").weights_path(one.run_id))
                for k in ("1", "2" if x is other else "3")
            )
            assert all(np.array_equal(mine[name], its[name]) for name in mine)


def told_by_networks(
    out: Path, ref: str, stack: str = "on", p: int = 23, n: int = 370, parts: Sequence[Sequence[int]] = ((0, 1),)
) -> list[Record]:
    """Some seeds' records, made in this process, which has torch already; ``parts`` are in one batch each."""
    seeds = sum(map(len, parts))
    made = plan("modadd", {"p": str(p)}, methods=[ref], examples=[n], stack=stack, seeds=seeds, seconds=60.0, out=out)
    store, encoded = Store(made.folder), [msgspec.json.encode(x) for x in made.chains[0].specs[0][1]]
    store.create()
    if stack == "on":
        for part in parts:
            execute_stack([encoded[i] for i in part], str(made.folder), "alone")
    else:
        for spec in encoded:
            execute(spec, str(made.folder), "alone")
    records = [store.load(x.run_id) for x in made.chains[0].specs[0][1]]
    assert all(x is not None for x in records)
    return [x for x in records if x is not None]


def test_networks_that_diverge_have_a_row_each(tmp_path: Path) -> None:
    for record in told_by_networks(tmp_path, "transformer:lr=1000:steps=40", p=11, n=60):
        assert record.timing == "alone stacked:2"
        assert record.outcome is Outcome.WRONG
        assert record.notes["cause"].startswith("diverged: transformer: ")


def test_a_users_own_network_goes_side_by_side_where_it_can(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from dataclasses import dataclass\nimport torch\nfrom nets.models import Architecture, normal\n\n"
        "@dataclass(frozen=True)\nclass Plain(Architecture):\n    h: int = 16\n    name = 'plain'\n\n"
        "    def start(self, generator):\n"
        "        return {'U': normal(generator, self.size, self.h, scale=0.2),"
        " 'W': normal(generator, self.h, self.size, scale=0.2)}\n\n"
        "    def forward(self, weights, inputs):\n"
        "        return (weights['U'][inputs[0]] * weights['U'][inputs[1]]) @ weights['W']\n\n"
        "    def tables(self):\n        return (('U', (0, 1)),)\n\n    def flops(self):\n        return 1.0\n\n\n"
        "@dataclass(frozen=True)\nclass Looks(Plain):\n    name = 'looks'\n\n"
        "    def forward(self, weights, inputs):\n"
        "        return super().forward(weights, inputs) * (2 if float(weights['W'].detach().sum()) > 1e9 else 1)\n\n\n"
        "@dataclass(frozen=True)\nclass Slow(Plain):\n    name = 'slow'\n\n"
        "    def differentiate(self, weights, gradients, batch, smoothing=0.0):\n"
        "        step = super().differentiate(weights, gradients, batch, smoothing)\n\n"
        "        def none(inputs, labels):\n            loss, hits = step(inputs, labels)\n"
        "            for x in gradients.values():\n                x.zero_()\n            return loss, hits\n\n"
        "        return none\n\n\n"
        "@dataclass(frozen=True)\nclass Huge(Plain):\n    name = 'huge'\n\n"
        "    def forward(self, weights, inputs):\n        return super().forward(weights, inputs) * 1e30\n"
    )
    plain = told_by_networks(tmp_path, f"{file}:Plain:steps=20", p=11, n=60)
    assert [x.timing for x in plain] == ["alone stacked:2"] * 2
    # The other one looks at its weights, of which a batch has many.
    for record in told_by_networks(tmp_path, f"{file}:Looks:steps=20", p=11, n=60):
        assert record.timing == "alone"
        assert record.notes["stacked"].startswith("no: RuntimeError: vmap")
        assert record.outcome is not Outcome.ERROR
    # This one's gradient is its own, and all zeros.
    for record in told_by_networks(tmp_path, f"{file}:Slow:steps=20:wd=0", p=11, n=60):
        assert record.timing == "alone"
        assert record.notes["stacked"] == "no: its training is for one network at a time"
        assert {x.accuracy for x in record.trace} == {record.trace[0].accuracy}
    # And this one's losses are finite, but nothing can be computed with its logits.
    for stack in ("on", "off"):
        for record in told_by_networks(tmp_path, f"{file}:Huge:steps=20", stack, p=11, n=60):
            assert (record.outcome, record.error) == (Outcome.WRONG, "")
            cause = "diverged: huge: weights or logits are too large to compute with at step 5"
            assert record.notes["cause"] == cause


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("ref", ["bilinear", "transformer", "bilinear+law"])
def test_on_a_gpu_seeds_go_side_by_side_by_default_and_repeat_themselves(tmp_path: Path, ref: str) -> None:
    given = {"p": 23, "examples": [370], "seeds": 2, "seconds": 60.0, "stack": "auto", "device": "cuda"}
    once, again = ([x for x, _ in go(tmp_path / name, ref, **given)] for name in ("one", "two"))
    for one, two in zip(once, again, strict=True):
        assert one.spec.device == "cuda"
        assert one.timing == "alone stacked:2"
        assert one.provenance["gpu"]
        assert (one.notes, one.code, one.work) == (two.notes, two.code, two.work)
    assert any(x.outcome is Outcome.SOLVED for x in once)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_batch_loses_no_run_that_had_ended(tmp_path: Path, how: signal.Signals) -> None:
    methods = f"{METHODS}:ends,{METHODS}:slow"
    command = [
        sys.executable, "-m", "bench.run", "--task", "modadd", "--p", "11", "--methods", methods,
        "--examples", "20,30,40", "--seeds", "3", "--jobs", "2", "--stack", "on", "--out", str(tmp_path),
    ]  # fmt: skip
    runs = tmp_path / "modadd-p11" / "runs"
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    deadline = time.monotonic() + 60
    while len(list(runs.glob("*.json"))) < 3:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, how)
    process.communicate(timeout=30)
    time.sleep(1.0)  # an orphaned worker may still be ending its batch
    kept = {path: path.read_bytes() for path in runs.glob("*.json")}
    assert 3 <= len(kept) < 18
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert len(list(runs.glob("*.json"))) == 18
    assert all(path.read_bytes() == data for path, data in kept.items())
    assert not [*runs.glob("*.part"), *runs.glob("*.stack")]
