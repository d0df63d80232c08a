"""Shortening keeps the function, never lengthens, and finds what inputs have in common."""

from __future__ import annotations

import numpy as np
import pytest

from synth.carrier import IntArray, Residues, symmetric_group
from synth.language import language
from synth.parse import parse
from synth.shorten import shortened


def grid(m: int, arity: int = 2) -> IntArray:
    return np.stack(np.meshgrid(*[np.arange(m)] * arity, indexing="ij"), -1).reshape(-1, arity)


@pytest.mark.parametrize(
    ("text", "bits"),
    [
        ("a + a*3 - (b + b)", 23),
        ("a*a*(b*b)", 14),
        ("a + a + 3*b + (2**2 + 3)", 41),
        ("a + b", 8),
        ("a + b - b", 2),
        ("0*a + 3", 5),
    ],
)
def test_nothing_but_the_length_changes(text: str, bits: int) -> None:
    which, carrier, cells = language("full", 2), Residues(59), grid(59)
    program = parse(text, which)
    found = shortened(program, which, carrier, cells)
    assert found.bits == bits
    np.testing.assert_array_equal(found.evaluate(cells, carrier), program.evaluate(cells, carrier))
    assert shortened(program, which, carrier, cells) == found


def test_words_are_shortened_too() -> None:
    which, group = language("group", 2), symmetric_group(3)
    word = parse("a*b*inv(b)", which, functions=True)
    assert str(shortened(word, which, group, grid(6))) == "a"


def test_what_fits_the_sample_only_is_not_taken() -> None:
    which, carrier, cells = language("full", 2), Residues(59), grid(59)
    program = parse("a*b if a == 3 else a + b", which, functions=True)
    found = shortened(program, which, carrier, cells, max_programs=2000)
    np.testing.assert_array_equal(found.evaluate(cells, carrier), program.evaluate(cells, carrier))
