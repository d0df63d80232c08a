"""The command: bad input is one line and exit 2, results are files, an interrupted run goes on."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.leaderboard import COLUMNS
from bench.run import main, run

METHODS = Path(__file__).with_name("helpers_methods.py")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "broken.py").write_text("def f(:\n")
    (tmp_path / "leaves.py").write_text(
        "from bench.task import Task, task\n@task(version=1)\ndef t(p: int = 7):\n"
        "    return Task(modulus=p, arity=2, target=lambda a, b: a + b)\n"
        "@task(version=1)\ndef f(p: int = 7):\n"
        "    return Task(modulus=p, arity=2, target=lambda a, b: a / 2)\n"
    )
    (tmp_path / "blocked").write_text("a file where a folder is wanted")
    return tmp_path


BAD = [
    ("", "--task"),
    ("--task modad", "modadd"),
    ("--task modadd --q 3", "--p"),
    ("--task modadd --methods bilinaer", "bilinear"),
    ("--task modadd --sead 3", "'--sead'|--seeds"),
    ("--task modadd --p 0", "0"),
    ("--task modadd --p 1", "1"),
    ("--task modadd --p -3", "-3"),
    ("--task modadd --p x", "integer"),
    ("--task modadd --p 1e9", "integer"),
    ("--task modadd --p", "--p"),
    ("--task moddiv --p 60", "prime"),
    ("--task a/b --p 60", "prime"),
    ("--task f(a)", "call"),
    ("--task __import__('os').system('id')", "call"),
    ("--task a.b", "attribute"),
    ("--task a+z", "z"),
    ("--task a**1000000000", "exponent"),
    ("--task a**b", "exponent"),
    ("--task a+", "syntax"),
    ("--task a;b", "syntax"),
    ("--task empty.py:mytask", "mytask"),
    ("--task nowhere.py:mytask", "nowhere.py"),
    ("--task broken.py:f", "broken.py"),
    ("--task leaves.py:t", "leaves|outside|carrier"),
    ("--task leaves.py:f", "integer"),
    ("--task modadd --examples 3482", "3481"),
    ("--task modadd --examples x", "whole numbers"),
    ("--task modadd --examples -1", "-1"),
    ("--task modadd --fractions 1.5", "1.5"),
    ("--task modadd --fractions nan", "nan"),
    ("--task modadd --examples 5 --fractions .1", "one of the two"),
    ("--task modadd --seconds -1", "-1"),
    ("--task modadd --seconds nan", "nan"),
    ("--task modadd --seconds soon", "soon"),
    ("--task modadd --noise 2", "2"),
    ("--task modadd --seeds 0", "0"),
    *((f"--task modadd --{flag} 2.5", "'2.5'") for flag in ("seeds", "jobs", "threads", "memory-mib")),
    ("--task modadd --jobs 0", "0"),
    ("--task modadd --threads 0", "0"),
    ("--task modadd --split half", "cells"),
    ("--task modadd --device tpu", "cuda"),
    ("--task modadd --stack maybe", "auto, on, off"),
    ("--task modadd --language feild", "field"),
    ("--task s5 --language ring", "group"),
    ("--task modadd --retry eror", "error"),
    ("--task modadd --out blocked", "blocked"),
    ("--task modadd --out /proc/nothing", "/proc/nothing"),
    ("--task modadd --methods bilinear:hh=3", "hh"),
    ("--task modadd --methods bilinear:h=x", "integer"),
    ("modadd", "modadd"),
    ("--task modadd --jobs 99999999999", "1024"),
    ("--task modadd --threads 1000000", "1024"),
    ("--task modadd --examples ,", "nothing"),
    ("--task modadd --methods ,", "nothing"),
]


@pytest.mark.parametrize(("line", "said"), BAD, ids=[line or "nothing" for line, _ in BAD])
def test_bad_input_is_one_clear_line_and_exit_2(folder, capsys, line, said):
    import re

    arguments = line.split(" ") if line else []
    if "--methods" not in arguments and len(arguments) > 2:
        arguments += ["--methods", "lookup"]
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.strip().splitlines()) == 1, captured.err
    assert "Traceback" not in captured.err
    assert re.search(said, captured.err), captured.err


def test_results_are_three_tables_with_the_contracts_columns(tmp_path, capsys):
    assert (
        main(["--task", "modadd", "--p", "11", "--methods", f"{METHODS}:oracle_sum,lookup", "--out", str(tmp_path)])
        == 0
    )
    for name, columns in COLUMNS.items():
        with (tmp_path / "modadd-p11" / f"{name}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
            assert list(rows[0] if rows else columns) == list(columns)
    with (tmp_path / "leaderboard.csv").open(newline="") as file:
        rows = {row["method"]: row for row in csv.DictReader(file)}
    assert rows["oracle_sum"]["n_star"] == "2"
    assert rows["oracle_sum"]["outcome"] == "solved"
    assert rows["lookup"]["n_star"] == ""
    assert rows["lookup"]["n_star_lo"] == rows["lookup"]["n"] == str(round(0.8 * 121))
    assert rows["lookup"]["p"] == "11"
    printed = capsys.readouterr().out
    assert "oracle_sum" in printed
    assert all(len(line) <= 80 for line in printed.splitlines() if str(tmp_path) not in line)


def test_an_error_is_exit_1_and_the_rest_still_ran(tmp_path, capsys):
    methods = f"{METHODS}:raises,{METHODS}:oracle_sum"
    assert main(["--task", "modadd", "--p", "11", "--methods", methods, "--out", str(tmp_path), "--examples", "9"]) == 1
    assert "on purpose" in capsys.readouterr().out
    with (tmp_path / "modadd-p11" / "leaderboard.csv").open(newline="") as file:
        assert {row["outcome"] for row in csv.DictReader(file)} == {"solved", "error"}


def test_the_python_function_returns_the_rows_of_its_own_runs(tmp_path):
    first = run("modadd", p=11, methods=[f"{METHODS}:oracle_sum"], examples=[9, 20], seeds=2, out=tmp_path)
    second = run("modadd", p=11, methods=[f"{METHODS}:oracle_sum"], examples=[5], seeds=1, out=tmp_path)
    assert list(first.leaderboard.columns) == COLUMNS["leaderboard"]
    assert len(first.curves) == 4
    assert len(second.curves) == 1
    assert first.leaderboard["n_star"].tolist() == [9]
    with (tmp_path / "modadd-p11" / "curves.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 5  # the folder's table is of all records there


def test_two_expressions_never_share_a_folder(tmp_path):
    for text in ("a + b", "a - b", "a*b", "a+b", "a + 1*b"):
        main(["--task", text, "--p", "11", "--methods", "lookup", "--examples", "9", "--seeds", "1", "--quiet",
              "--out", str(tmp_path)])  # fmt: skip
    assert len([x for x in tmp_path.iterdir() if x.is_dir()]) == 4  # "a + b" and "a+b" are one


def test_a_users_task_file_works_from_another_folder(tmp_path, monkeypatch):
    (tmp_path / "tasks").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "tasks" / "mine.py").write_text(
        "from bench.task import Task, task\n\n"
        "@task(version=1)\n"
        "def mytask(p: int = 11, k: int = 3):\n"
        "    return Task(modulus=p, arity=2, target=lambda a, b: (a + k * b) % p, formula=f'a + {k}*b')\n"
    )
    monkeypatch.chdir(tmp_path / "elsewhere")
    boards = run("../tasks/mine.py:mytask", k=2, methods=["mitm"], examples=[12], seeds=1)
    assert boards.leaderboard["verdict"].tolist() == ["correct"]
    assert boards.leaderboard["proof"].tolist() == ["identity"]
    assert boards.leaderboard["params"].tolist() == ["k=2"]


def test_a_reader_that_goes_away_is_no_failure(tmp_path):
    command = f"{sys.executable} -m bench.run --task modadd --p 11 --methods lookup --out {tmp_path}"
    for tail in ("", " --list"):
        script = f"{command}{tail} 2>/dev/null | head -1; exit ${{PIPESTATUS[0]}}"
        assert subprocess.run(["bash", "-c", script], capture_output=True).returncode == 0


def test_help_lists_and_dry_runs_print_and_run_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["--help"]) == 0
    assert main(["--version"]) == 0
    assert main(["--list"]) == 0
    assert main(["--task", "modadd", "--dry-run"]) == 0
    printed = capsys.readouterr().out
    for word in ("Examples", "tworoads", "modadd", "relabelled", "bilinear", "runs"):
        assert word in printed
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("flags", [["--help"], ["--list"]])
def test_starting_up_imports_neither_torch_nor_z3(flags):
    code = (
        "import sys; from bench.run import main; main(sys.argv[1:]);"
        "print([m for m in ('torch', 'z3', 'sympy', 'pandas', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, *flags], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_run_loses_nothing_that_had_finished(tmp_path, how):
    command = [
        sys.executable, "-m", "bench.run", "--task", "modadd", "--p", "11",
        "--methods", f"{METHODS}:oracle_sum:wait=0.2",
        "--examples", ",".join(map(str, range(1, 31))), "--seeds", "1", "--jobs", "2", "--out", str(tmp_path),
    ]  # fmt: skip
    runs = tmp_path / "modadd-p11" / "runs"
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    deadline = time.monotonic() + 60
    while len(list(runs.glob("*.json"))) < 4:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, how)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == (-9 if how == signal.SIGKILL else 130)
    if how != signal.SIGKILL:
        assert errors.decode().strip().splitlines()[-1].startswith("interrupted")
    time.sleep(0.5)  # an orphaned worker may still be ending its run
    kept = {path: path.read_bytes() for path in runs.glob("*.json")}
    assert 4 <= len(kept) < 30
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert len(list(runs.glob("*.json"))) == 30
    assert all(json.loads(data) and path.read_bytes() == data for path, data in kept.items())
    assert not list(runs.glob("*.part"))
