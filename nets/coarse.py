"""The smallest description of a network under which its certificate still holds, in bits.

Weights are rounded to few bits, as they stand, or as coefficients of few characters of the law, or neuron by neuron as
one cosine; each coarse description is a network again, and what is certified is that one. Its bits are a
length for the function, the certificate says that the function is the program.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import ceil, comb, log2

import numpy as np
import numpy.typing as npt
import torch

from nets.certificate import Certificate, certify
from nets.fourier import characters, constants, frequencies
from nets.models import Network
from nets.relu import Relu
from synth.carrier import IntArray
from synth.closed_forms import law_program
from synth.language import default_language
from synth.laws import Law

Matrix = npt.NDArray[np.float64]
SCALE_BITS = 32  # a float32 for each tensor's step
PRECISIONS = range(2, 13)


@dataclass(frozen=True, eq=False)
class Coarse:
    """A network in few bits.

    Attributes:
        kind: "weights", "characters" or "neurons".
        precision: bits for each number.
        numbers: how many there are.
        frequencies: how many characters, or 0.
        bits: in all, the steps' scales, the choice of frequencies, and the law by whose classes the waves go, included.
        network: what they describe.
        certificate: of that network.
    """

    kind: str
    precision: int
    numbers: int
    frequencies: int
    bits: float
    network: Network
    certificate: Certificate


def smallest(network: Network, law: Law, cells: IntArray, answers: IntArray) -> list[Coarse]:
    """For each kind of description the smallest that was certified to answer ``answers`` (N,) at ``cells``, by bits.

    Kinds that no precision certifies, or that the architecture has no use for, are missing.
    """
    kinds: list[Callable[[Network, Law], Iterator[tuple[float, Coarse]]]] = [_weights, _characters, _neurons]
    network = _unfolded(network)
    found: list[Coarse] = []
    program = law_program(law, default_language(law.carrier, len(law.tables)), cells)
    by_law = min(law.bits, program.bits if program is not None else law.bits)
    for kind in kinds:
        bits_of_law = 0.0 if kind is _weights else by_law
        for _, described in sorted(kind(network, law), key=lambda x: x[0]):
            if (described.network.predict(cells) == answers).all():
                certificate = certify(described.network, cells, answers)
                if certificate.holds:
                    found.append(replace(described, bits=described.bits + bits_of_law, certificate=certificate))
                    break
    return sorted(found, key=lambda x: x.bits)


_NONE = Certificate(False, float("nan"), float("nan"), float("nan"), 0, None, "not tried")


def rounded(values: Matrix, precision: int) -> Matrix:
    """Each number as one of 2^precision - 1 equal steps that reach from minus to plus the largest."""
    reach = float(np.abs(values).max(initial=0.0))
    if reach == 0.0:
        return values
    step = reach / max(1, 2 ** (precision - 1) - 1)
    return np.round(values / step) * step


def _tensors(network: Network) -> Mapping[str, Matrix]:
    return {name: x.detach().cpu().double().numpy() for name, x in network.weights.items()}


def _made(network: Network, changed: Mapping[str, Matrix]) -> Network:
    return network.with_weights({name: torch.from_numpy(x.astype(np.float32)) for name, x in changed.items()})


def _unfolded(network: Network) -> Network:
    """A ReLU network with a shared embedding as what it is to its hidden layer: the same table for every input."""
    kind = network.architecture
    if not isinstance(kind, Relu) or kind.separate:
        return network
    table = (network.weights["E"].double() @ network.weights["M"].double()).float()
    weights = {f"U{i}": table for i in range(kind.arity)} | {name: network.weights[name] for name in ("b", "W")}
    return Network(replace(kind, separate=True), weights)


def _numbers(tensors: Mapping[str, Matrix]) -> int:
    """How many numbers to write down, tables that are the same once."""
    return sum(x.size for x in {x.tobytes(): x for x in tensors.values()}.values())


def _used(tensors: Mapping[str, Matrix]) -> dict[str, Matrix]:
    """Those that say anything: the bilinear network's shared rows may be switched off."""
    return {name: x for name, x in tensors.items() if x.any()}


def _weights(network: Network, _: Law) -> Iterator[tuple[float, Coarse]]:
    tensors = _used(_tensors(network))
    numbers = _numbers(tensors)
    for precision in PRECISIONS:
        bits = float(precision * numbers + SCALE_BITS * len(tensors))
        made = _made(network, {name: rounded(x, precision) for name, x in tensors.items()})
        yield bits, Coarse("weights", precision, numbers, 0, bits, made, _NONE)


def _characters(network: Network, law: Law) -> Iterator[tuple[float, Coarse]]:
    """Tables by token, and readouts by class, in the law's characters of the strongest frequencies alone."""
    tensors = _used(_tensors(network))
    sides = _sides(network, law, tensors)
    if len(sides) < 2:
        return
    energy: dict[int, float] = dict.fromkeys(frequencies(law.order), 0.0)
    for name, classes in sides.items():
        rows = _by_token(name, tensors[name])
        for k in energy:
            waves = _orthonormal(characters(classes, law.order, [k]))
            energy[k] += float(((waves.T @ rows) ** 2).sum()) / max(float((rows**2).sum()), 1e-30)
    ranked = sorted(energy, key=lambda k: -energy[k])
    plain = {name: x for name, x in tensors.items() if name not in sides}
    for count in sorted({*range(1, min(9, len(ranked) + 1)), *range(10, len(ranked), 3), len(ranked)}):
        parts: dict[str, tuple[Matrix, Matrix]] = {}
        for name, classes in sides.items():
            columns = np.concatenate([constants(classes), characters(classes, law.order, ranked[:count])], axis=1)
            basis = _orthonormal(columns)
            parts[name] = basis, basis.T @ _by_token(name, tensors[name])
        numbers = _numbers({name: c for name, (_, c) in parts.items()}) + _numbers(plain)
        choice = log2(len(ranked)) + log2(comb(len(ranked), count))
        for precision in PRECISIONS:
            bits = precision * numbers + SCALE_BITS * len(tensors) + choice
            changed = {name: rounded(x, precision) for name, x in plain.items()}
            for name, (basis, coefficients) in parts.items():
                changed[name] = _as_stored(name, basis @ rounded(coefficients, precision))
            yield bits, Coarse("characters", precision, numbers, count, bits, _made(network, changed), _NONE)


def _neurons(network: Network, law: Law) -> Iterator[tuple[float, Coarse]]:
    """Each hidden unit as one frequency: an amplitude and a phase in every table and in the readout."""
    tensors = _used(_tensors(network))
    sides = _sides(network, law, tensors)
    hidden = {_by_token(name, tensors[name]).shape[1] for name in sides}
    if len(sides) < 2 or len(hidden) != 1 or set(tensors) - set(sides) - {"b"} - {f"u{i}" for i in range(4)}:
        return
    width, ks = hidden.pop(), list(frequencies(law.order))
    bases = {
        name: {k: _orthonormal(characters(classes, law.order, [k])) for k in ks} for name, classes in sides.items()
    }
    energy: Matrix = np.ones((len(ks), width))
    for name in sides:
        rows = _by_token(name, tensors[name])
        norm = np.maximum((rows**2).sum(axis=0), 1e-30)
        energy *= np.array([((bases[name][k].T @ rows) ** 2).sum(axis=0) / norm for k in ks]) + 1e-12
    best = energy.argmax(axis=0)
    plain = {name: x for name, x in tensors.items() if name not in sides}
    written = len({tensors[name].tobytes() for name in sides})
    numbers = 2 * width * written + _numbers(plain)
    for precision in PRECISIONS:
        changed = {name: rounded(x, precision) for name, x in plain.items()}
        for name in sides:
            rows = _by_token(name, tensors[name])
            coefficients = np.zeros((2, width))
            for at, k in enumerate(ks):
                mine = best == at
                found = bases[name][k].T @ rows[:, mine]
                coefficients[: len(found), mine] = found
            coefficients = rounded(coefficients, precision)
            table = np.zeros_like(rows)
            for at, k in enumerate(ks):
                mine, basis = best == at, bases[name][k]
                table[:, mine] = basis @ coefficients[: basis.shape[1], mine]
            changed[name] = _as_stored(name, table)
        bits = precision * numbers + SCALE_BITS * len(tensors) + width * ceil(log2(max(2, len(ks))))
        yield bits, Coarse("neurons", precision, numbers, len(set(best.tolist())), bits, _made(network, changed), _NONE)


def _sides(network: Network, law: Law, tensors: Mapping[str, Matrix]) -> dict[str, IntArray]:
    """The tensors with a row per token or a column per class, and the classes of those in the law."""
    sides: dict[str, IntArray] = {}
    for name, readers in network.architecture.tables():
        if name in tensors and all(_same_characters(law, readers[0], j) for j in readers):
            sides[name] = law.tables[readers[0]]
    read = tensors.get("W")
    if read is not None and read.shape[1] == network.architecture.size:
        sides["W"] = _classes_of(law)
    return sides


def _same_characters(law: Law, i: int, j: int) -> bool:
    """Whether two inputs' tables are the same up to a constant and a sign: then so is what their characters span."""
    f, g = law.tables[i], law.tables[j]
    known = (f >= 0) & (g >= 0)
    return bool(((f >= 0) == (g >= 0)).all()) and any(
        len(set(((f - sign * g)[known] % law.order).tolist())) <= 1 for sign in (1, -1)
    )


def _classes_of(law: Law) -> IntArray:
    """h(c) for each element, negative where it has none."""
    classes = np.full(law.carrier.modulus, -1, dtype=np.int64)
    classes[law.decode] = np.arange(law.order)
    return classes


def _by_token(name: str, tensor: Matrix) -> Matrix:
    return tensor.T if name == "W" else tensor


def _as_stored(name: str, rows: Matrix) -> Matrix:
    return np.ascontiguousarray(rows.T) if name == "W" else rows


def _orthonormal(columns: Matrix) -> Matrix:
    left, values, _ = np.linalg.svd(columns, full_matrices=False)
    return left[:, values > 1e-9 * max(1.0, float(values.max(initial=0.0)))]
