"""Figures of the search engine, one core: ``OMP_NUM_THREADS=1 pytest tests/perf/test_search_perf.py --benchmark-only``.

What a figure stands for beside its time (candidates, bits, how many were found) is in ``extra_info``.
"""

from __future__ import annotations

import subprocess
import sys
import time
from itertools import count

import numpy as np
import pytest

from synth.bank import Bank
from synth.carrier import IntArray, Residues
from synth.draws import permutation
from synth.language import language
from synth.parse import parse
from synth.program import Program
from synth.sample import depends_on, draw_program, hashed_points, ladder_program, lower_bound
from synth.search import enumerate_programs, meet_in_the_middle

CARRIER = Residues(59)
POLYNOMIALS = [
    "a + b",
    "a - b",
    "a*b",
    "a*a + b*b",
    "(a + b)**2",
    "a**3 + a*b",
    "a*a + a*b + b*b",
    "a**3 + a*b*b + b",
    "2*a + 3*b + 7",
]
BRANCH = "a/b if odd(b) else a - b"
TARGETS = [
    *(("ring", x) for x in POLYNOMIALS),
    ("field", "a/b"),
    *(("full", x) for x in [*POLYNOMIALS, "a/b", BRANCH]),
]


def grid() -> IntArray:
    return np.stack(np.meshgrid(np.arange(59), np.arange(59)), -1).reshape(-1, 2)


def examples(target: Program, n: int, seed: int) -> tuple[IntArray, IntArray]:
    cells = grid()
    inputs = cells[permutation(seed, "perf", len(cells))[:n]]
    return inputs, target.evaluate(inputs, CARRIER)


def first_answer(search, name: str, inputs: IntArray, outputs: IntArray) -> Program:
    for progress in search(language(name, 2), CARRIER, inputs, outputs):
        if progress.program is not None:
            return progress.program
    raise AssertionError("no program")


@pytest.mark.parametrize(("name", "text"), TARGETS, ids=[f"{n}: {t}" for n, t in TARGETS])
def test_first_answer_by_mitm(benchmark, name, text):
    """Five seeds in turn, n = 10, warm: the median is the figure. Every answer is exact on all 59²."""
    target = parse(text, language("full", 2), functions=True)
    cells = grid()
    expected = target.evaluate(cells, CARRIER)
    data = [examples(target, 10, seed) for seed in range(5)]
    for inputs, outputs in data:
        found = first_answer(meet_in_the_middle, name, inputs, outputs)
        assert (found.evaluate(cells, CARRIER) == expected).all()
    turns = count()
    benchmark.extra_info["bits"] = found.bits
    benchmark.pedantic(
        lambda: first_answer(meet_in_the_middle, name, *data[next(turns) % 5]), rounds=50, warmup_rounds=5
    )


@pytest.mark.parametrize("search", [enumerate_programs, meet_in_the_middle], ids=["enumerate", "mitm"])
@pytest.mark.parametrize("text", ["a*a + a*b + b*b", "a**3 + a*b*b + b", "2*a + 3*b + 7"])
def test_minimal_answer(benchmark, search, text):
    """Until the answer is certified minimal, in ring."""
    inputs, outputs = examples(parse(text, language("full", 2)), 10, 0)

    def run() -> int:
        *_, end = search(language("ring", 2), CARRIER, inputs, outputs)
        assert end.minimal
        return end.visited

    benchmark.extra_info["programs"] = benchmark.pedantic(run, rounds=5, warmup_rounds=1)


@pytest.mark.parametrize(
    ("name", "points", "bits"), [("ring", 8, 44), ("ring", 8, 50), ("ring", 16, 50), ("full", 8, 34), ("full", 16, 34)]
)
def test_bank(benchmark, name, points, bits):
    """All behaviours up to so many bits; candidates evaluated and told apart a second."""
    inputs = examples(parse("a", language("ring", 2)), points, 0)[0]
    bank = benchmark.pedantic(
        lambda: Bank.build(language(name, 2), CARRIER, inputs, max_bits=bits, memory_mib=2048), rounds=3
    )
    assert bank.deepest == bits
    benchmark.extra_info.update(
        behaviours=len(bank),
        candidates=bank.candidates,
        per_second=round(bank.candidates / benchmark.stats["min"]) if benchmark.stats else None,
    )
    if (name, bits) == ("ring", 50):
        assert len(bank) == 6_377_939


_COLD = """
import pathlib, re, time
start = time.perf_counter()
import numpy as np
from synth.bank import Bank
from synth.carrier import Residues
from synth.language import language
inputs = np.stack([np.arange(16) * 7 % 59, np.arange(16) ** 3 * 5 % 59 + 0], 1)
imported = time.perf_counter()
bank = Bank.build(language("ring", 2), Residues(59), inputs, max_bits={bits}, memory_mib=2048)
seconds = time.perf_counter() - imported
peak = int(re.search(r"VmHWM:\\s*(\\d+)", pathlib.Path("/proc/self/status").read_text())[1]) // 1024
print(len(bank), imported - start, seconds, peak)
"""


@pytest.mark.parametrize(("bits", "most_mib"), [(50, 500), (55, 2048)])
def test_bank_from_a_cold_process(benchmark, bits, most_mib):
    """A fresh interpreter, 16 points; its peak memory in MiB."""

    def run() -> list[str]:
        return subprocess.run(
            [sys.executable, "-c", _COLD.format(bits=bits)], check=True, capture_output=True, text=True
        ).stdout.split()

    behaviours, imports, seconds, peak = benchmark.pedantic(run, rounds=3)
    benchmark.extra_info.update(
        behaviours=int(behaviours), import_seconds=float(imports), bank_seconds=float(seconds), peak_mib=int(peak)
    )
    assert int(peak) <= most_mib


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_bank_on_a_torch_device(benchmark, device):
    """The same bank as ``test_bank`` makes of 16 points, its large levels on the device; to 44 bits on a CPU."""
    torch = pytest.importorskip("torch")
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    inputs, bits = examples(parse("a", language("ring", 2)), 16, 0)[0], 44 if device == "cpu" else 50
    lang = language("ring", 2)
    bank = benchmark.pedantic(
        lambda: Bank.build(lang, CARRIER, inputs, max_bits=bits, memory_mib=8192, device=device),
        rounds=3,
        warmup_rounds=1,
    )
    benchmark.extra_info.update(behaviours=len(bank), candidates=bank.candidates)


@pytest.mark.parametrize("bits", [68, 92])
def test_ladder_beyond_the_bank(benchmark, bits):
    """Twenty random ring programs without an equivalent of 50 bits or fewer: seconds to an exact one, bank included."""
    lang, cells = language("ring", 2), grid()
    bank = Bank.build(lang, CARRIER, hashed_points(CARRIER, 2, 8), max_bits=50)
    drawn = (draw_program(lang, bits, 2, seed) for seed in count())
    hard = (x for x in drawn if len(depends_on(x, CARRIER)) == 2 and lower_bound(x, bank) is not None)
    targets = [next(hard) for _ in range(20)]

    def run() -> list[float]:
        seconds: list[float] = []
        for i, target in enumerate(targets):
            inputs, outputs = examples(target, 32, i)
            start = time.perf_counter()
            found = first_answer(meet_in_the_middle, "ring", inputs, outputs)
            if (found.evaluate(cells, CARRIER) == target.evaluate(cells, CARRIER)).all():
                seconds.append(time.perf_counter() - start)
        return seconds

    seconds = benchmark.pedantic(run, rounds=1, warmup_rounds=1)
    benchmark.extra_info.update(found=len(seconds), median=float(np.median(seconds)), worst=max(seconds))
    assert len(seconds) >= (20 if bits == 68 else 17)
    assert max(seconds) <= 2


def test_ladder_program(benchmark):
    """What a task of the ladder costs to make again, its floor bank built."""
    benchmark.pedantic(lambda: ladder_program(CARRIER, bits=40, seed=7, floor=30), rounds=20, warmup_rounds=1)
