"""The list of consistent programs against brute force."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from oracle import all_programs

from synth.carrier import Carrier, Residues, symmetric_group
from synth.consistent import consistent_programs
from synth.draws import permutation
from synth.language import language


def grid(carrier: Carrier, arity: int) -> np.ndarray:
    axes = np.meshgrid(*[np.arange(carrier.size)] * arity, indexing="ij")
    return np.stack([x.ravel() for x in axes], axis=1)


@pytest.mark.parametrize(
    ("name", "arity", "carrier", "n", "bits"),
    [
        ("ring", 2, Residues(5), 3, 20),
        ("ring", 2, Residues(7), 1, 20),
        ("ring", 2, Residues(4), 0, 14),
        ("field", 1, Residues(11), 2, 20),
        ("full", 2, Residues(5), 4, 17),
        ("group", 2, symmetric_group(3), 4, 16),
    ],
)
def test_every_consistent_function_comes_once_by_its_shortest_program_in_order(name, arity, carrier, n, bits):
    lang, domain = language(name, arity), grid(carrier, arity)
    shown = domain[permutation(3, "consistent-test", len(domain))[:n]]
    short = [x for x in all_programs(lang, 9)["value"] if x]
    labels = short[-1][0].evaluate(shown, carrier)
    expected: dict[tuple[int, ...], int] = {}
    for programs in all_programs(lang, bits)["value"]:
        for program in programs:
            if (program.evaluate(shown, carrier) == labels).all():
                expected.setdefault(tuple(program.evaluate(domain, carrier).tolist()), program.bits)
    found = list(consistent_programs(lang, carrier, shown, labels, max_bits=bits, others=domain))
    assert [x.bits for x in found] == sorted(x.bits for x in found)
    functions = [tuple(x.evaluate(domain, carrier).tolist()) for x in found]
    assert len(set(functions)) == len(functions)
    assert dict(zip(functions, (x.bits for x in found), strict=True)) == expected


def test_the_list_is_lazy():
    lang, carrier = language("ring", 2), Residues(59)
    inputs = np.array([[3, 4], [10, 20]])
    first = list(islice(consistent_programs(lang, carrier, inputs, np.array([7, 30]), max_bits=300), 3))
    assert str(first[0]) == "a + b"
    assert len({str(x) for x in first}) == 3
