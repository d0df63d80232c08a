"""Reading a product law: the evidence is summed over results that are alike modulo one factor, and read for each.

Modulo a prime power q the sums are additive laws of order q. The products are laws of the group of units, a product of
cyclic groups that are read one by one, from cells whose inputs and result are units; what other inputs stand for is
then told by the cells that pair them with units. Once all factors have a first reading, each is read again from the
results that agree with the others: evidence that only all of them together give counts too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache, reduce

import numpy as np
import numpy.typing as npt

from synth.carrier import IntArray, Residues
from synth.evidence import FloatArray
from synth.laws import NO_ANSWER, UNKNOWN, Law, phi, primitive_root
from synth.products import Part, ProductLaw, idempotent, joined, prime_of, prime_powers
from synth.spectral import additive_tables

_MOST_SCORES = 1 << 24  # floats that are looked at; more cells than that are thinned out evenly
_ROUNDS = 3
_MAX_SWEEPS = 12
_MULTIPLES = 0.9  # of the results that are multiples of p, for all of them to be tried as multiples of a product


def offset_of(carrier: Residues, answers: IntArray) -> int:
    """What may have been added to a product: modulo every prime power of m the commonest residue, a product's 0."""
    m = carrier.modulus
    return sum(int(np.bincount(answers % q).argmax()) * idempotent(m, q) for q in prime_powers(m)) % m


def read_factors(
    carrier: Residues, cells: IntArray, evidence: IntArray | FloatArray, offset: int = 0, *, reduced: bool = False
) -> ProductLaw | None:
    """The product law that the evidence speaks for most; None where m is prime.

    Args:
        carrier: Z_m.
        cells: shape (N, arity), arity 1 to 4, N at least 1.
        evidence: labels, shape (N,), residues modulo m; or scores of them, shape (N, m), higher is likelier.
        offset: what the law adds to its parts' result.
        reduced: whether modulo q an input counts by its own residue only, as in every polynomial: fewer entries, each
            told by more cells.
    """
    m = carrier.modulus
    if carrier.is_prime or not len(cells):
        return None
    if offset:
        evidence = (evidence - offset) % m if evidence.ndim == 1 else np.roll(evidence, -offset, axis=1)
        found = read_factors(carrier, cells, evidence, reduced=reduced)
        return replace(found, offset=offset) if found is not None else None
    some = slice(None, None, max(1, -(-len(cells) * m // _MOST_SCORES)))
    cells, evidence = cells[some], evidence[some]
    exact = evidence.ndim == 1
    answers = np.asarray(evidence, dtype=np.int64) if exact else np.asarray(evidence).argmax(axis=1)
    scores = np.eye(m, dtype=np.float32)[answers] if exact else np.asarray(evidence, dtype=np.float32)
    scores = scores - scores.mean(axis=1, keepdims=True)
    factors = prime_powers(m)
    if reduced:
        parts = [_reduced(q, cells, _summed(scores, q), m) for q in factors]
        for i, q in enumerate(factors):
            known, given = _given(parts, i, cells, scores)
            if len(known) and len(factors) > 1 and not exact:
                parts[i] = _reduced(q, cells[known], given, m)
        return ProductLaw(carrier, tuple(parts))
    parts = [_best(q, cells, _summed(scores, q), answers % q, m, exact) for q in factors]
    if exact or len(factors) == 1:  # of exact labels the other factors say nothing new
        return ProductLaw(carrier, tuple(parts))
    for _ in range(_ROUNDS):
        before = ProductLaw(carrier, tuple(parts))
        for i, q in enumerate(factors):
            known, given = _given(parts, i, cells, scores)
            if len(known):
                parts[i] = _best(q, cells[known], given, answers[known] % q, m, exact, parts[i])
        if ProductLaw(carrier, tuple(parts)).normalised() == before.normalised():
            break
    return _together(ProductLaw(carrier, tuple(parts)), cells, scores)


def _together(law: ProductLaw, cells: IntArray, scores: FloatArray) -> ProductLaw:
    """The law with each element's entries of all parts voted on at once: one may be wrong because another is."""
    m = law.carrier.modulus
    every = np.arange(m)
    table = np.zeros((m, m), dtype=np.int64)
    for part in law.parts:
        both = np.add.outer(every, every) if part.operation == "+" else np.outer(every, every)
        table += both % part.modulus * idempotent(m, part.modulus)
    found = _refined(joined(law), table % m, cells, scores, exact=False)
    parts = (Part(x.modulus, x.operation, tuple(np.where(t >= 0, t % x.modulus, t) for t in found)) for x in law.parts)
    return ProductLaw(law.carrier, tuple(parts))


def read_products(carrier: Residues, cells: IntArray, scores: FloatArray) -> Law:
    """The law of the discrete logs modulo a prime in scores, shape (N, m): zeros by the vote of all their cells.

    ``spectral.zero_elements`` goes by labels, of which too few are right where scores are faint.
    """
    part = _product(carrier.modulus, cells, scores, np.asarray(scores).argmax(axis=1), carrier.modulus, exact=False)
    logs = phi(carrier, "dlog")
    return Law.of(carrier, "dlog", tuple(np.where(x >= 0, logs[np.maximum(x, 0)], UNKNOWN) for x in part.tables))


def _summed(scores: FloatArray, q: int) -> FloatArray:
    """The scores of the residues modulo q, shape (N, q)."""
    return scores.reshape(len(scores), -1, q).sum(axis=1)


def _given(parts: list[Part], i: int, cells: IntArray, scores: FloatArray) -> tuple[IntArray, FloatArray]:
    """The cells at which all other parts have a result, and there the scores of part i's residues beside it."""
    m, q = scores.shape[1], parts[i].modulus
    rest = np.zeros(len(cells), dtype=np.int64)
    known: npt.NDArray[np.bool_] = np.ones(len(cells), dtype=np.bool_)
    for k, part in enumerate(parts):
        if k != i:
            residues = part.combined(cells)
            known &= residues != NO_ANSWER
            rest += residues * idempotent(m, part.modulus)
    results = (rest[known, None] + np.arange(q) * idempotent(m, q)) % m
    return np.flatnonzero(known), np.take_along_axis(scores[known], results, axis=1)


def _best(
    q: int, cells: IntArray, scores: FloatArray, answers: IntArray, size: int, exact: bool, known: Part | None = None
) -> Part:
    """The sum or the product modulo q that more of the scores speak for; or what was ``known``, if that has more."""
    # Inputs whose entries are few and uneven have a mean of their own, which reading scores takes for noise.
    candidates = [Part(q, "+", additive_tables(cells, x, size, q)) for x in ([] if exact else [scores]) + [answers]]
    candidates.append(_product(q, cells, scores, answers, size, exact))
    p = prime_of(q)
    if q > p and (answers % p == 0).mean() > _MULTIPLES:
        candidates.append(_multiple(_product(q // p, cells, scores[:, ::p], answers // p, size, exact), p))
    if known is not None:
        candidates.append(known)
    centred = scores - scores.mean(axis=1, keepdims=True)

    def weight(part: Part) -> float:
        said = part.combined(cells)
        sure = np.flatnonzero(said != NO_ANSWER)
        return float(centred[sure, said[sure]].sum())

    return max(candidates, key=weight)


def _product(q: int, cells: IntArray, scores: FloatArray, answers: IntArray, size: int, exact: bool) -> Part:
    """Factors modulo q: units by discrete logs, all others by the cells that pair them with units."""
    arity, p = cells.shape[1], prime_of(q)
    units = _units(cells, answers % p == 0, size)
    usable = (answers % p != 0) & np.all([units[j][cells[:, j]] for j in range(arity)], axis=0)
    tables = [np.where(units[j], 1 % q, 0 if q == p else UNKNOWN).astype(np.int64) for j in range(arity)]
    for generator, order, logs in cycles(q):
        powers = np.array([pow(generator, k, q) for k in range(order)], dtype=np.int64)
        summed = scores[usable] @ (logs[:, None] == np.arange(order)).astype(np.float32)
        found = additive_tables(cells[usable], logs[answers[usable]] if exact else summed, size, order)
        for j, classes in enumerate(found):
            known = units[j] & (classes >= 0) & (tables[j] >= 0)
            tables[j] = np.where(units[j], np.where(known, tables[j] * powers[classes] % q, UNKNOWN), tables[j])
    times = np.outer(np.arange(q), np.arange(q)) % q
    return Part(q, "*", _refined(tables, times, cells, scores, exact))


def _reduced(q: int, cells: IntArray, scores: FloatArray, size: int) -> Part:
    """The sum or the product modulo q of inputs that count by their residues modulo q only."""
    arity = cells.shape[1]
    code = (cells % q) @ (q ** np.arange(arity, dtype=np.int64))
    sequence = np.argsort(code, kind="stable")
    starts = np.flatnonzero(np.diff(code[sequence], prepend=-1))
    sums = np.add.reduceat(scores[sequence], starts, axis=0)
    part = _best(q, cells[sequence[starts]] % q, sums, sums.argmax(axis=1), q, exact=False)
    return Part(q, part.operation, tuple(table[np.arange(size) % q] for table in part.tables))


def _multiple(part: Part, p: int) -> Part:
    """p times the product: modulo p times its modulus, of which only the first factor has to know."""
    first, *others = part.tables
    return Part(p * part.modulus, "*", (np.where(first >= 0, p * first, first), *others))


def _units(cells: IntArray, is_zero: npt.NDArray[np.bool_], size: int) -> npt.NDArray[np.bool_]:
    """Which elements of which input are no multiples of p: (arity, size), by how often the result is one.

    With a multiple it always is, with a unit as often as another factor is a multiple; halfway decides.
    """
    arity = cells.shape[1]
    others = 1 - (1 - is_zero.mean()) ** ((arity - 1) / arity)
    count = np.stack([np.bincount(cells[:, j], minlength=size) for j in range(arity)])
    zeros = np.stack([np.bincount(cells[is_zero, j], minlength=size) for j in range(arity)])
    return zeros < (1 + others) / 2 * np.maximum(count, 1)


@cache
def cycles(q: int) -> tuple[tuple[int, int, IntArray], ...]:
    """The cyclic factors of the group of units modulo the prime power q: generator, order, and each unit's exponent.

    Exponents have shape (q,), -1 for non-units. Powers of 2 from 8 on have two factors, of -1 and of 5; 2 has none.
    """
    p = prime_of(q)
    units = [x for x in range(1, q) if x % p]
    if q == 2:
        return ()
    if p == 2:
        generators = [(q - 1, 2)] + ([(5, q // 4)] if q > 4 else [])
    else:
        root = primitive_root(p)
        generators = [(root if q == p or pow(root, p - 1, p * p) != 1 else root + p, len(units))]
    found: list[tuple[int, int, IntArray]] = []
    for i, (generator, order) in enumerate(generators):
        logs = np.full(q, -1, dtype=np.int64)
        other, times = generators[1 - i] if len(generators) > 1 else (1, 1)
        for k in range(order):
            for t in range(times):
                logs[pow(generator, k, q) * pow(other, t, q) % q] = k
        logs.setflags(write=False)
        found.append((generator, order, logs))
    return tuple(found)


def _refined(
    tables: Sequence[IntArray], table: IntArray, cells: IntArray, scores: FloatArray, exact: bool
) -> tuple[IntArray, ...]:
    """Every input in turn by the vote of all cells whose other inputs are known, until nothing changes.

    Args:
        tables: entries 0 .. q-1, or UNKNOWN.
        table: of the operation, shape (q, q); associative and commutative.
        cells, scores: shapes (N, arity) and (N, q).
        exact: whether the scores are those of labels.
    """
    q, arity, size = len(table), len(tables), len(tables[0])
    found, flat = list(tables), np.ascontiguousarray(scores).reshape(-1)
    settled = 0
    for step in range(_MAX_SWEEPS * arity):
        j = step % arity
        entries = [found[i][cells[:, i]] for i in range(arity) if i != j]
        known = np.flatnonzero(np.all([x >= 0 for x in entries], axis=0)) if entries else np.arange(len(cells))
        sequence = known[np.argsort(cells[known, j], kind="stable")]
        votes: npt.NDArray[np.float64] = np.zeros((size, q))
        if len(sequence):
            if entries:
                rest = reduce(lambda x, y: table[x, y], (x[sequence] for x in entries))
                places = table.take(rest, axis=0)
                places += sequence[:, None] * q
                moved = flat.take(places)  # what speaks for each entry
            else:
                moved = scores[sequence]
            starts = np.flatnonzero(np.diff(cells[sequence, j], prepend=-1))
            votes[cells[sequence[starts], j]] = np.add.reduceat(moved, starts, axis=0)
        better = _decided(votes, found[j], exact)
        settled = settled + 1 if np.array_equal(better, found[j]) else 0
        found[j] = better
        if settled >= arity:
            break
    return tuple(found)


def _decided(votes: npt.NDArray[np.float64], before: IntArray, exact: bool) -> IntArray:
    """The entry with most votes; what it was where all have as many, and of labels UNKNOWN where several have most."""
    most = votes.max(axis=1)
    level = most - 1e-6 * (1 + np.abs(most))
    leading = votes >= level[:, None]
    choice = np.where(leading.all(axis=1), before, votes.argmax(axis=1))
    if exact:
        torn = (leading.sum(axis=1) > 1) & ~leading[np.arange(len(votes)), np.maximum(before, 0)]
        torn |= (leading.sum(axis=1) > 1) & (before == UNKNOWN)
        choice = np.where(torn, UNKNOWN, np.where(leading.sum(axis=1) > 1, before, choice))
    return choice.astype(np.int64)
