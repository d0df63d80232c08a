"""The film: files and tables of the shape they claim, controls beside them, and one line for whatever is wrong."""

from __future__ import annotations

import csv
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from string import ascii_letters, digits

import numpy as np
import pytest

from bench import plots, shots
from bench.canister import TABLES, aside, publish
from bench.curves import measures
from bench.errors import RunFailed, UserError
from bench.film import film, main
from bench.pictures import circle, spectrum
from bench.reel import ROWS, turned
from bench.registry import load_task
from bench.shots import Shot, law_of, shoot, take, unordered
from bench.storyboard import folder_name, storyboard
from nets.dynamics import Measures, loss
from nets.models import fresh
from nets.recipes import RECIPES
from nets.transitions import transition

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

class Narrow(Table):
    def forward(self, weights, inputs):
        return weights["T"][inputs[0]][:, :-1]

class Loud(Table):
    def forward(self, weights, inputs):
        return weights["S"][inputs[0]]

class Silent(Table):
    def forward(self, weights, inputs):
        return weights["T"][inputs[0]].detach()

class Mortal(Table):
    def forward(self, weights, inputs):
        import multiprocessing, os, pathlib
        grave = pathlib.Path("grave")
        if multiprocessing.parent_process() is not None and len(list(grave.iterdir())) < int(grave.stat().st_mode & 7):
            (grave / str(os.getpid())).touch()
            os._exit(9)
        return super().forward(weights, inputs)

class Elsewhere(Table):
    def tables(self):
        return (("T", (0, 2)),)

class Quits(Table):
    def start(self, generator):
        if generator.initial_seed() == 1:
            raise SystemExit("enough")
        return super().start(generator)

class Vanishes(Table):
    def start(self, generator):
        import os
        if generator.initial_seed() == 1:
            os._exit(3)
        return super().start(generator)

@dataclass(frozen=True)
class Nameless(Architecture):
    start, forward, tables, flops = Table.start, Table.forward, Table.tables, Table.flops
    scale: float = 1.0
"""

BAD = [
    ("", "--task"),
    ("--task modad", "modadd"),
    ("--task modadd --q 3", "--p"),
    ("--task modadd --p x", "integer"),
    ("--task modadd --arch relo", "relu"),
    ("--task modadd --arch relu:q=3", "relu:h"),
    ("--task modadd --arch relu:h=x", "integer"),
    ("--task modadd --arch relu:h=3:h=4", "twice"),
    ("--task modadd --arch relu:h", "relu:option=value"),
    ("--task modadd --arch relu:h=-3", "from 1"),
    ("--task modadd --arch transformer:d=63", "63"),
    ("--task modadd --p 11 --arch nets.py:Narrow", "(3, 11) for 3 cells, got (3, 10)"),
    ("--task modadd --arch nets.py:Loud", "nets.py:29: KeyError"),
    ("--task modadd --arch nets.py:Silent", "nets.py: RuntimeError"),
    ("--task modadd --arch nets.py:Elsewhere", "(0, 2)"),
    ("--task modadd --arch nets.py:Nameless", "Nameless: name: expected"),
    ("--task modadd --arch nets.py:Table:scale=x", "Table:scale"),
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
    ("--task modadd --lr 0", "above 0"),
    ("--task modadd --lr nan", "nan"),
    ("--task modadd --lr 1e300", "of at most 1e+30"),
    ("--task modadd --wd -1", "from 0"),
    ("--task modadd --settle inf", "inf"),
    *((f"--task modadd --{flag} {x}", "1") for flag in ("steps", "seeds", "jobs") for x in ("0", "-3", "2.5")),
    *((f"--task modadd --steps {x}", "an integer") for x in ("nan", "inf", "1e3", "x")),
    ("--task modadd --seeds 1.5", "'1.5'"),
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


def folders(*, changes=None, seeds=1, **asked) -> set[str]:
    settings = {"arch": "relu", "recipe": "delayed", "fraction": 0.4, "control": "none", "split": "cells"} | asked
    _, made, folder = storyboard(
        "modadd", {"p": "11"}, **settings, seeds=seeds, changes=changes or {}, jobs=1, device="cpu", out="r"
    )
    assert folder.name == folder_name(made)
    return {folder.name}


def rows_of(path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("network", ["bilinear", "quadratic", "relu:h=16", "transformer:d=8"])
def test_a_shot_and_its_twin(network):
    told = []
    found = take(shot("modadd", network, twin=True), told.append)
    assert found.failure == ""
    first, twin = found.footages
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


@pytest.mark.parametrize("network", ["quadratic:h=1", "nets.py:Table:scale=0", "nets.py:Table:scale=1e7"])
def test_networks_at_the_edge_are_filmed_and_drawn(folder, network):
    found = shoot(replace(shot("modmul", network, p=5), changes={"steps": 5, "settle": 0.0}))
    assert {x.circle.shape for x in found.portraits} == {(4, 2)}
    for figure in (circle(found, ""), spectrum(found, None, "")):
        figure.draw_without_rendering()


def test_three_inputs_composite_moduli_and_all_cells():
    assert shoot(shot("modadd3", "transformer", p=5)).law != ""
    whole = shoot(shot("a + 5*b", "quadratic", fraction=1.0, p=6))
    assert whole.law != ""
    assert whole.trace["test_loss"][-1] is None


@pytest.mark.parametrize("network", ["bilinear", "relu", "transformer", "nets.py:Table:scale=3"])
def test_the_film_begins_with_the_untrained_network(folder, network):
    told = shot("modadd", network)
    found = shoot(told)
    assert found.steps[:2] == [0, 5]
    task = load_task("modadd", {"p": 11}).task
    made = fresh(shots.network_of(network, "delayed", 11, 2, told.n, True), told.seed)
    cells, labels, _ = shots.stream_of(task, told).examples(told.n)
    assert found.trace["train_loss"][0] == pytest.approx(loss(made.logits(cells), labels), rel=1e-6)
    still = shoot(replace(told, changes={"steps": 5, "rate": 1e-9, "decay": 0.0}))  # training starts there too
    assert still.trace["train_loss"][1] == pytest.approx(still.trace["train_loss"][0], rel=1e-4)


DIVERGING = "--task modadd --p 11 --arch quadratic --lr 1e8 --control none --jobs 1 --no-plots"


def test_a_run_that_diverges_is_filmed_as_far_as_it_went(folder, capsys):
    assert main(f"{DIVERGING} --seeds 2".split()) == 1
    assert "quadratic, seeds 0, 1: diverged: quadratic: the training loss is" in capsys.readouterr().err
    (made,) = (folder / "results" / "modadd-p11").iterdir()
    rows = rows_of(made / "checkpoints.csv")
    assert [x["step"] for x in rows] == ["0", "0"]
    assert all(x["cause"].startswith("diverged: ") for x in rows)
    assert np.isfinite([float(x["train_loss"]) for x in rows]).all()


def test_weights_that_grow_out_of_range_end_a_film(folder):
    found = shoot(replace(shot("modadd", "bilinear", steps=20), changes={"rate": 1e5, "steps": 20, "settle": 0.0}))
    assert found.cause.startswith("diverged")
    assert all(np.isfinite([x for x in values if x is not None]).all() for values in found.trace.values())


def test_a_run_that_fails_costs_no_other(folder, capsys, monkeypatch):
    whole = shots.shoot

    def failing(told, *arguments):
        if told.seed == 1 or (told.seed == 2 and told.control):
            raise MemoryError("no room")
        return whole(told, *arguments)

    monkeypatch.setattr(shots, "shoot", failing)
    line = "--task modadd --p 5 --arch relu:h=8 --steps 10 --seeds 3 --jobs 1 --no-plots --quiet"
    assert main(line.split()) == 1
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "bench.film: relu:h=8, seed 1: MemoryError: no room",
        "bench.film: relu:h=8, seed 2: on random labels: MemoryError: no room",
    ]
    (made,) = (folder / "results" / "modadd-p5").iterdir()
    rows = rows_of(made / "checkpoints.csv")
    assert {(x["seed"], x["labels"]) for x in rows} == {("0", "task"), ("0", "random"), ("2", "task")}
    with pytest.warns(RuntimeWarning, match="seed 1: MemoryError"):
        rolls = film("modadd", p=5, arch="relu:h=8", steps=10, seeds=2, jobs=1, control="none", plots=False)
    assert set(rolls.checkpoints["seed"]) == {0}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "why", "jobs"),
    [("Quits", "SystemExit: enough", 1), ("Quits", "SystemExit: enough", 2), ("Vanishes", "its process died", 1)],
)
def test_a_network_that_ends_its_process_costs_its_own_seed(folder, capsys, name, why, jobs):
    line = f"--task modadd --p 5 --arch nets.py:{name} --seeds 3 --jobs {jobs} --steps 10 --control none --no-plots"
    assert main(f"{line} --quiet".split()) == 1
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"bench.film: nets.py:{name}, seed 1: {why}")
    (made,) = (folder / "results" / "modadd-p5").iterdir()
    assert {x["seed"] for x in rows_of(made / "checkpoints.csv")} == {"0", "2"}


@pytest.mark.slow
@pytest.mark.parametrize(("deaths", "status"), [(1, 0), (7, 1)])
def test_a_process_that_dies_takes_no_other_with_it(folder, capsys, deaths, status):
    (folder / "grave").mkdir()
    (folder / "grave").chmod(0o770 + deaths)  # how many may die, where every process can read it
    line = "--task modadd --p 5 --arch nets.py:Mortal --seeds 2 --jobs 2 --steps 10 --control none --no-plots --quiet"
    assert main(line.split()) == status
    said = capsys.readouterr().err
    assert said == (
        "" if status == 0 else "bench.film: nets.py:Mortal, seeds 0, 1: its process died; is there enough memory?\n"
    )
    assert (folder / "results").exists() == (status == 0)


def test_where_all_runs_fail_nothing_is_left(folder, capsys, monkeypatch):
    def failing(*_):
        raise ValueError("no such weather")

    monkeypatch.setattr(shots, "shoot", failing)
    tiny = "--task modadd --p 5 --arch relu --jobs 1 --quiet"
    assert main(f"{tiny} --seeds 2".split()) == 1
    assert capsys.readouterr().err == "bench.film: relu, seeds 0, 1: ValueError: no such weather\n"
    assert not (folder / "results").exists()
    with pytest.raises(RunFailed, match="weather"):
        film("modadd", p=5, arch="relu", seeds=1, jobs=1)


def test_every_setting_has_a_folder_of_its_own(folder):
    same = folders() | folders(changes={})
    assert same == {"film-relu-delayed-n48-1seed-alone"}
    different = [
        folders(), folders(seeds=2), folders(control="random"), folders(split="pairs"), folders(recipe="fast"),
        folders(fraction=0.5), folders(arch="relu:h=8"), folders(arch="relu:h=80"), folders(arch="nets.py:Table"),
        *(folders(changes={"decay": x}) for x in (1e6, 1e-6, 1.0, 1.0000001)), folders(changes={"rate": 1.0}),
        folders(arch="relu:h=8", changes={"decay": 1.0}),
    ]  # fmt: skip
    (folder / "nets.py").write_text(NETS + "\n")
    different.append(folders(arch="nets.py:Table"))
    names = set.union(*different)
    assert len(names) == len(different)
    assert all(len(x) <= 80 and set(x) <= set(ascii_letters + digits + "-_") for x in names)


def test_a_measure_that_turned_back_is_marked():
    steps, trace = list(range(0, 200, 5)), np.arange(40.0)
    there = transition(steps, list(trace), [None] * 40)
    back = transition(steps, list(np.minimum(trace, 50 - trace)), [None] * 40)
    assert [turned(x) for x in ([there], [back], [there, back], [there, back, back], [])] == [
        False,
        True,
        False,
        True,
        False,
    ]


def test_every_table_is_known_to_the_folder():
    assert tuple(ROWS) == TABLES


def test_a_film_made_again_leaves_nothing_of_the_one_before(tmp_path):
    old, new = tmp_path / "film", tmp_path / "aside"
    for place, names in ((old, ("checkpoints.csv", "spectrum.csv", "notes.txt", "plots/circle.png")),
                         (new, ("checkpoints.csv", "transitions.csv"))):  # fmt: skip
        (place / "plots").mkdir(parents=True)
        for name in names:
            (place / name).write_text(place.name)
    publish(new, old)
    assert {x.name: x.read_text() for x in old.iterdir()} == {
        "checkpoints.csv": "aside", "transitions.csv": "aside", "notes.txt": "film",
    }  # fmt: skip


def block(folder, what: str) -> None:
    """Put something where a film cannot be."""
    if what == "nowhere":
        folder.parent.mkdir()
        folder.symlink_to("nowhere")
    elif what == "file":
        folder.parent.mkdir()
        folder.write_text("")
    elif what == "plots":
        folder.mkdir(parents=True)
        (folder / "plots").write_text("")
    else:
        (folder / what).mkdir(parents=True)


@pytest.mark.parametrize("what", ["nowhere", "file", "plots", "checkpoints.csv", "plots/circle.pdf"])
def test_what_is_in_the_way_is_told_before_anything_is_trained(tmp_path, what):
    film = tmp_path / "results" / "film"
    block(film, what)
    with pytest.raises(UserError, match=r"--out: can't write to .*film: it"), aside(film):
        raise AssertionError("never came here")
    assert [x.name for x in film.parent.iterdir()] == ["film"]


def test_a_folder_that_cannot_be_made_leaves_nothing(tmp_path):
    with pytest.raises(UserError, match="--out: can't write to"), aside(tmp_path / "a" / ("b" * 300) / "film"):
        raise AssertionError("never came here")
    assert list(tmp_path.iterdir()) == []


def test_what_comes_in_the_way_meanwhile_loses_no_film(tmp_path):
    film = tmp_path / "results" / "film"

    def put() -> None:
        with aside(film) as place:
            (place / "checkpoints.csv").write_text("new")
            (film / "checkpoints.csv").mkdir(parents=True)
            publish(place, film)

    with pytest.raises(RunFailed, match="the film is in ") as caught:
        put()
    place = Path(str(caught.value).partition("the film is in ")[2])
    assert (place / "checkpoints.csv").read_text() == "new"


@pytest.mark.slow
def test_the_command_writes_tables_and_plots(folder, capsys):
    line = "--task modadd --p 11 --arch relu:h=16 --seeds 2 --steps 150 --settle 0 --jobs 2 --fraction .5"
    assert main(line.split()) == 0
    out = capsys.readouterr().out
    assert "variance explained" in out
    assert out.endswith(": anatomy.csv checkpoints.csv spectrum.csv tokens.csv transitions.csv units.csv plots/\n")
    (made,) = (folder / "results" / "modadd-p11").iterdir()
    rows = {name: rows_of(made / f"{name}.csv") for name in ("checkpoints", "transitions")}
    assert {(x["labels"], x["seed"]) for x in rows["checkpoints"]} == {(a, b) for a in ("task", "random") for b in "01"}
    steps = {int(x["step"]) for x in rows["checkpoints"]}
    assert steps >= {*range(0, 101, 5)}
    assert max(steps) == 150
    assert {x["cause"] for x in rows["checkpoints"]} == {"", "budget"}
    assert "variance_explained" in {x["measure"] for x in rows["transitions"]}
    shares = rows_of(made / "spectrum.csv")
    assert len(shares) == 4 * len(steps) * 5
    last = {"step": "150", "labels": "task", "seed": "1"}
    keys = {x["frequency"] for x in shares if last.items() <= x.items() and x["key"] == "true"}
    (whole,) = (x for x in rows_of(made / "anatomy.csv") if last.items() <= x.items() and x["piece"] == "network")
    assert {*whole["key_frequencies"].split()} == keys != set()
    for name, key in (("anatomy", "piece"), ("units", "unit"), ("tokens", "token")):
        found = rows_of(made / f"{name}.csv")
        assert any(row[key] != "" and last.items() <= row.items() for row in found)
    for name in ("curve", "measures", "order", "spectrum", "circle", "phases"):
        assert (made / "plots" / f"{name}.png").read_bytes()[:4] == b"\x89PNG"
        assert (made / "plots" / f"{name}.pdf").read_bytes()[:4] == b"%PDF"


@pytest.mark.slow
def test_plots_without_a_law_are_those_that_need_none(folder):
    drawn = plots.draw(load_task("modmax", {"p": 5}), [shoot(shot("modmax", "relu", p=5))], folder)
    assert {x.name for x in drawn} == {f"{x}.{kind}" for x in ("curve", "measures", "order") for kind in ("pdf", "png")}


def test_plots_tell_what_they_show():
    found = take(shot("modmul", "bilinear", twin=True)).footages
    figure = circle(found[0], "modmul")
    written = {int(x.get_text()) for axes in figure.axes for x in axes.texts}
    assert 0 not in written  # it has no logarithm, and no place on the circle
    assert written <= set(range(11))
    assert "order\u00a0of" in figure.get_suptitle()
    assert "log\u00a0x" in figure.get_suptitle()
    panels = {x.get_title(): x for x in measures(found[:1], found[1:], "modmul").axes}
    code = panels["code length / table of labels"]
    assert code.get_ylim()[1] > max(x for x in found[0].trace["code_ratio"] if x is not None)
    long = spectrum(found[0], None, "a rather long title " * 9)
    assert max(map(len, long.get_suptitle().splitlines())) < 16 * long.get_figwidth()
    assert " ".join(long.get_suptitle().split()).count("a rather long title") == 9


def test_a_panel_has_the_lines_that_there_are():
    found = shoot(shot("modadd", "relu"))
    accuracies = {"removed_accuracy": [0.1] * len(found.steps), "disturbed_accuracy": [0.2] * len(found.steps)}
    changed = {k: v for k, v in found.transitions.items() if "removed" not in k and "disturbed" not in k}
    for known, told in (((), None), (("disturbed_accuracy",), ["noise of equal energy"]),
                        (tuple(accuracies), ["keys removed", "noise of equal energy"])):  # fmt: skip
        trace = {**found.trace, "removed_random_accuracy": [None] * len(found.steps)}
        trace |= {name: accuracies[name] if name in known else [None] * len(found.steps) for name in accuracies}
        more = {name: transition(found.steps, accuracies[name], trace["test_accuracy"]) for name in known}
        figure = measures([replace(found, trace=trace, transitions={**changed, **more})], [], "")
        panels = {x.get_title(): x.get_legend() for x in figure.axes}
        assert ("accuracy with weights changed" in panels) == bool(known)
        if told:
            assert [x.get_text() for x in panels["accuracy with weights changed"].get_texts()] == told


def test_a_legend_names_no_line_that_is_not_there():
    whole = [shoot(shot("a + 5*b", "quadratic", fraction=1.0, p=6))]
    axes = plots.curve(whole, [], "no cell is held out").axes
    assert [[x.get_text() for x in y.get_legend().get_texts()] for y in axes] == [["examples"], ["examples"]]


def test_from_python_without_a_law(folder):
    settings = {"arch": "nets.py:Table:scale=0.5", "seeds": 1, "control": "none", "steps": 20, "jobs": 1}
    rolls = film("modmax", p=5, **settings, plots=False)
    assert set(rolls.checkpoints["labels"]) == {"task"}
    assert rolls.checkpoints["variance_explained"].isna().all()
    assert rolls.checkpoints["hidden_rank"].isna().all()
    assert rolls.spectrum.empty
    assert {x.name for x in rolls.folder.iterdir()} == {"checkpoints.csv", "transitions.csv"}
    assert np.isfinite(rolls.checkpoints["train_loss"].astype(float)).all()


def test_help_needs_no_torch():
    heavy = "{'torch', 'matplotlib', 'pandas', 'scipy'}"
    code = f"import sys, bench.film as f; f.main(['--help']); sys.exit(bool({heavy} & {{*sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "--arch" in done.stdout
    assert all(name in done.stdout.partition("--recipe")[2].partition("--fraction")[0] for name in RECIPES)
