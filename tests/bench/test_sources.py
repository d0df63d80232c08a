"""A method's source: its version, and the text of what decides its results."""

import sys
from importlib.util import cache_from_source
from pathlib import Path

import pytest

from bench.registry import load_method
from bench.sources import digest


def a_module(folder: Path, name: str, text: str) -> None:
    path = folder / f"{name}.py"
    path.write_text(text)
    Path(cache_from_source(str(path))).unlink(missing_ok=True)


def test_the_digest_is_of_the_text_and_imports_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    a_module(tmp_path, "settings_of_one", "RATE = 1\nraise RuntimeError\n")
    a_module(tmp_path, "settings_of_two", "RATE = 2\nraise RuntimeError\n")
    one, two, both = (
        digest(x) for x in (("settings_of_one",), ("settings_of_two",), ("settings_of_one", "settings_of_two"))
    )
    assert len({one, two, both, digest(())}) == 4
    assert "settings_of_one" not in sys.modules
    digest.cache_clear()
    a_module(tmp_path, "settings_of_one", "RATE = 1\r\nraise RuntimeError\r\n")
    assert digest(("settings_of_one",)) == one  # line ends are none of its text
    digest.cache_clear()
    a_module(tmp_path, "settings_of_one", "RATE = 3\nraise RuntimeError\n")
    assert digest(("settings_of_one",)) != one
    digest.cache_clear()


def test_a_module_without_a_file_is_told() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_module_anywhere"):
        digest(("no_such_module_anywhere",))


@pytest.mark.parametrize("name", ["bilinear", "quadratic", "relu", "transformer", "bilinear+law", "rfm"])
def test_networks_answer_for_their_recipes(name: str) -> None:
    method, _, source = load_method(name)
    assert method.sources
    assert source == f"version {method.version} {digest(method.sources)}"
    assert f"nets.{name.removesuffix('+law')}" in method.sources


def test_a_users_network_answers_for_the_recipes_too(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from dataclasses import dataclass\n"
        "from nets.bilinear import Bilinear\n\n\n"
        "@dataclass(frozen=True)\n"
        "class Mine(Bilinear):\n"
        "    name = 'mine'\n"
    )
    method, _, source = load_method(f"{tmp_path / 'mine.py'}:Mine")
    assert source.endswith(digest(method.sources))
    assert "nets.recipes" in method.sources


def test_searches_answer_for_their_version_alone() -> None:
    assert load_method("mitm")[2] == "version 1"
