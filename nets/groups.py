"""Reading a group law c = f(a) g(b) out of a network's logits, and their shares in the irreducible representations.

The correlation of phases that reads laws of residues has no need of phases: two rows of a law's table differ by a
translation from the left, f(a') f(a)^-1, and the correlation of their evidence over the group peaks there. Characters
are computed from the table by Burnside's algorithm (class multiplication constants share their eigenvectors; see Dixon,
High speed computation of group characters, 1967), so that any group given by its table will do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from nets.law import held_out_sample
from nets.models import FloatArray, Network
from synth.carrier import Group, IntArray
from synth.chance import fits
from synth.draws import permutation
from synth.language import Language
from synth.laws import Law
from synth.program import Program

Array = npt.NDArray[np.float64]
_SWEEPS = 6
_SHOWN = 24  # cells that a program is sought for; all then judge it
MAX_PROGRAMS = 100_000
KEY_SHARE = 0.95  # key irreps: the fewest that carry this share of what the law explains


@dataclass(frozen=True, eq=False)
class Characters:
    """The character table of a finite group.

    Attributes:
        classes: shape (size,), the conjugacy class of each element, the identity's 0.
        values: shape (irreps, classes), complex; by dimension, the trivial one first.
        dimensions: shape (irreps,).
    """

    classes: IntArray
    values: npt.NDArray[np.complex128]
    dimensions: IntArray

    @property
    def names(self) -> list[str]:
        """Each irrep by its dimension, with letters where there are several: 1a 1b 4a 4b 5a 5b 6."""
        dimensions = self.dimensions.tolist()
        seen: dict[int, int] = {}
        names: list[str] = []
        for d in dimensions:
            seen[d] = seen.get(d, 0) + 1
            names.append(
                f"{d}{'abcdefghijklmnopqrstuvwxyz'[(seen[d] - 1) % 26]}" if dimensions.count(d) > 1 else f"{d}"
            )
        return names


def conjugacy_classes(group: Group) -> IntArray:
    """The class of each element, shape (size,), numbered from the identity's 0 in order of first elements."""
    table, inverse = group.table, group.inverses
    least = np.stack([table[table[g], inverse[g]] for g in range(group.size)]).min(axis=0)
    first = np.where(least == least[group.identity], -1, least)
    return np.unique(first, return_inverse=True)[1].astype(np.int64)


def characters(group: Group) -> Characters:
    """The group's irreducible characters, computed from its table."""
    classes = conjugacy_classes(group)
    count = int(classes.max()) + 1
    sizes = np.bincount(classes)
    products: Array = np.zeros(
        (count, count, count)
    )  # how often x in class i times y in class j is a given z of class k
    for k in range(count):
        z = int(np.flatnonzero(classes == k)[0])
        y = group.table[group.inverses, z]  # x y = z
        np.add.at(products[:, :, k], (classes, classes[y]), 1.0)
    weights = np.random.default_rng(0).normal(size=count)
    mixed = np.einsum("j,ijk->ik", weights, products)
    _, vectors = np.linalg.eig(mixed)
    central = (vectors / vectors[0]).T  # |C| chi(C) / chi(1): products of class sums are these sums' products
    dimensions = np.sqrt(group.size / (np.abs(central) ** 2 / sizes).sum(axis=1))
    values = dimensions[:, None] * central / sizes
    rounded = np.round(dimensions).astype(np.int64)
    trivial = np.abs(values - 1).max(axis=1) < 1e-6
    order = np.lexsort((-values[:, 1:].real.round(6).sum(axis=1), rounded, ~trivial))
    return Characters(classes, values[order], rounded[order])


@dataclass(frozen=True, eq=False)
class GroupLaw:
    """c = f(a) g(b) in a group, f and g each of shape (size,)."""

    group: Group
    f: IntArray
    g: IntArray

    def predict(self, inputs: IntArray) -> IntArray:
        """The outputs, shape (n,), for inputs of shape (n, 2)."""
        return self.group.table[self.f[inputs[:, 0]], self.g[inputs[:, 1]]]

    @property
    def cyclic(self) -> Law | None:
        """None: no sum in one cyclic group."""
        return None

    @property
    def abelian(self) -> Law | None:
        """None: nor in several."""
        return None

    @property
    def bits(self) -> float:
        """What writing the two tables down costs."""
        return 2 * self.group.size * float(np.log2(self.group.size))

    @property
    def text(self) -> str:
        """The law in one line, its tables in full."""
        spelt = (" ".join(map(str, table.tolist())) for table in (self.f, self.g))
        return "result = f(a)*g(b); " + "; ".join(f"{name} = {x}" for name, x in zip("fg", spelt, strict=True))

    def same(self, other: GroupLaw) -> bool:
        """Whether the tables are those of another law."""
        return np.array_equal(self.f, other.f) and np.array_equal(self.g, other.g)


@dataclass(frozen=True, eq=False)
class GroupReading:
    """A network's group law.

    Attributes:
        law: the tables.
        fit: the share of the examples' labels that it predicts.
        agreement: the share of the held-out cells on which law and network say the same.
        accepted: whether it fits the examples as well as the declared noise allows.
        explained: the share of the variance of the centred held-out logits, that functions of (f(a) g(b))^-1 c explain.
        central: the share of that, in functions that are constant on conjugacy classes: sums of characters.
        shares: by irrep, the share of the explained variance; they sum to 1.
    """

    law: GroupLaw
    fit: float
    agreement: float
    accepted: bool
    explained: float
    central: float
    shares: dict[str, float]


def read_group_law(
    network: Network, group: Group, held_out: IntArray, inputs: IntArray, labels: IntArray, noise: float = 0.0
) -> GroupReading | None:
    """The group law that a network has come to; see ``nets.law.read_law``, whose rules hold here too.

    Returns:
        None where there are no held-out cells, or other than two inputs.
    """
    if held_out.shape[1] != 2 or not len(held_out):
        return None
    cells = held_out_sample(held_out, group.size)
    logits = network.logits(cells)
    law = _tables(group, cells, logits)
    fit = float((law.predict(inputs) == labels).mean()) if len(labels) else 1.0
    said = law.predict(cells)
    profile, explained = group_profile(law, cells, logits)
    found = characters(group)
    parts = [isotypic(group, found, i) @ profile for i in range(len(found.values))]
    energy = max(float((profile**2).sum()), 1e-30)
    means = np.bincount(found.classes, profile) / np.bincount(found.classes)
    return GroupReading(
        law=law,
        fit=fit,
        agreement=float((said == logits.argmax(axis=1)).mean()),
        accepted=fits(fit, len(labels), group.size, noise),
        explained=explained,
        central=float((means[found.classes] ** 2).sum()) / energy,
        shares={name: float((part**2).sum()) / energy for name, part in zip(found.names, parts, strict=True)},
    )


def _tables(group: Group, cells: IntArray, logits: FloatArray) -> GroupLaw:
    size, table = group.size, group.table
    centred = logits - logits.mean(axis=1, keepdims=True)
    dense = np.zeros((size, size, size), dtype=np.float32)
    dense[cells[:, 0], cells[:, 1]] = centred
    # what depends on one input alone says nothing of both
    for axis, other in ((0, 1), (1, 0)):
        count = np.maximum(np.bincount(cells[:, axis], minlength=size), 1)
        mean = dense.sum(axis=other) / count[:, None]
        dense[cells[:, 0], cells[:, 1]] -= mean[cells[:, axis]]
    first = int(np.bincount(cells[:, 0], minlength=size).argmax())
    # Z[a, y] = sum over b, c of D[first, b, c] D[a, b, y c]
    together = np.einsum("bc,abd->acd", dense[first], dense, optimize=True)
    rows = np.arange(size)
    f = np.stack([together[:, rows, table[y]].sum(axis=1) for y in range(size)], axis=1).argmax(axis=1)
    f[first] = group.identity
    g = np.zeros(size, dtype=np.int64)
    for _ in range(_SWEEPS):
        # by turns, each entry by the vote of all its cells: g(b) = x where D[a, b, f(a) x] is largest in sum over a
        moved = dense[rows[:, None, None], rows[None, :, None], table[f][:, None, :]]
        better = moved.sum(axis=0).argmax(axis=1)
        right = table[:, better].T  # [b, x] = x g(b)
        voted = dense[rows[:, None, None], rows[None, :, None], right[None]].sum(axis=1).argmax(axis=1)
        if np.array_equal(better, g) and np.array_equal(voted, f):
            break
        f, g = voted, better
    shift = f[first]  # a constant may move from one table to the other: f(first) is the identity
    return GroupLaw(group, table[f, group.inverses[shift]], table[shift, g])


def group_profile(law: GroupLaw, cells: IntArray, logits: FloatArray) -> tuple[Array, float]:
    """The mean centred logit of the class that is x to the right of f(a) g(b), shape (size,), and the share of the
    variance that it explains."""
    centred = logits - logits.mean(axis=1, keepdims=True, dtype=np.float64)
    moved = np.take_along_axis(centred, law.group.table[law.predict(cells)], axis=1)
    profile: Array = moved.mean(axis=0)
    return profile, len(cells) * float((profile**2).sum()) / max(float((centred**2).sum()), 1e-30)


def isotypic(group: Group, found: Characters, irrep: int) -> Array:
    """The projection of functions on the group onto all copies of an irrep and of its conjugate, shape (size, size).

    P[x, y] = d / |G| chi(x^-1 y), its real part: for a complex irrep, half of what it shares with its conjugate.
    """
    chi = found.values[irrep][found.classes].real
    return int(found.dimensions[irrep]) / group.size * chi[group.table[group.inverses]]


def key_irreps(reading: GroupReading, share: float = KEY_SHARE) -> list[int]:
    """The fewest irreps, the trivial one apart, that carry ``share`` of what the law explains, strongest first."""
    shares = np.array(list(reading.shares.values()))
    ranked = np.argsort(-shares[1:], kind="stable") + 1
    needed = int(np.searchsorted(np.cumsum(shares[ranked]), share * shares[1:].sum()) + 1)
    return [int(i) for i in ranked[: min(needed, len(ranked))]]


def filtered_by_irreps(network: Network, law: GroupLaw, irreps: list[int], *, keep: bool) -> Network:
    """The network with the law's irreps kept alone in its tables of weights per token, or removed from them.

    The trivial irrep is the mean row and stays in both.
    """
    found = characters(law.group)
    size = law.group.size
    changed: dict[str, torch.Tensor] = {}
    for name, readers in network.architecture.tables():
        table = (law.f, law.g)[readers[0]]
        rows = network.weights[name].detach().cpu().double().numpy()
        waves: Array = np.zeros((size, size))
        for i in irreps:
            waves += isotypic(law.group, found, i)[np.ix_(table, table)]
        still = np.full((size, size), 1 / size)
        rows = (still + waves) @ rows if keep else rows - waves @ rows
        changed[name] = torch.from_numpy(rows).to(network.weights[name])
    return network.with_weights(changed)


def recognised(law: GroupLaw, language: Language) -> Program | None:
    """The shortest program found that says what the law says, on every cell; None for none within reach."""
    from synth.search import meet_in_the_middle

    size = law.group.size
    domain = np.stack(np.meshgrid(np.arange(size), np.arange(size), indexing="ij"), axis=-1).reshape(-1, 2)
    wanted = law.predict(domain)
    shown = np.sort(permutation(0, "recognised", len(domain))[:_SHOWN])
    best: Program | None = None
    for progress in meet_in_the_middle(language, law.group, domain[shown], wanted[shown], max_programs=MAX_PROGRAMS):
        program = progress.program
        if program is not None and np.array_equal(program.evaluate(domain, law.group), wanted):
            best = program
            if progress.minimal:
                break
    return best
