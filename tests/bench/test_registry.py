"""Whatever is typed finds its task or method, or gets one clear line; nothing typed is ever run as code."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import registry
from bench.errors import UserError
from bench.method import Budget, Problem, method
from bench.registry import list_methods, list_tasks, load_method, load_task
from bench.stream import Stream
from bench.task import Task, task
from synth.language import language

MINE = '''
    """A user's own file."""
    from __future__ import annotations
    from dataclasses import dataclass
    import helper_beside_it as helper
    from bench.method import Candidate, method
    from bench.task import Task, task

    @dataclass
    class Thing:
        x: int

    @task(version=2)
    def mine(p: int = 7, shift: int = 0, loud: bool = False, scale: float = 1.0, kind: str = "x"):
        """My task."""
        return Task(modulus=p, target=lambda a, b: helper.add(a, b, shift) % p)

    def plain(p=5):
        return Task(modulus=p, target=lambda a, b: a * b % p)

    @task(version=1)
    def modadd(p: int = 7):
        return Task(modulus=p, target=lambda a, b: a)

    bare = Task(modulus=3, target=lambda a, b: a, formula="a")
    number = 3

    def fails(p: int = 7):
        return Task(modulus=p, target=lambda a, b: a + b)

    def breaks(p: int = 7):
        return 1 // 0

    def wrong():
        return 5

    def no_flag(x: list[int]):
        return Task(modulus=3, target=lambda a, b: a)

    def needy(p: int):
        return Task(modulus=p, target=lambda a, b: a)

    @method("constant", version=1, family="floor")
    def always(problem, budget, rng, h: int = 256, recipe: str = "fast"):
        """Nothing new."""
        yield Candidate()

    @method("lookup", version=1, family="floor")
    def lookup(problem, budget, rng):
        yield Candidate()

    def generator(problem, budget, rng, depth: int = 2):
        """A plain one."""
        yield Candidate()

    def too_few(problem):
        yield Candidate()
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "mine.py").write_text(dedent(MINE))
    (tmp_path / "helper_beside_it.py").write_text("def add(a, b, c):\n    return a + b + c\n")
    monkeypatch.chdir(tmp_path)
    path = [*sys.path]
    yield tmp_path
    assert sys.path == path
    sys.modules.pop("helper_beside_it", None)


def test_help_needs_neither_torch_nor_z3() -> None:
    code = """
        import sys
        from bench.registry import list_methods, list_tasks, load_method, load_task
        load_task("modadd"), load_method("lookup")
        tasks = [x for x in sys.modules if x.startswith("bench.tasks.")]
        assert tasks == ["bench.tasks.modadd"], tasks
        load_task("relabelled", {"of": "a**2 + b"})
        list_tasks(), list_methods()
        heavy = {"torch", "z3", "pandas", "sympy", "matplotlib", "scipy"} & set(sys.modules)
        assert not heavy, heavy
    """
    subprocess.run([sys.executable, "-c", dedent(code)], check=True)


def test_every_task_and_method_is_listed_with_a_line() -> None:
    listed = {x.name: x for x in list_tasks()}
    wanted = "modadd modsub modmul moddiv affine squares quadform quadform_a cubic cubic_b oddbranch s5 s5_conj s5_aba "
    wanted += "modadd3 modmax random relabelled ladder"
    assert set(wanted.split()) <= set(listed)
    assert all(x.about.endswith(".") for x in listed.values())
    assert listed["affine"].parameters == "--p 59 --alpha 2 --beta 3 --gamma 7"
    assert listed["s5"].parameters == ""
    methods = {x.name: x for x in list_methods()}
    assert "lookup" in methods
    assert all(x.about for x in methods.values())
    assert all(load_method(name)[0].name == name for name in methods)


@pytest.mark.parametrize(
    ("ref", "given", "slug"),
    [
        ("modadd", {}, "modadd-p59"),
        ("modadd", {"p": "97"}, "modadd-p97"),
        ("modadd:p=97", {}, "modadd-p97"),
        ("s5", {}, "s5"),
        ("affine", {}, "affine-p59"),
        ("affine", {"alpha": "2", "p": "11"}, "affine-p11"),
        ("affine", {"alpha": "5"}, r"affine-p59-alpha-5-[0-9a-f]{8}"),
        ("affine", {"--alpha": -5, "p": 11}, r"affine-p11-alpha--5-[0-9a-f]{8}"),
        ("relabelled", {"of": "modmul", "task-seed": "7"}, r"relabelled-p59-of-modmul-task_seed-7-[0-9a-f]{8}"),
        ("a**2 + 3*b", {}, r"a2_plus_3b-p59-[0-9a-f]{8}"),
        ("-a/(b - 1)", {"p": "11"}, r"minus_a_over_b_minus_1-p11-[0-9a-f]{8}"),
        ("+".join("a*b" for _ in range(60)), {"p": 7}, r"[a-z_]{1,71}-[0-9a-f]{8}"),
    ],
)
def test_folders_are_named_after_the_task(ref: str, given: dict[str, object], slug: str) -> None:
    loaded = load_task(ref, given)
    assert re.fullmatch(slug, loaded.slug)
    assert len(loaded.slug) <= 80
    again = load_task(loaded.ref, loaded.params)
    assert (again.slug, again.ref, again.params, again.task.fingerprint) == (
        loaded.slug, loaded.ref, loaded.params, loaded.task.fingerprint,
    )  # fmt: skip


EXPRESSIONS = st.recursive(
    st.sampled_from(["a", "b", "1", "2"]),
    lambda x: st.builds("({} {} {})".format, x, st.sampled_from("+-*"), x) | st.builds("(-{})".format, x),
    max_leaves=4,
)


@settings(deadline=None, max_examples=150)
@given(EXPRESSIONS, EXPRESSIONS)
def test_two_expressions_never_share_a_folder(first: str, second: str) -> None:
    one, two = load_task(f"({first})", {"p": 3}), load_task(f"({second})", {"p": 3})
    assert (one.slug == two.slug) == (one.name == two.name)
    if one.name == two.name:
        assert np.array_equal(one.task.table, two.task.table)
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", one.slug)


@pytest.mark.parametrize("spaced", ["a**2+3*b", " a **2 + 3 * b ", "(a**2) + (3*b)", "((a)**2 + 3*b)"])
def test_spacing_does_not_matter(spaced: str) -> None:
    loaded, plain = load_task(spaced), load_task("a**2 + 3*b")
    assert loaded.name == "a**2 + 3*b"
    assert loaded.origin == "expression"
    assert (loaded.slug, loaded.ref, loaded.task.fingerprint) == (plain.slug, plain.ref, plain.task.fingerprint)


def test_expressions_compute_what_they_say() -> None:
    built = load_task("a**3 + a*b**2 + b", {"p": "97"}).task
    assert built.table.tolist() == [(a**3 + a * b**2 + b) % 97 for a in range(97) for b in range(97)]
    assert load_task("3*a - 1").task.arity == 1
    assert load_task("d + 1", {"p": 3}).task.arity == 4
    assert load_task("7", {"p": 60}).task.table.tolist() == [7] * 60


def test_expressions_leave_out_where_they_divide_by_zero() -> None:
    built = load_task("a/(b - 1) + 1/a", {"p": 11}).task
    cells = [(a, b) for a in range(11) for b in range(11) if a and b != 1]
    assert [tuple(x) for x in built.domain.tolist()] == cells
    assert built.table.tolist() == [(a * pow(b - 1, -1, 11) + pow(a, -1, 11)) % 11 for a, b in cells]


def test_parameters_follow_the_name_or_are_given() -> None:
    inline = load_task("affine:p=11:alpha=5")
    assert inline.params == {"p": 11, "alpha": 5, "beta": 3, "gamma": 7}
    assert inline.ref == "affine"
    assert load_task("affine:p=11:alpha=5", {"p": "13"}).params["p"] == 13
    assert load_task("relabelled", {"of": "affine:alpha=5", "p": "11"}).task.carrier.size == 11
    assert load_task("relabelled", {"of": "s5", "p": "11"}).task.carrier.name == "S5"


BAD_TASKS: list[tuple[str, dict[str, object], str]] = [
    ("", {}, "no task: expected a name"),
    ("modad", {}, "unknown task 'modad'; did you mean 'modadd'?"),
    ("zzz", {}, "unknown task 'zzz'; there are affine, "),
    ("mod-add", {}, "did you mean 'modadd'?"),
    ("modadd", {"p": "x"}, "--p: expected an integer, got 'x'"),
    ("modadd", {"p": "1.5"}, "--p: expected an integer, got '1.5'"),
    ("modadd", {"p": ""}, "--p: expected an integer, got ''"),
    ("modadd", {"p": 1.5}, "--p: expected an integer, got 1.5"),
    ("modadd", {"p": True}, "--p: expected an integer, got True"),
    ("modadd", {"p": "9" * 30}, "--p: expected at most 18 digits"),
    ("modadd", {"p": "0"}, "modadd: the modulus must be at least 2, got 0"),
    ("modadd", {"p": "1"}, "got 1"),
    ("modadd", {"p": "-3"}, "got -3"),
    ("modadd", {"q": "5"}, "modadd: unknown parameter --q; it takes --p"),
    ("affine", {"alhpa": "5"}, "did you mean '--alpha'?"),
    ("s5", {"p": "5"}, "s5: unknown parameter --p; it takes none"),
    ("moddiv", {"p": "60"}, "moddiv: it divides, so p must be a prime, got 60; the nearest are 59 and 61"),
    ("a/b", {"p": "60"}, "p must be a prime, got 60"),
    ("a/0", {}, "the mask keeps no cell"),
    ("a + b", {"q": "5"}, "a + b: unknown parameter --q; it takes --p"),
    ("a + b", {"p": "0"}, "at least 2, got 0"),
    ("a + f(b)", {}, "calls are not allowed"),
    ("__import__('os').system('true')", {}, "calls are not allowed"),
    ("a.b", {}, "attributes are not allowed"),
    ("a + x", {}, "'x' in 'a + x': unknown name"),
    ("a**999999999", {}, "an exponent may be at most 64"),
    ("a +", {}, "syntax error"),
    ("lambda: a", {}, "expected a task's name, file.py:name or an expression"),
    ("a + b + c + d", {"p": "97"}, "too large"),
    ("nowhere.py:mine", {}, "nowhere.py: No such file or directory"),
    ("no\0where.py:mine", {}, "embedded null byte"),
    ("~nobody-of-that-name/x.py:mine", {}, "~nobody-of-that-name/x.py: "),
    ("no\nwhere.py:mine", {}, "expected a task's name, file.py:name or an expression"),
    ("mine.py", {}, "expected mine.py:NAME"),
    ("mine.py:", {}, "expected mine.py:NAME"),
    ("modadd:p=5:p=7", {}, "a parameter is given twice"),
    ("relabelled", {"of": "modad"}, "did you mean 'modadd'?"),
    ("relabelled", {"of": "modadd:q=3"}, "unknown parameter --q"),
]  # fmt: skip


@pytest.mark.parametrize(("ref", "given", "message"), BAD_TASKS, ids=[f"{x[0][:30]}-{x[1]}" for x in BAD_TASKS])
def test_what_is_no_task_gets_one_line(ref: str, given: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        load_task(ref, given)
    assert "\n" not in str(caught.value)


def test_a_user_s_task_is_found_and_typed(folder: Path) -> None:
    loaded = load_task("mine.py:mine", {"shift": "3", "loud": "yes", "scale": "2"})
    assert loaded.task.table.tolist() == [(a + b + 3) % 7 for a in range(7) for b in range(7)]
    assert (loaded.name, loaded.version, loaded.origin) == ("mine", 2, "file")
    assert loaded.params == {"p": 7, "shift": 3, "loud": True, "scale": 2.0, "kind": "x"}
    assert loaded.ref == f"{folder / 'mine.py'}:mine"
    assert load_task(loaded.ref, loaded.params).slug == loaded.slug
    assert load_task("./mine.py:mine:shift=3:loud=true:scale=2.0").slug == loaded.slug
    assert load_task("mine.py:mine").slug != loaded.slug
    assert load_task("mine.py:plain", {"p": "11"}).task.table.tolist() == [
        a * b % 11 for a in range(11) for b in range(11)
    ]
    assert load_task("mine.py:bare").task.formula == "a"
    clash = load_task("mine.py:modadd", {"p": "59"})
    assert clash.name == "mine.py:modadd"
    assert clash.slug != load_task("modadd").slug
    assert not (folder / "__pycache__").joinpath("mine.cpython-311.pyc").exists()


def test_files_of_one_name_in_two_folders_are_two_tasks(folder: Path) -> None:
    (folder / "sub").mkdir()
    for name in ("mine.py", "helper_beside_it.py"):
        (folder / "sub" / name).write_text((folder / name).read_text())
    assert load_task("mine.py:mine").slug != load_task("sub/mine.py:mine").slug
    outer = [load_task("relabelled", {"of": f"{where}mine.py:mine"}) for where in ("", "sub/", "sub/../")]
    assert outer[0].slug != outer[1].slug
    assert outer[0].slug == outer[2].slug
    assert outer[0].params["of"] == f"{folder / 'mine.py'}:mine"


def test_an_edited_file_is_seen_at_once(folder: Path) -> None:
    text = "from bench.task import Task\ndef f():\n    return Task(modulus=7, target=lambda a, b: {})\n"
    prints: set[str] = set()
    for target in ("a", "b"):  # the same length, within one tick of the file system's clock
        (folder / "new.py").write_text(text.format(target))
        prints.add(load_task("new.py:f").task.fingerprint)
    assert len(prints) == 2


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("mine.py:mien", r"mine.py has no 'mien'; did you mean 'mine'\?"),
        ("mine.py:number", "number: expected a task or a function that returns one, got int"),
        ("mine.py:always", "always: expected a task or a function that returns one, got Method"),
        ("mine.py:Thing", "Thing: expected a task or a function"),
        ("mine.py:fails", r"mine.py:\d+: fails: the target leaves Z_7: at a=1, b=6 it is 7"),
        ("mine.py:breaks", r"mine.py:\d+: ZeroDivisionError: "),
        ("mine.py:wrong", "wrong: expected its function to return a Task, got int"),
        ("mine.py:no_flag", "no_flag: parameter x must be an int, float, bool or str"),
        ("mine.py:needy", "needy: --p is missing; expected an integer"),
        ("mine.py:mine:loud=maybe", "--loud: expected true or false, got 'maybe'"),
        ("mine.py:mine:scale=inf", "--scale: expected a number, got 'inf'"),
        ("mine.py:mine:sift=3", r"did you mean '--shift'\?"),
    ],
)
def test_a_user_s_mistakes_get_one_line(folder: Path, ref: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        load_task(ref)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = (1,\ny = = 2\n", r"bad.py:\d: syntax error: "),
        ("\n\nx = 1 / 0\n", "bad.py:3: ZeroDivisionError: division by zero"),
        ("\nimport no_such_module\n", "bad.py:2: ModuleNotFoundError: "),
        ("import sys\nsys.exit(3)\n", "bad.py:2: SystemExit: 3"),
        ("import broken_beside_it\n", "bad.py:1: syntax error in broken_beside_it.py:1: "),
        ("x = 1\x00", "bad.py: "),
        (
            "from bench.task import Task\nf = Task(modulus=7, target=lambda a, b: a / 2)\n",
            r"bad.py:2: the target must give",
        ),
        ("from bench.task import Task\nf = Task(7, lambda a: a)\n", r"bad.py:2: TypeError: "),
    ],
)
def test_a_broken_file_gets_one_line_with_its_place(folder: Path, source: str, message: str) -> None:
    (folder / "bad.py").write_text(source)
    (folder / "broken_beside_it.py").write_text("def\n")
    for load in (load_task, load_method):
        with pytest.raises(UserError, match=message) as caught:
            load("bad.py:f")
        assert "\n" not in str(caught.value)


def test_methods_are_found_with_their_parameters(folder: Path) -> None:
    found, parameters, source = load_method("lookup")
    assert (found.name, parameters, source) == ("lookup", {}, f"version {found.version}")
    found, parameters, source = load_method("mine.py:always:h=3:recipe=fast")
    assert (found.name, parameters) == ("constant", {"h": 3})  # what is at its default is the same run
    assert load_method("mine.py:constant")[0].name == "constant"
    found, parameters, again = load_method("mine.py:generator:depth=5")
    assert (found.name, found.family, found.about, parameters) == ("generator", "user", "A plain one.", {"depth": 5})
    assert again == source
    assert load_method("mine.py:lookup")[0].name == "mine.py:lookup"
    (folder / "mine.py").write_text((folder / "mine.py").read_text() + "\n")
    assert load_method("mine.py:generator")[2] != source


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("", "no method: expected a name or file.py:name; there are "),
        ("lokup", r"unknown method 'lokup'; did you mean 'lookup'\?"),
        ("lookup:fast", "'lookup:fast': expected lookup:parameter=value"),
        ("lookup:h=3", "lookup: unknown parameter lookup:h; it takes none"),
        ("a + b", "unknown method 'a"),
        ("mine.py:always:h=x", "constant:h: expected an integer, got 'x'"),
        ("mine.py:always:hh=3", r"did you mean 'constant:h'\?"),
        ("mine.py:mine", "mine: expected a method or a generator function, got TaskFamily"),
        ("mine.py:too_few", r"too_few: expected its function to take \(problem, budget, rng\)"),
        ("mine.py:nothing", "mine.py has no 'nothing'"),
        ("nowhere.py:f", "nowhere.py: No such file"),
    ],
)
def test_what_is_no_method_gets_one_line(folder: Path, ref: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        load_method(ref)
    assert "\n" not in str(caught.value)


@task(version=1)
def installed(p: int = 7) -> Task:
    """From a package."""
    return Task(modulus=p, target=lambda a, b: a)


@method("installed-method", version=4, family="x")
def installed_method(problem, budget, rng, h: int = 2):  # type: ignore[no-untyped-def]
    """From a package."""
    yield


def test_installed_tasks_and_methods_are_found_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    points = EntryPoints(
        EntryPoint(name, f"{__name__}:{value}", group)
        for name, value, group in [
            ("my-task", "installed", "tworoads.tasks"),
            ("broken", "nothing_there", "tworoads.tasks"),
            ("modadd", "installed", "tworoads.tasks"),
            ("my-method", "installed_method", "tworoads.methods"),
        ]
    )
    monkeypatch.setattr(registry, "entry_points", lambda **given: points.select(**given))
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    loaded = load_task("my-task", {"p": "5"})
    assert (loaded.origin, loaded.params, loaded.task.carrier.size) == ("entry point", {"p": 5}, 5)
    assert re.fullmatch(r"my-task-p5-[0-9a-f]{8}", loaded.slug)
    assert load_task("modadd").origin == "built-in"
    assert load_method("my-method:h=3")[1:] == ({"h": 3}, f"version 4 of {__name__}:installed_method")
    with pytest.raises(UserError, match=r"broken: the installed .* cannot be loaded: AttributeError"):
        load_task("broken")
    listed = {x.name: x.about for x in list_tasks()}
    assert listed["my-task"] == "From a package."
    assert "cannot be loaded" in listed["broken"]
    assert "my-method" not in listed


def test_lookup_knows_its_examples_and_nothing_else() -> None:
    built = load_task("modadd", {"p": 11}).task
    for n in (0, 1, 40, 121):
        inputs, outputs, _ = Stream(built, 0).examples(n)
        problem = Problem(built.carrier, 2, inputs, outputs, built.domain, language("full", 2))
        found, _, _ = load_method("lookup")
        (candidate,) = found.run(problem, Budget(), np.random.default_rng(0))
        assert candidate.predict is not None
        answers = candidate.predict()
        assert np.array_equal(answers[~problem.held_out], built.table[~problem.held_out])
        common = np.bincount(outputs, minlength=11)
        assert (common[answers[problem.held_out]] == common.max()).all()


def test_lookup_takes_the_majority_of_what_it_was_shown() -> None:
    built = load_task("modadd", {"p": 11}).task
    inputs = np.array([[0, 1], [5, 5], [0, 1], [0, 1]])
    problem = Problem(built.carrier, 2, inputs, np.array([9, 2, 4, 9]), built.domain, language("full", 2), noise=0.5)
    (candidate,) = load_method("lookup")[0].run(problem, Budget(), np.random.default_rng(0))
    assert candidate.predict is not None
    answers = candidate.predict()
    assert answers[1] == 9
    assert answers[5 * 11 + 5] == 2
    assert set(np.delete(answers, 5 * 11 + 5).tolist()) == {9}
