"""The bank on a torch device is the bank: the same behaviours, bits and programs at the same indices."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pretend import pretended_gpu

from synth.bank import Bank
from synth.carrier import Carrier, Residues, symmetric_group
from synth.draws import integers
from synth.language import language

CASES = [
    ("ring", 2, Residues(59), 8, 26),
    ("ring", 2, Residues(59), 16, 26),
    ("ring", 3, Residues(101), 5, 20),
    ("ring", 1, Residues(60), 9, 22),
    ("ring", 2, Residues(251), 6, 20),
    ("ring", 2, Residues(65521), 3, 18),
    ("field", 2, Residues(60), 9, 18),
    ("field", 2, Residues(257), 9, 18),
    ("full", 2, Residues(59), 8, 18),
    ("full", 2, Residues(59), 13, 18),
    ("full", 2, Residues(509), 5, 17),
    ("full", 2, Residues(40009), 5, 17),
    ("group", 2, symmetric_group(4), 9, 18),
]


def inputs_for(carrier: Carrier, arity: int, points: int) -> np.ndarray:
    return integers(1, "device-points", np.arange(points * arity), carrier.size).reshape(points, arity)


def assert_same(one: Bank, other: Bank) -> None:
    for sort, shelf in one.shelves.items():
        twin = other.shelves[sort]
        assert shelf.offsets == twin.offsets
        assert (shelf.keys == twin.keys).all()
        assert shelf.levels.keys() == twin.levels.keys()
        assert all((keys == twin.levels[bits]).all() for bits, keys in shelf.levels.items())
        assert all((words == twin.level_words[bits]).all() for bits, words in shelf.level_words.items())
    assert (one.deepest, one.stopped) == (other.deepest, other.stopped)
    some = np.linspace(0, len(one) - 1, 40).astype(int)
    assert [one.program(i) for i in some.tolist()] == [other.program(i) for i in some.tolist()]
    assert (one.outputs(some) == other.outputs(some)).all()
    assert (other.find(one.outputs(some)) == some).all()


@pytest.mark.parametrize("case", CASES, ids=lambda x: f"{x[0]}{x[1]}-{x[2].name}-{x[3]}pts")
def test_the_bank_on_cpu_tensors_is_the_bank(case, monkeypatch):
    monkeypatch.setattr("synth.bank._SMALL", 0)  # every level on the device
    monkeypatch.setattr("synth.device._TILE_CPU", 1 << 10)
    monkeypatch.setattr("synth.device._CHUNK", 1 << 13)
    name, arity, carrier, points, bits = case
    lang, inputs = language(name, arity), inputs_for(carrier, arity, points)
    assert_same(*(Bank.build(lang, carrier, inputs, max_bits=bits, device=device) for device in (None, "cpu")))


def test_early_levels_by_numpy_and_late_ones_by_torch():
    lang, carrier = language("ring", 2), Residues(59)
    inputs = inputs_for(carrier, 2, 16)
    one, other = (Bank.build(lang, carrier, inputs, max_bits=40, device=device) for device in (None, "cpu"))
    assert one.shelves["value"].levels
    assert_same(one, other)


def test_memory_is_honoured_on_a_device():
    lang, carrier = language("ring", 2), Residues(59)
    bank = Bank.build(lang, carrier, inputs_for(carrier, 2, 16), max_bits=60, memory_mib=24, device="cpu")
    assert bank.stopped == "memory"
    assert 30 < bank.deepest < 45


def test_no_such_device_is_one_line():
    with pytest.raises(ValueError, match="torch has no device 'abacus'"):
        Bank(language("ring", 1), Residues(5), np.zeros((1, 1)), max_bits=9, device="abacus")


@pytest.mark.parametrize("case", [CASES[0], CASES[6], CASES[8], CASES[12]], ids=lambda x: f"{x[0]}-{x[2].name}")
def test_the_bank_on_a_pretended_gpu_is_the_bank(case, monkeypatch):
    """Nothing that the device computes meets a tensor of the CPU (tests/pretend.py)."""
    monkeypatch.setattr("synth.bank._SMALL", 0)
    name, arity, carrier, points, bits = case
    lang, inputs = language(name, arity), inputs_for(carrier, arity, points)
    one = Bank.build(lang, carrier, inputs, max_bits=bits - 2)
    with pretended_gpu() as seen:
        other = Bank.build(lang, carrier, inputs, max_bits=bits - 2, device="cuda")
    assert_same(one, other)
    assert "sort" in seen or "unique_dim" in seen or "_unique2" in seen


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("points", [8, 16])
def test_the_bank_on_cuda_is_the_bank(points):
    lang, carrier = language("ring", 2), Residues(59)
    inputs = inputs_for(carrier, 2, points)
    assert_same(*(Bank.build(lang, carrier, inputs, max_bits=44, device=device) for device in (None, "cuda")))
