"""The film: files and tables of the shape they claim, controls beside them, and one line for whatever is wrong."""

from __future__ import annotations

import csv
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest

from bench.film import film, main
from bench.plots import draw
from bench.registry import load_task
from bench.shots import Shot, law_of, shoot, take, unordered
from nets.dynamics import Measures

NETS = """
from dataclasses import dataclass
from typing import ClassVar
from nets.models import Architecture, normal

@dataclass(frozen=True)
class Table(Architecture):
    name: ClassVar[str] = "table"
    scale: float = 1.0

    def start(self, generator):
        return {"T": normal(generator, self.size, self.size, scale=self.scale)}

    def forward(self, weights, inputs):
        return weights["T"][inputs[0]] + weights["T"][inputs[1]]

    def tables(self):
        return (("T", (0, 1)),)

    def flops(self):
        return 1.0
"""

BAD = [
    ("", "--task"),
    ("--task modad", "modadd"),
    ("--task modadd --q 3", "--p"),
    ("--task modadd --p x", "integer"),
    ("--task modadd --arch relo", "relu"),
    ("--task modadd --arch relu:q=3", "relu:h"),
    ("--task modadd --arch relu:h=x", "integer"),
    ("--task modadd --arch relu:h=-3", "at least 1"),
    ("--task modadd --arch transformer:d=63", "63"),
    ("--task modadd --arch nowhere.py:X", "nowhere.py"),
    ("--task modadd --arch nets.py:Tabel", "Table"),
    ("--task modadd --arch nets.py:dataclass", "Architecture"),
    ("--task a**2 --arch transformer", "inputs"),
    ("--task modadd --recipe delayd", "delayed"),
    ("--task modadd --fraction 0", "0"),
    ("--task modadd --fraction 2", "2"),
    ("--task modadd --fraction nan", "nan"),
    ("--task modadd --fraction x", "x"),
    ("--task modadd --seeds 0", "0"),
    ("--task modadd --seeds", "--seeds"),
    ("--task modadd --sead 3", "sead"),
    ("--task modadd --control twin", "random"),
    ("--task modadd --split half", "cells"),
    ("--task modadd --lr 0", "positive"),
    ("--task modadd --wd -1", "-1"),
    ("--task modadd --steps 0", "0"),
    ("--task modadd --jobs 0", "0"),
    ("--task modadd --device tpu", "cuda"),
    ("--task modadd --out blocked", "blocked"),
    ("modadd", "--task"),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets.py").write_text(NETS)
    (tmp_path / "blocked").write_text("a file where a folder is wanted")
    return tmp_path


@pytest.mark.parametrize(("line", "said"), BAD)
def test_bad_input_is_one_line(folder, capsys, line, said):
    assert main(line.split()) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("bench.film: ")
    assert captured.err.count("\n") == 1
    assert said in captured.err
    assert "Traceback" not in captured.err


def shot(task: str, network: str, fraction: float = 0.5, steps: int = 40, **settings) -> Shot:
    loaded = load_task(task, {"p": 11} if "p" not in settings else {"p": settings.pop("p")})
    n = round(fraction * len(loaded.task.domain))
    return Shot(
        loaded.ref, loaded.params, network, "delayed", n, 0, changes={"steps": steps, "settle": 0.0}, **settings
    )


def rows_of(path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("network", ["bilinear", "quadratic", "relu:h=16", "transformer:d=8"])
def test_a_shot_and_its_twin(network):
    told = []
    first, twin = take(shot("modadd", network, twin=True), told.append)
    assert told == sorted(told)
    assert told[-1] == 1
    assert first.steps == twin.steps == sorted(set(first.steps))
    assert set(first.trace) == {x.name for x in fields(Measures)}
    assert all(len(x) == len(first.steps) for x in first.trace.values())
    assert first.power is not None
    assert first.power.shape == (len(first.steps), 5)
    assert (first.power >= 0).all()
    assert [x.step for x in first.portraits][:: len(first.portraits) - 1] == [first.steps[0], first.steps[-1]]
    assert first.law == twin.law != ""
    assert first.trace["train_loss"][-1] < first.trace["train_loss"][0]


def test_the_same_shot_is_the_same_footage():
    one, two = shoot(shot("modadd", "relu")), shoot(shot("modadd", "relu"))
    assert one.trace == two.trace


def test_the_twin_keeps_the_tasks_symmetry():
    assert unordered(load_task("modadd", {"p": 7}).task)
    assert not unordered(load_task("modsub", {"p": 7}).task)
    assert unordered(load_task("modadd3", {"p": 5}).task)


@pytest.mark.parametrize(
    ("task", "p", "basis"), [("modadd", 11, "additive"), ("modmul", 11, "dlog"), ("affine", 12, "additive")]
)
def test_laws_of_tasks(task, p, basis):
    law = law_of(load_task(task, {"p": p}).task)
    assert law is not None
    assert law.basis == basis


@pytest.mark.parametrize("task", ["modmax", "a**2", "random"])
def test_tasks_without_a_law_are_filmed_without_it(task):
    found = shoot(shot(task, "relu"))
    assert found.law == ""
    assert found.power is None
    assert found.portraits == []
    assert found.keys == ()
    assert "variance_explained" not in found.transitions
    assert "train_accuracy" in found.transitions


def test_three_inputs_composite_moduli_and_all_cells():
    assert shoot(shot("modadd3", "transformer", p=5)).law != ""
    whole = shoot(shot("a + 5*b", "quadratic", fraction=1.0, p=6))
    assert whole.law != ""
    assert whole.trace["test_loss"][-1] is None


def test_a_run_that_diverges_says_so(folder, capsys):
    line = "--task modadd --p 11 --arch quadratic --lr 1e8 --seeds 1 --control none"
    assert main(line.split()) == 2
    assert "diverged" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_writes_tables_and_plots(folder, capsys):
    line = "--task modadd --p 11 --arch relu:h=16 --seeds 2 --steps 60 --settle 0 --jobs 2 --fraction .5"
    assert main(line.split()) == 0
    out = capsys.readouterr().out
    assert "variance explained" in out
    (made,) = (folder / "results" / "modadd-p11").iterdir()
    rows = {name: rows_of(made / f"{name}.csv") for name in ("checkpoints", "transitions")}
    assert {(x["labels"], x["seed"]) for x in rows["checkpoints"]} == {(a, b) for a in ("task", "random") for b in "01"}
    assert {x["step"] for x in rows["checkpoints"]} == {str(x) for x in range(5, 61, 5)}
    assert {x["cause"] for x in rows["checkpoints"]} == {"", "budget"}
    assert "variance_explained" in {x["measure"] for x in rows["transitions"]}
    shares = rows_of(made / "spectrum.csv")
    assert len(shares) == 4 * 12 * 5
    for name in ("curve", "measures", "order", "spectrum", "circle", "phases"):
        assert (made / "plots" / f"{name}.png").read_bytes()[:4] == b"\x89PNG"
        assert (made / "plots" / f"{name}.pdf").read_bytes()[:4] == b"%PDF"


@pytest.mark.slow
def test_plots_without_a_law_are_those_that_need_none(folder):
    plots = draw(load_task("modmax", {"p": 5}), [shoot(shot("modmax", "relu", p=5))], folder)
    assert {x.name for x in plots} == {f"{x}.{kind}" for x in ("curve", "measures", "order") for kind in ("pdf", "png")}


def test_from_python_without_a_law(folder):
    rolls = film("modmax", p=5, arch="nets.py:Table:scale=0.5", seeds=1, control="none", steps=20, jobs=1, plots=False)
    assert set(rolls.checkpoints["labels"]) == {"task"}
    assert rolls.checkpoints["variance_explained"].isna().all()
    assert rolls.checkpoints["hidden_rank"].isna().all()
    assert rolls.spectrum.empty
    assert not (rolls.folder / "spectrum.csv").exists()
    assert not (rolls.folder / "plots").exists()
    assert np.isfinite(rolls.checkpoints["train_loss"].astype(float)).all()


def test_help_needs_no_torch():
    heavy = "{'torch', 'matplotlib', 'pandas', 'scipy'}"
    code = f"import sys, bench.film as f; f.main(['--help']); sys.exit(bool({heavy} & {{*sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "--arch" in done.stdout
