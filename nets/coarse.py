"""The smallest description of a network under which its certificate still holds, in bits.

Three kinds: "weights" as they stand; "characters", the coefficients of few frequencies of the law (nets/spelling.py);
and "neurons", where each hidden unit has one frequency. Numbers are rounded to steps on a geometric grid, and what is
counted is a code that a decoder could read: kind, shapes, frequencies, the steps and largest symbols in Elias's code,
the symbols in an adaptive arithmetic code, and the law by whose classes the waves go. Each coarse description is a
network again, and that one is certified: its bits are a length for the function, the certificate says that the function
is the program.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import partial
from math import comb, log2

import numpy as np
import numpy.typing as npt
import torch

from nets.certificate import Certificate, certify
from nets.description import adaptive_bits
from nets.fourier import frequencies
from nets.models import ARCHITECTURES, Architecture, Network
from nets.spelling import Spelling, dominant, spell
from synth.carrier import IntArray
from synth.closed_forms import law_program
from synth.integers import delta_bits
from synth.language import default_language
from synth.laws import Law

Matrix = npt.NDArray[np.float64]
Right = Callable[[Network], bool]
KINDS = ("weights", "characters", "neurons")
FIRST = 512  # cells that are looked at before all are
GRID = 4  # steps are powers of 2^(1/4)
COARSEST, FINEST = 20, -44  # grid points from the root mean square, between which steps are looked for
WAVES, STILL = " waves", " still"
MORE = 4  # numbers of frequencies that are tried, from the fewest on that can be right: of more, coarser steps may do
SLACK = 3  # grid points that all steps are taken finer by, before each is coarsened by itself


@dataclass(frozen=True, eq=False)
class Coarse:
    """A network in few bits.

    Attributes:
        kind: "weights", "characters" or "neurons".
        numbers: how many are written down.
        nonzero: how many of them are not 0.
        frequencies: how many characters, or 0.
        bits: in all.
        network: what they describe.
        certificate: of that network.
    """

    kind: str
    numbers: int
    nonzero: int
    frequencies: int
    bits: float
    network: Network
    certificate: Certificate


def smallest(network: Network, law: Law, cells: IntArray, answers: IntArray) -> list[Coarse]:
    """For each kind the smallest description found that is certified to answer ``answers`` (N,) at ``cells``, by bits.

    Kinds that no precision certifies, or that the architecture has no use for, are missing.
    """
    program = law_program(law, default_language(law.carrier, len(law.tables)), cells)
    by_law = 1 + min(law.bits, program.bits if program is not None else law.bits)

    some = slice(None, None, -(-len(cells) // FIRST))

    def right(made: Network) -> bool:
        return all(bool((made.predict(cells[x]) == answers[x]).all()) for x in (some, slice(None)))

    found: list[Coarse] = []
    few = (_of_few_frequencies(network, law, by_law, right, by_neuron) for by_neuron in (False, True))
    for schemes in (_weights(network), *few):
        for written in sorted((x for scheme in schemes for x in _short(scheme, right)), key=lambda x: x.bits):
            certificate = certify(written.network, cells, answers)
            if certificate.holds:
                found.append(_coarse(written, certificate))
                break
    return sorted(found, key=lambda x: x.bits)


@dataclass(frozen=True, eq=False)
class _Scheme:
    """What is written down: numbers by name, and ``bits`` for what says how to read them."""

    kind: str
    numbers: Mapping[str, Matrix]
    make: Callable[[Mapping[str, Matrix]], Network]
    frequencies: int
    bits: float


@dataclass(frozen=True, eq=False)
class _Written:
    """A scheme with a step for each of its tensors."""

    scheme: _Scheme
    symbols: Mapping[str, IntArray]
    bits: float
    network: Network


def _coarse(written: _Written, certificate: Certificate) -> Coarse:
    symbols = written.symbols.values()
    numbers, nonzero = sum(x.size for x in symbols), sum(int(np.count_nonzero(x)) for x in symbols)
    scheme = written.scheme
    return Coarse(scheme.kind, numbers, nonzero, scheme.frequencies, written.bits, written.network, certificate)


def quantised(values: Matrix, exponent: int) -> tuple[IntArray, float]:
    """Numbers as multiples of 2^(exponent / 4): those, and the bits of the step, the largest and all of them."""
    symbols = np.rint(values / 2 ** (exponent / GRID)).astype(np.int64)
    largest = int(np.abs(symbols).max(initial=0))
    return symbols, delta_bits(largest + 1) + 1 + delta_bits(abs(exponent) + 1) + adaptive_bits(symbols, largest)


def _write(scheme: _Scheme, exponents: Mapping[str, int]) -> _Written:
    parts = {name: quantised(values, exponents[name]) for name, values in scheme.numbers.items()}
    given: dict[str, Matrix] = {name: x * np.float64(2 ** (exponents[name] / GRID)) for name, (x, _) in parts.items()}
    bits = scheme.bits + sum(x for _, x in parts.values())
    return _Written(scheme, {name: x for name, (x, _) in parts.items()}, bits, scheme.make(given))


def _short(scheme: _Scheme, right: Right) -> Iterator[_Written]:
    """All steps coarsened together as far as answers stay right, then, from there and a little finer, each by itself.

    The first and finest of them too: the fewest bits may leave a margin that is too narrow to be certified.
    """
    sizes = {name: float(np.sqrt((x**2).mean())) for name, x in scheme.numbers.items()}
    start = {name: round(GRID * log2(x)) if x > 0 else 0 for name, x in sizes.items()}

    def shifted(shift: int) -> _Written:
        return _write(scheme, {name: x + shift for name, x in start.items()})

    fine, coarse = FINEST, COARSEST
    if not right(shifted(fine).network):
        return
    while coarse - fine > 1:
        middle = (fine + coarse) // 2
        fine, coarse = (middle, coarse) if right(shifted(middle).network) else (fine, middle)
    yield from (_refined(scheme, start, fine - x, right) for x in (0, SLACK))
    yield from (shifted(fine - x) for x in (0, SLACK))


def _refined(scheme: _Scheme, start: Mapping[str, int], shift: int, right: Right) -> _Written:
    exponents = {name: x + shift for name, x in start.items()}
    best = _write(scheme, exponents)
    stride = 8
    while stride:
        improved = False
        for name in sorted(exponents, key=lambda x: -scheme.numbers[x].size):
            while True:
                tried = {**exponents, name: exponents[name] + stride}
                other = _write(scheme, tried)
                if other.bits >= best.bits or not right(other.network):
                    break
                best, exponents, improved = other, tried, True
        stride = stride if improved else stride // 2
    return best


def _header(kind: Architecture) -> float:
    """Which kind of description of which architecture of which shape."""
    shape = (getattr(kind, x.name) for x in fields(kind))
    sizes = sum(delta_bits(int(x) + 1) for x in shape if isinstance(x, int))
    return log2(len(KINDS)) + log2(len(ARCHITECTURES) + 1) + sizes


def _weights(network: Network) -> Iterator[_Scheme]:
    tensors = {name: x.detach().cpu().double().numpy() for name, x in network.weights.items()}

    def make(given: Mapping[str, Matrix]) -> Network:
        return network.with_weights({name: torch.from_numpy(x.astype(np.float32)) for name, x in given.items()})

    yield _Scheme("weights", tensors, make, 0, _header(network.architecture))


def _of_few_frequencies(network: Network, law: Law, by_law: float, right: Right, by_neuron: bool) -> Iterator[_Scheme]:
    """In the fewest frequencies that can be right before anything is rounded, and in a few more."""
    every = list(frequencies(law.order))
    whole = spell(network, law, every)
    if whole is None:
        return
    power = np.zeros(len(every))
    for name, x in {**whole.heard, **whole.said}.items():
        waves = (x[:, whole.still[name] :] ** 2).sum(axis=(0, 2))
        power += waves.reshape(2, -1).sum(axis=0) / max(float((x**2).sum()), 1e-30)
    ranked = [every[i] for i in np.argsort(-power, kind="stable")]
    head, left = _header(network.architecture) + by_law + log2(len(ranked)), MORE
    for count in range(1, len(ranked) + 1):
        if not left:
            return
        spelt = spell(network, law, ranked[:count])
        assert spelt is not None
        make = _neurons if by_neuron else _characters
        scheme = make(spelt, head + log2(comb(len(ranked), count)))
        if right(scheme.make(scheme.numbers)):
            yield scheme
            left -= 1


def _characters(spelt: Spelling, bits: float) -> _Scheme:
    return _Scheme("characters", spelt.coefficients, spelt.make, len(spelt.frequencies), bits)


def _neurons(spelt: Spelling, bits: float) -> _Scheme:
    """Each hidden unit hears and says one frequency, and what belongs to none."""
    best, count = dominant(spelt), len(spelt.frequencies)
    numbers = dict(spelt.rest)
    for name, x in {**spelt.heard, **spelt.said}.items():
        first, unit = spelt.still[name], np.arange(len(best))
        numbers[name + WAVES] = np.stack([x[:, first + best, unit], x[:, first + count + best, unit]])
        if first:
            numbers[name + STILL] = x[:, :first]
    named = adaptive_bits(best - count // 2, (count + 1) // 2)
    return _Scheme("neurons", numbers, partial(_of_one_frequency, spelt, best), count, bits + named)


def _of_one_frequency(spelt: Spelling, best: IntArray, given: Mapping[str, Matrix]) -> Network:
    count, unit = len(spelt.frequencies), np.arange(len(best))
    full = {name: given[name] for name in spelt.rest}
    for name, x in {**spelt.heard, **spelt.said}.items():
        first = spelt.still[name]
        table = np.zeros_like(x)
        if first:
            table[:, :first] = given[name + STILL]
        table[:, first + best, unit], table[:, first + count + best, unit] = given[name + WAVES]
        full[name] = table
    return spelt.make(full)
