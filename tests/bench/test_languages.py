"""What --language names is sound on the task's carrier, or refused in one line; groups come as tables."""

from __future__ import annotations

import os
from itertools import product
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest

from bench.errors import UserError
from bench.languages import load_language
from bench.plan import plan
from bench.registry import as_flags, load_task
from bench.run import main, run
from synth.bank import Bank
from synth.carrier import Residues, symmetric_group
from synth.language import MAX_ARITY, language, language_names
from synth.parse import parse
from synth.search import enumerate_programs, meet_in_the_middle

MINE = '''
    from dataclasses import replace
    import numpy as np
    from synth.integers import exact
    from synth.language import language
    from synth.program import Production

    def made(arity, *more, of="ring", **changed):
        base = language(of, arity)
        return replace(base, name="mine", productions=(*base.productions, *more), **changed)

    def rule(name, semantics, template=None, count=1, **other):
        shown = template or f"{name}({', '.join('{%d}' % i for i in range(count))})"
        return Production(name, 4, semantics, shown, ("value",) * count, **other)

    def doubling(arity):
        """Ring, and a production that doubles."""
        return made(arity, rule("double", lambda c, x: 2 * x % c.modulus))

    def undoable(arity):
        """A half of the sum, with its inverses."""
        def mean(c, x, y):
            return (x + y) * c.inverses[2] % c.modulus
        def undo(c, result, other):
            return (2 * result - other) % c.modulus
        return made(arity, rule("mean", mean, count=2, commutes=True, inverses=(undo, undo)))

    def chosen(arity):
        """A choice of three, on whether the sum wraps round."""
        wraps = Production("wraps", 2, lambda c, x, y: x + y >= c.modulus, "wraps({0}, {1})", ("value", "value"),
                           sort="condition")
        pick = Production("pick", 5, lambda c, q, x, y: np.where(q, x, y), "pick({0}, {1}, {2})",
                          ("condition", "value", "value"))
        return made(arity, wraps, pick)

    def seven(arity):
        return made(arity, Production("7", 6, lambda c: np.int64(7 % c.modulus), "7"))

    def squares(arity):
        return made(arity, rule("square", exact(lambda x: x * x), integers=True), of="int")

    fixed = doubling(2)
    words = language("group", 2)
    number = 5

    def outside(arity): return made(arity, rule("twice", lambda c, x: 2 * x))
    def floats(arity): return made(arity, rule("half", lambda c, x: x / 2))
    def shaped(arity): return made(arity, rule("sum", lambda c, x: x.sum() % c.modulus * np.ones(3, dtype=int)))
    def raises(arity): return made(arity, rule("bad", lambda c, x: 1 // 0))
    def known(arity): return made(arity, rule("square", lambda c, x: x))
    def sided(arity): return made(arity, rule("left", lambda c, x, y: x, count=2, commutes=True))
    def heavy(arity): return made(arity, *(Production(str(i), 3, lambda c: np.int64(0), str(i)) for i in range(4, 9)))
    def twice(arity): return made(arity, rule("+", lambda c, x: x))
    def named(arity): return made(arity, Production("ten", 6, lambda c: np.int64(10 % c.modulus), "ten"))
    def hidden(arity): return made(arity, rule("first", lambda c, x, y: x, template="first({0})", count=2))
    def free(arity): return made(arity, Production("free", 4.5, lambda c, x: x, "free({0})", ("value",)))
    def mixed(arity): return made(arity, rule("%", lambda c, x, y: x, count=2, integers=True))
    def huge(arity): return made(arity, rule("cube", lambda c, x: x * x * x, integers=True), of="int")
    def greedy(arity): return made(arity, rule("one", lambda c, x: x * 0 + 1, integers=True), of="int")
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(dedent(MINE))
    return tmp_path


def on(name, modulus=11, arity=2):
    return load_language(f"mine.py:{name}", Residues(modulus), arity).language


def test_a_users_language_is_found_again_from_another_folder(folder, monkeypatch):
    loaded = load_language("mine.py:doubling", Residues(11), 2)
    assert loaded.name == "mine.py:doubling"
    assert "double" in loaded.language
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    again = load_language(loaded.ref, Residues(11), 2)
    assert (again.name, again.ref, again.source) == (loaded.name, loaded.ref, loaded.source)
    assert load_language("../mine.py:fixed", Residues(11), 2).source == loaded.source
    assert load_language(None, Residues(11), 2).name == "full"
    assert load_language("ring", Residues(11), 3).language is language("ring", 3)


@pytest.mark.parametrize("name", ["doubling", "undoable", "chosen", "seven", "squares"])
@pytest.mark.parametrize("arity", range(1, MAX_ARITY + 1))
def test_a_users_programs_read_back_as_they_print(folder, name, arity):
    made = on(name, arity=arity)
    known = {x.name for x in language("full", arity).productions} | {x.name for x in language("int", arity).productions}
    new = next(x for x in made.productions if x.name not in known or x.name == "square")
    leaf, test = made.variable(arity - 1), None
    if name == "chosen":
        test = made.make("wraps", leaf, made.make("3"))
        new = made["pick"]
    program = made.make(new.name, *(test if s == "condition" and test else leaf for s in new.arguments))
    if name != "chosen":
        assert parse(str(program), made, functions=True) == program
    assert program.bits > new.bits or not new.arguments


@pytest.mark.parametrize("search", [enumerate_programs, meet_in_the_middle])
@pytest.mark.parametrize(("name", "formula", "text"), [
    ("doubling", lambda a, b: 2 * (a + b), "double(a + b)"),
    ("doubling", lambda a, b: 4 * a * b + a, None),
    ("undoable", lambda a, b: 6 * (a + b) + a * b, None),
    ("seven", lambda a, b: a * b + 7, None),
    ("chosen", lambda a, b: np.where(a + b >= 11, a, b * b), None),
])  # fmt: skip
def test_a_users_production_is_searched_like_a_built_in(folder, search, name, formula, text):
    made, carrier = on(name), Residues(11)
    grid = np.array(list(product(range(11), repeat=2)))
    labels = formula(grid[:, 0], grid[:, 1]) % 11
    *_, last = search(made, carrier, grid, labels, max_programs=3_000_000)
    assert last.program is not None
    assert (last.program.evaluate(grid, carrier) == labels).all()
    assert {x.name for x in last.program.nodes()} - {x.name for x in language("ring", 2).productions}
    assert text is None or str(last.program) == text
    assert last.minimal
    bank = Bank.build(made, carrier, grid, max_bits=last.program.bits)
    assert bank.bits(int(bank.find(labels[None])[0])) == last.program.bits


def test_a_users_production_is_searched_on_integers_too(folder):
    grid = np.array(list(product(range(11), repeat=2)))
    labels = (grid**2).sum(axis=1) % 11
    program = next(
        x.program for x in meet_in_the_middle(on("squares"), Residues(11), grid, labels) if x.program is not None
    )
    assert (program.evaluate(grid, Residues(11)) == labels).all()
    assert "square" in {x.name for x in program.nodes()}


BAD = [
    ("nowhere.py:x", "nowhere.py: No such file"),
    ("mine.py:", "mine.py:NAME"),
    ("mine.py:dubling", "did you mean 'doubling'"),
    ("mine.py:number", "expected a Language or a function of the arity, got int"),
    ("mine.py:words", "computes on group"),
    ("mine.py:outside", r"'twice': at \(6\) it is 12, which is not in Z_11"),
    ("mine.py:floats", "'half': expected integer values, got float64"),
    ("mine.py:shaped", "shape"),
    ("mine.py:raises", "'bad': ZeroDivisionError"),
    ("mine.py:known", "'square': the built-in production of that name means something else"),
    ("mine.py:sided", "'left': it does not commute"),
    ("mine.py:heavy", "probabilities sum to 1"),
    ("mine.py:twice", "two productions share a name"),
    ("mine.py:named", "'ten': a constant is named by its value in digits, here 10"),
    ("mine.py:hidden", "does not show each of its 2 arguments"),
    ("mine.py:free", "whole number of bits"),
    ("mine.py:mixed", "integers"),
    ("mine.py:huge", "'cube': at .* synth.integers.exact"),
    ("mine.py:greedy", "'one': at .* synth.integers.exact"),
    ("feild", "did you mean 'field'"),
    ("group", "expected one of ring, field, full, int, or file.py:name, got 'group'"),
]


@pytest.mark.parametrize(("ref", "said"), BAD)
def test_a_bad_language_is_one_line(folder, ref, said, capsys):
    with pytest.raises(UserError, match=said) as error:
        load_language(ref, Residues(11), 2)
    assert "\n" not in str(error.value)
    assert main(["--task", "modadd", "--p", "11", "--language", ref]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_language_of_another_arity_is_refused(folder):
    with pytest.raises(UserError, match="2 inputs, the task has 3"):
        load_language("mine.py:fixed", Residues(11), 3)
    with pytest.raises(UserError, match=r"did you mean|expected one of group"):
        load_language("ring", symmetric_group(3), 2)


def test_an_edited_language_runs_again_and_an_unedited_one_does_not(folder):
    def go():
        boards = run("2*a + 2*b", p=11, language="mine.py:doubling", methods=["enumerate"], examples=[20], seeds=1)
        return boards.programs.iloc[0]

    first, stamps = go(), {x: os.stat(x).st_mtime_ns for x in Path("results").rglob("runs/*.json")}
    assert first["program"] == "double(a + b)"
    assert first["language"] == "mine.py:doubling"
    assert go()["run_id"] == first["run_id"]
    assert {x: os.stat(x).st_mtime_ns for x in Path("results").rglob("runs/*.json")} == stamps
    source = Path("mine.py").read_text()
    Path("mine.py").write_text(source.replace('rule("double", lambda c, x: 2 * x', 'rule("double", lambda c, x: 3 * x'))
    edited = go()
    assert edited["run_id"] != first["run_id"]
    assert "double" not in edited["program"]
    rows = Path("results").rglob("leaderboard.csv")
    assert all(len(x.read_text().splitlines()) == 2 for x in rows), "the older one is off the board"


def test_a_built_in_language_leaves_the_run_id_alone_and_the_path_does_too(folder):
    def spec(**more):
        return plan("modadd", {"p": "11"}, methods=["lookup"], examples=["9"], seeds=1, **more).chains[0].specs[0][1][0]

    assert spec().run_id == spec(language="full").run_id != spec(language="int").run_id
    mine = spec(language="mine.py:doubling")
    (folder / "copy").mkdir()
    (folder / "copy" / "mine.py").write_bytes((folder / "mine.py").read_bytes())
    assert spec(language="copy/mine.py:doubling").run_id == mine.run_id


@pytest.mark.parametrize("name", language_names("residues"))
@pytest.mark.parametrize(("text", "p"), [("2*a + 1", 7), ("a + b*c", 5), ("a*b + c + d", 3)])
def test_tasks_of_every_arity_are_solved_in_every_language(name, text, p):
    built = load_task(text, {"p": str(p)}).task
    lang = load_language(name, built.carrier, built.arity).language
    found = []
    for search in (enumerate_programs, meet_in_the_middle):
        for progress in search(lang, built.carrier, built.domain, built.table, max_programs=2_000_000):
            if progress.program is not None:
                found.append(progress.program)
                break
    assert found, "neither search gets there"
    assert len(found) == 2 or name == "int"
    for program in found:
        assert (program.evaluate(built.domain, built.carrier) == built.table).all()
        assert lang.holds(program)


def cayley(elements, multiply):
    index = {x: i for i, x in enumerate(elements)}
    return [[index[multiply(x, y)] for y in elements] for x in elements]


def quaternion(x, y):
    units = {("i", "j"): "k", ("j", "k"): "i", ("k", "i"): "j"}
    (sign, u), (other, v) = x, y
    sign *= other
    if "1" in (u, v):
        return sign, v if u == "1" else u
    if u == v:
        return -sign, "1"
    return (sign, units[u, v]) if (u, v) in units else (-sign, units[v, u])


TABLES = {
    "z4": cayley(range(4), lambda x, y: (x + y) % 4),
    "d4": cayley(list(product(range(2), range(4))), lambda x, y: ((x[0] + y[0]) % 2, (x[1] * (-1) ** y[0] + y[1]) % 4)),
    "q8": cayley([(s, u) for u in "1ijk" for s in (1, -1)], quaternion),
}


def write(name, separator=" "):
    rows = [separator.join(map(str, row)) for row in TABLES[name]]
    Path(f"{name}.csv").write_text("\n".join(rows) + "\n")
    return f"{name}.csv"


@pytest.mark.parametrize("separator", [" ", ",", ", ", "\t"])
@pytest.mark.parametrize("name", TABLES)
def test_any_group_comes_as_a_table(folder, name, separator):
    table = np.array(TABLES[name])
    built = load_task("group", {"file": write(name, separator), "word": "a*b*inv(a)"}).task
    assert built.carrier.name == name
    inverse = built.carrier.inverses
    expected = [table[table[a, b], inverse[a]] for a, b in built.domain]
    assert built.table.tolist() == expected
    assert built.formula_program is not None
    assert load_task("group", {"file": f"{name}.csv"}).task.table.tolist() == table.ravel().tolist()
    assert load_task(f"group:file={name}.csv:word=a*a").task.arity == 1


@pytest.mark.parametrize("name", ["d4", "q8"])
def test_the_word_is_found_and_proved(folder, name):
    boards = run("group", file=write(name), word="a*b*a", methods=["enumerate", "mitm"], examples=[40], seeds=1)
    assert boards.programs["canonical"].tolist() == ["a*b*a"] * 2
    assert boards.leaderboard["proof"].tolist() == ["exhaustive"] * 2
    assert boards.leaderboard["carrier"].tolist() == [name] * 2


def test_the_folder_follows_the_tables_content_and_not_its_place(folder, monkeypatch):
    first = load_task("group", {"file": write("z4")})
    (folder / "deeper").mkdir()
    (folder / "deeper" / "z4.csv").write_text((folder / "z4.csv").read_text().replace(" ", ","))
    assert load_task("group", {"file": "deeper/z4.csv"}).slug == first.slug
    monkeypatch.chdir(folder / "deeper")
    assert load_task(first.ref, as_flags(first.params)).slug == first.slug
    swapped = cayley([0, 2, 1, 3], lambda x, y: (x + y) % 4)
    (folder / "z4.csv").write_text("\n".join(" ".join(map(str, row)) for row in swapped))
    edited = load_task(first.ref, as_flags(first.params))
    assert edited.slug != first.slug
    assert edited.task.fingerprint != first.task.fingerprint


def rows(*lines):
    return "\n".join(lines)


BAD_TABLES = [
    ("0 1\n1 x\n", "table.csv:2: expected integers, got '1 x'"),
    ("0 1.5\n1 0\n", "table.csv:1: expected integers"),
    ("0 1 2\n1 0\n", "expected 2 entries a row, got 3 in row 1"),
    ("1 2\n2 1\n", "expected elements 0 to 1, got 2 in row 1"),
    ("0 1\n0 1\n", "hold each element once"),
    (rows("1 2 0", "0 1 2", "2 0 1"), "identity|associative"),
    (rows("0 1 2 3 4", "1 0 3 4 2", "2 4 0 1 3", "3 2 4 0 1", "4 3 1 2 0"), "not associative"),
    ("", "2 to 512 rows, got 0"),
    ("0\n" * 513, "2 to 512 rows, got 513"),
    ("0 " * 3_000_000, "too large"),
    (b"\xff\xfe\x00", "table.csv"),
]


@pytest.mark.parametrize(("content", "said"), BAD_TABLES)
def test_a_bad_table_is_one_line(folder, content, said, capsys):
    Path("table.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=said) as error:
        load_task("group", {"file": "table.csv"})
    assert "\n" not in str(error.value)
    assert main(["--task", "group", "--file", "table.csv"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(("flags", "said"), [
    ({}, "--file is missing"), ({"file": "none.csv"}, "none.csv: No such file"), ({"file": "."}, "directory"),
    ({"file": "z4.csv", "word": "a+b"}, "group"), ({"file": "z4.csv", "word": "a*"}, "syntax"),
    ({"file": "z4.csv", "word": "a*z"}, "'z'"), ({"file": "z4.csv", "ward": "a"}, "did you mean '--word'"),
])  # fmt: skip
def test_a_bad_word_or_file_is_one_line(folder, flags, said):
    write("z4")
    with pytest.raises(UserError, match=said) as error:
        load_task("group", flags)
    assert "\n" not in str(error.value)
