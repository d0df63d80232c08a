"""What numbers may be: ranges in annotations, refused before anything runs, of built-ins and of users' own."""

from __future__ import annotations

from itertools import product
from typing import Annotated, Literal

import pytest

from bench.errors import UserError
from bench.parameters import Range, bind, parameters_of
from bench.plan import plan
from bench.registry import list_methods, load_method

METHODS = """
from dataclasses import dataclass
from typing import Annotated, ClassVar
from bench.method import method
from bench.parameters import Range
from nets.models import Architecture, normal

def fits(size, arity, given):
    if given.get("k", 2) > size:
        raise ValueError(f"expected k up to {size}, got {given['k']}")

@method("mine", version=1, family="user", check=fits)
def mine(
    problem, budget, rng, k: Annotated[int, Range(least=2, most=50)] = 2, eps: Annotated[float, Range(above=0)] = 1
):
    yield

@dataclass(frozen=True)
class Net(Architecture):
    name: ClassVar[str] = "net"
    h: Annotated[int, Range(least=1)] = 4
    wrong: bool = False

    def start(self, generator):
        shapes = {"U": (self.size, self.h), "W": (self.h, self.size)}
        return {name: normal(generator, *shape, scale=1.0) for name, shape in shapes.items()}

    def forward(self, weights, inputs):
        logits = (weights["U"][inputs[0]] + weights["U"][inputs[1]]).square() @ weights["W"]
        return logits[:, 1:] if self.wrong else logits

    def tables(self):
        return (("U", (0, 1)),)

    def flops(self):
        return 1.0

@dataclass(frozen=True)
class Nameless(Architecture):
    start, forward, tables, flops, h, wrong = Net.start, Net.forward, Net.tables, Net.flops, 4, False

@dataclass(frozen=True)
class Listed(Net):
    name: ClassVar = ["net"]

def careless(size, arity, given):
    return given["depth"]

def leaving(size, arity, given):
    raise SystemExit(4)

@method("torn", version=1, family="user", check=careless)
def torn(problem, budget, rng, depth: int = 1):
    yield

@method("gone", version=1, family="user", check=leaving)
def gone(problem, budget, rng):
    yield
"""

REFUSED = [
    ("bilinear:h=-1", "an integer from 1 to 1048576"),
    ("bilinear:h=0", "from 1"),
    ("bilinear:h=1048577", "to 1048576"),
    ("bilinear:lr=1e300", "a number above 0 and of at most 1e+30"),
    ("bilinear:wd=1e7", "a number from 0 to 1000000"),
    ("bilinear:steps=1000000001", "to 1000000000"),
    ("bilinear:lr=-1", "a number above 0"),
    ("bilinear:lr=0", "a number above 0"),
    ("bilinear:lr=nan", "a number above 0"),
    ("bilinear:wd=-1", "from 0"),
    ("bilinear:wd=inf", "a number"),
    ("bilinear:steps=0", "from 1"),
    ("bilinear:steps=1.5", "an integer"),
    ("bilinear+law:h=0", "from 1"),
    ("relu:h=0", "from 1"),
    ("relu:d=-1", "from 1"),
    ("quadratic:h=1e3", "an integer"),
    ("transformer:heads=3", "d = 128 and heads = 3"),
    ("transformer:heads=96:recipe=sparse", "d = 128 and heads = 96"),
    ("transformer:d=66", "d = 66 and heads = 4"),
    ("transformer+law:heads=5:d=64", "heads = 5"),
    ("transformer:heads=0", "from 1"),
    ("rfm:rounds=0", "from 1"),
    ("rfm:ridge=0", "above 0"),
    ("mixture:programs=-1", "of at least 0"),
    ("cegis:components=0", "of at least 1"),
    ("cvc5:rlimit=-1", "of at least 0"),
    ("gplearn:population=-5", "of at least 0"),
    ("my.py:mine:k=1", "from 2 to 50"),
    ("my.py:mine:k=51", "an integer from 2 to 50"),
    ("my.py:mine:k=12", "k up to 11, got 12"),
    ("my.py:mine:eps=0", "above 0"),
    ("my.py:torn", "my.py:torn: its check: KeyError: 'depth'"),
    ("my.py:gone", "my.py:gone: its check: SystemExit: 4"),
    ("my.py:Nameless", "Nameless: name: expected a text"),
    ("my.py:Listed", "Listed: name: expected a text, name: ClassVar[str] = 'listed', got ['net']"),
    ("my.py:Net:h=0", "an integer of at least 1"),
    ("my.py:Net:wrong=true", "(3, 11) for 3 cells, got (3, 10)"),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.py").write_text(METHODS)
    return tmp_path


@pytest.mark.parametrize(("ref", "said"), REFUSED)
def test_what_is_out_of_range_is_refused_before_anything_runs(folder, ref, said):
    with pytest.raises(UserError) as caught:
        plan("modadd", {"p": "11"}, methods=[ref])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert ref.removeprefix("my.py:").partition(":")[0] in str(caught.value)


def test_what_is_in_range_is_planned(folder):
    refs = [
        "bilinear:h=1:lr=1e30:wd=0:steps=1",
        "transformer:d=66:heads=3",
        "transformer:heads=128",
        "my.py:mine:k=11",
        "my.py:Net:h=1",
        "rfm",
    ]
    assert len(plan("modadd", {"p": "11"}, methods=refs).chains) == len(refs)


def test_what_takes_no_such_task_is_planned_all_the_same(folder):
    assert plan("a**2", {"p": "11"}, methods=["transformer"]).chains  # and ends as inapplicable


def test_defaults_are_in_their_own_range():
    for found in list_methods():
        assert load_method(found.name)[1] == {}

    def wrong(h: Annotated[int, Range(least=1)] = 0):
        del h

    with pytest.raises(UserError, match="wrong: h: expected an integer of at least 1, got 0"):
        parameters_of(wrong)


def test_a_range_is_of_numbers_and_printed_in_full():
    assert str(Range(least=1, most=12345678)) == "from 1 to 12345678"
    assert str(Range(above=1e-12, most=0.1)) == "above 1e-12 and of at most 0.1"

    def worded(word: Annotated[str, Range(most=3)] = "x"):
        del word

    def chosen(word: Annotated[Literal["x", "y"], Range(most=3)] = "x"):
        del word

    for function in (worded, chosen):
        with pytest.raises(UserError, match=f"{function.__name__}: parameter word: a Range is of an int or a float"):
            parameters_of(function)


def test_ranges_among_other_annotations():
    def function(
        a: Annotated[int | None, Range(least=1)] = None,
        b: Annotated[float, Range(above=0, most=1)] | None = None,
        c: Annotated[Literal["x", "y"], "a note"] = "x",
        d: Annotated[int, "a note", Range(most=3)] = 3,
    ):
        del a, b, c, d

    known = parameters_of(function)
    assert [x.type for x in known] == [int, float, str, int]
    assert bind("f", known, {}) == {"c": "x", "d": 3}
    assert bind("f", known, {"a": "1", "b": "1", "d": "-7"}) == {"a": 1, "b": 1.0, "c": "x", "d": -7}
    for name, value in (("a", "0"), ("b", "0"), ("b", "1.5"), ("c", "z"), ("d", "4")):
        with pytest.raises(UserError, match=f"--{name}: expected"):
            bind("f", known, {name: value})


def test_the_transformers_own_widths_are_those_of_the_network():
    from bench.methods import transformer
    from nets.recipes import RECIPES, widths
    from nets.transformer import Transformer

    for recipe, n, alike in product(RECIPES, (5, 500, 3000), (None, False, True)):
        network = Transformer(59, 2, **widths("transformer", 59, 2, n, recipe, alike))
        assert (network.d, network.heads) == (transformer.D, transformer.HEADS), recipe
