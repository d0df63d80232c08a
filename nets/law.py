"""Reading an integer law phi(c) = f(a) + g(b) out of a network's logits.

Only cells that are not among the examples are looked at: an extractor that sees training cells recovers the data, not
the network. Where the order of the inputs may be nothing to the network, it says at the mirror of an example what it
has memorised; there the cells that mirror none come first, and only they can accept a law. The labels of the examples
then judge it, and its ties to the network are measured apart (faithful.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from nets.fourier import rank_one_share
from nets.models import FloatArray, Network
from nets.recipes import symmetric
from nets.relabelling import read_relabelled
from nets.telling import TELLS, tells
from synth.carrier import IntArray, Residues
from synth.chance import evenly, fits
from synth.factored import offset_of, read_factors, read_products
from synth.laws import UNKNOWN, ZERO, Basis, Law, decode
from synth.products import ProductLaw
from synth.spectral import additive_tables, zero_elements

_LEAST_CELLS = 3  # that each element of an input needs for its entry to be read from unmirrored cells alone
_GIVES = 0.25  # of the unmirrored cells, at which a network must give the answers of a law read from others as well
_NOISY = 0.03  # a share of wrong labels, above which so many mirror images may disagree that the order seems to matter
_CLOSE = 0.7  # of the first basis' share, for the second to be read too where the first has no law
MOST_SCORES = 1 << 23  # floats of logits that are looked at; more held-out cells than that are thinned out evenly


@dataclass(frozen=True, eq=False)
class Reading:
    """The law of a network, and what speaks for it.

    Attributes:
        law: in the basis whose spectrum factorises best; for a composite modulus, where that has no law that the
            examples accept, a sum or a product for each of its factors (a ``ProductLaw``). Of an element that an input
            has in no example it says nothing: nobody ever told the network what becomes of it.
        shares: by basis, the rank-one share of the logits' spectrum.
        fit: the share of the examples' labels that the law predicts.
        agreement: the share of the held-out cells on which law and network say the same.
        leads: whether the law's answer is also the one that the network gives most often, among all answers as far
            away from the law's. A smoother over neighbouring cells has a law in the mean of its scores, and never
            gives its answer: what is near by is always off by one.
        accepted: whether the law leads, fits the examples' labels as well as the declared noise allows, with no
            element of an input more often wrong than that, by more labels than a law has entries, and its answers score
            higher than others that the examples leave as open (see telling.py), at cells that mirror no example.
    """

    law: Law | ProductLaw
    shares: Mapping[Basis, float]
    fit: float
    agreement: float
    leads: bool
    accepted: bool


def held_out_sample(cells: IntArray, size: int, most: int = MOST_SCORES) -> IntArray:
    """The held-out cells to look at: all, or every so-many-th when their logits would be more than ``most`` floats."""
    return cells[:: max(1, -(-len(cells) * size // most))]


def read_law(
    network: Network,
    carrier: Residues,
    held_out: IntArray,
    inputs: IntArray,
    labels: IntArray,
    noise: float = 0.0,
    *,
    relabelled: bool = True,
) -> Reading | None:
    """The law that a network has come to.

    Args:
        network: it is asked at ``held_out`` only.
        carrier: Z_m.
        held_out: cells that are not among the examples, shape (N, arity).
        inputs, labels: the examples, shapes (n, arity) and (n,): they decide on acceptance, labels on nothing else.
        noise: the declared share of wrong labels.
        relabelled: whether to look for laws with their outputs in any order where no other is accepted, which takes
            about as long again.

    Returns:
        None where there is nothing to read: no held-out cells, or a function of one input, of which held-out cells
        say nothing about the others.
    """
    if held_out.shape[1] < 2:
        return None
    cells = held_out_sample(held_out, carrier.size)
    if not len(cells):
        return None
    return read_logits(cells, network.logits(cells), carrier, inputs, labels, noise, relabelled=relabelled)


def read_logits(
    cells: IntArray,
    logits: FloatArray,
    carrier: Residues,
    inputs: IntArray,
    labels: IntArray,
    noise: float = 0.0,
    *,
    relabelled: bool = True,
) -> Reading:
    """The law in logits of shape (N, m) at ``cells`` of shape (N, arity); see ``read_law``.

    Cells that mirror an example are left out at first, unless the examples say that the order of the inputs matters.
    Where the others are too few to be read, all are, and a law is accepted only if the network itself gives its answer
    at many of the others: it then does more than remember.
    """
    blind = noise > _NOISY or symmetric(inputs, labels) is not False  # as far as the examples tell
    apart = unmirrored(cells, inputs) if blind else np.ones(len(cells), dtype=np.bool_)
    examples = inputs, labels, noise
    if not apart.all() and _covers(cells[apart], cells):
        some = np.ones(int(apart.sum()), dtype=np.bool_)
        found = _read(cells[apart], logits[apart], some, carrier, *examples, blind=blind, relabelled=relabelled)
        if found.accepted:
            return found
    return _read(cells, logits, apart, carrier, *examples, blind=blind, relabelled=relabelled)


def _read(
    cells: IntArray,
    logits: FloatArray,
    apart: npt.NDArray[np.bool_],
    carrier: Residues,
    inputs: IntArray,
    labels: IntArray,
    noise: float,
    *,
    blind: bool,
    relabelled: bool,
) -> Reading:
    """The law at these cells, of which those ``apart``, shape (N,), must tell its answers from others."""
    answers = logits.argmax(axis=1)
    zero = zero_elements(cells, answers, carrier.size)
    touched = np.any([zero[j][cells[:, j]] for j in range(cells.shape[1])], axis=0)
    evidence: dict[Basis, tuple[IntArray, FloatArray]] = {"additive": (cells, logits)}
    if carrier.is_prime and carrier.size > 2 and not touched.all():
        evidence["dlog"] = cells[~touched], logits[~touched][:, decode(carrier, "dlog")]
    shares: dict[Basis, float] = {}
    for name, seen in evidence.items():
        shares[name] = rank_one_share(*seen, carrier.size)
    ranked = sorted(shares, key=lambda x: -shares[x])

    def read(basis: Basis) -> Law:
        tables = additive_tables(*evidence[basis], carrier.size)
        if basis == "dlog":
            tables = tuple(np.where(zero[j], ZERO, table) for j, table in enumerate(tables))
        return Law.of(carrier, basis, tables)

    def judged(read: Law | ProductLaw) -> Reading:
        law = _vouched(read, inputs)
        right = law.predict(inputs) == labels
        fit, leads = float(right.mean()) if len(labels) else 1.0, _leads(law, cells, answers)
        accepted = leads and fits(fit, len(labels), law.order, noise, read.freedom) and evenly(right, inputs, noise)
        accepted = accepted and tells(law, cells[apart], logits[apart], inputs, labels, blind=blind) > TELLS
        if accepted and not apart.all():
            accepted = bool((law.predict(cells[apart]) == answers[apart]).mean() >= _GIVES)
        return Reading(law, shares, fit, float((law.predict(cells) == answers).mean()), leads, accepted)

    found = judged(read(ranked[0]))
    if not found.accepted:
        others: list[Callable[[], Law | ProductLaw | None]] = [
            partial(read_factors, carrier, cells, logits, offset, reduced=reduced)
            for reduced in (True, False)
            for offset in dict.fromkeys((0, offset_of(carrier, answers)))
            if not carrier.is_prime
        ]
        if ranked[0] == "dlog":
            others.append(lambda: read_products(carrier, cells, logits))
        if len(ranked) > 1 and shares[ranked[1]] > _CLOSE * shares[ranked[0]]:
            others.append(lambda: read(ranked[1]))
        for other in others:
            law = other()
            if law is not None and (again := judged(law)).accepted:
                return again
    if relabelled and not found.accepted and len(np.unique(answers)) > carrier.modulus // 2:
        another = read_relabelled(cells, logits, carrier)
        other = judged(another) if another is not None else None
        if other is not None and other.accepted:
            return other
    return found


def _vouched(law: Law | ProductLaw, inputs: IntArray) -> Law | ProductLaw:
    """The law without the entries that no example can have tested: those of elements that an input never is."""
    never = np.ones((inputs.shape[1], law.carrier.size), dtype=np.bool_)
    for j in range(inputs.shape[1]):
        never[j, inputs[:, j]] = False
    if not never.any():
        return law

    def known(tables: tuple[IntArray, ...]) -> tuple[IntArray, ...]:
        return tuple(np.where(never[j], UNKNOWN, table) for j, table in enumerate(tables))

    if isinstance(law, ProductLaw):
        return replace(law, parts=tuple(replace(part, tables=known(part.tables)) for part in law.parts))
    return replace(law, tables=known(law.tables))


def unmirrored(cells: IntArray, inputs: IntArray) -> npt.NDArray[np.bool_]:
    """Which of the cells (N, arity) have the inputs of no example (n, arity) in another order, shape (N,).

    A network that shares a table among its inputs gives at mirror cells what it has memorised at the examples.
    """
    base = int(max(cells.max(initial=0), inputs.max(initial=0))) + 1
    weights = base ** np.arange(cells.shape[1], dtype=np.int64)
    return ~np.isin(np.sort(cells, axis=1) @ weights, np.sort(inputs, axis=1) @ weights)


def _covers(some: IntArray, cells: IntArray) -> bool:
    """Whether every element that an input has among the cells is there a few times among some of them."""
    for j in range(cells.shape[1]):
        there = np.bincount(cells[:, j])
        if (np.bincount(some[:, j], minlength=len(there))[there > 0] < _LEAST_CELLS).any():
            return False
    return True


def _leads(law: Law | ProductLaw, cells: IntArray, answers: IntArray) -> bool:
    """Whether more of the answers are the law's than any number of classes away from it."""
    if isinstance(law, ProductLaw):
        return law.leads(cells, answers)
    classes = np.full(law.carrier.modulus, ZERO, dtype=np.int64)
    classes[law.decode] = np.arange(law.order)
    entries = np.stack([table[cells[:, j]] for j, table in enumerate(law.tables)])
    usual = (entries >= 0).all(axis=0) & (classes[answers] >= 0)
    away = (classes[answers] - entries.sum(axis=0))[usual] % law.order
    counts = np.bincount(away, minlength=law.order)
    return bool((counts[0] > counts[1:]).all())
