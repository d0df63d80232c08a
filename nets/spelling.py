"""A network spelt in the characters of a law: what each hidden unit hears of each frequency, and says of it.

Of networks with a table per input those are the tables in a basis of the tokens and the readout in one of the classes.
Of a transformer it is what a unit hears through each head (nets/folded.py). A decoder that knows the law has the bases:
they are the characters, made orthonormal in a fixed order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from scipy.linalg import helmert

from nets.bilinear import Bilinear
from nets.folded import Folded, fold
from nets.fourier import characters, constants
from nets.models import Network, computes_as
from nets.neurons import units
from nets.relu import Relu
from nets.sides import classes_of
from nets.transformer import Transformer
from synth.carrier import IntArray
from synth.laws import Law

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Spelling:
    """Coefficients, and the network that they make.

    Attributes:
        frequencies: that the characters are of, ascending.
        heard, said: by name, shape (parts, rows, h): what a unit hears and what it says. Rows are ``still[name]`` of
            what belongs to no frequency, then a cosine for each frequency, then a sine for each.
        still: how many of the rows come first.
        rest: other numbers, by name.
        make: the network, of coefficients by all those names.
    """

    frequencies: tuple[int, ...]
    heard: Mapping[str, Matrix]
    said: Mapping[str, Matrix]
    still: Mapping[str, int]
    rest: Mapping[str, Matrix]
    make: Callable[[Mapping[str, Matrix]], Network]

    @property
    def coefficients(self) -> dict[str, Matrix]:
        return {**self.heard, **self.said, **self.rest}


def spell(network: Network, law: Law, frequencies: Sequence[int]) -> Spelling | None:
    """Spell a network in these frequencies, all else left out.

    Returns:
        None for an architecture of a user's own, and where inputs that share a table have other characters.
    """
    ks = tuple(sorted(frequencies))
    kind = network.architecture
    if units(network, np.zeros((1, kind.arity), dtype=np.int64)) is None:
        return None
    if not all(_alike(law, readers[0], j) for _, readers in kind.tables() for j in readers):
        return None
    return _of_heads(network, law, ks) if computes_as(kind, Transformer) else _of_tables(network, law, ks)


def orthonormal(columns: Matrix) -> Matrix:
    """The columns made orthonormal in their order, each with its sign; 0 where one depends on those before it."""
    basis = np.zeros_like(columns)
    for i, column in enumerate(columns.T):
        rest = column
        for _ in range(2):  # twice is enough (Giraud et al. 2005)
            rest = rest - basis @ (basis.T @ rest)
        norm = float(np.linalg.norm(rest))
        if norm > 1e-9 * max(1.0, float(np.linalg.norm(column))):
            basis[:, i] = rest / norm
    return basis


def _of_tokens(law: Law, j: int, ks: Sequence[int]) -> tuple[Matrix, int]:
    """The basis of input j's tokens, shape (size, rows), and how many rows are still."""
    still = constants(law.tables[j])
    return orthonormal(np.concatenate([still, characters(law.tables[j], law.order, ks)], axis=1)), still.shape[1]


def _of_classes(law: Law, ks: Sequence[int]) -> tuple[Matrix, int]:
    """The basis of the answers, less the constant of the classes: what all logits share changes no answer."""
    classes = classes_of(law)
    still = constants(classes)[:, 1:]
    return orthonormal(np.concatenate([still, characters(classes, law.order, ks)], axis=1)), still.shape[1]


def _less_shared(rows: Matrix, law: Law) -> Matrix:
    """Rows over answers (.., size) less their mean over the answers with a class."""
    return rows - rows[..., law.decode].mean(axis=-1, keepdims=True)


def _of_tables(network: Network, law: Law, ks: tuple[int, ...]) -> Spelling:
    kind = network.architecture
    weights = {name: x.detach().cpu().double().numpy() for name, x in network.weights.items()}
    heard: dict[str, Matrix] = {}
    still: dict[str, int] = {}
    bases: dict[str, Matrix] = {}
    for name, readers in kind.tables():
        rows = weights[name]
        if computes_as(kind, Relu) and not kind.separate:
            rows = rows @ weights["M"]
        if computes_as(kind, Bilinear) and kind.shared:
            rows = rows + kind.shared * weights[f"u{readers[0]}"]
        bases[name], still[name] = _of_tokens(law, readers[0], ks)
        heard[name] = (bases[name].T @ rows)[None]
    answers, still["W"] = _of_classes(law, ks)
    said = (answers.T @ _less_shared(weights["W"], law).T)[None]
    rest = {"b": weights["b"]} if "b" in weights else {}
    names = [next(x for x, readers in kind.tables() if j in readers) for j in range(kind.arity)]
    made = replace(kind, separate=True) if computes_as(kind, Relu) else kind

    def make(given: Mapping[str, Matrix]) -> Network:
        tables = {name: bases[name] @ given[name][0] for name in heard}
        changed = {"W": (answers @ given["W"][0]).T, **{name: given[name] for name in rest}}
        if computes_as(made, Relu):
            changed |= {f"U{j}": tables[name] for j, name in enumerate(names)}
        else:
            changed |= tables
        if computes_as(made, Bilinear):
            changed |= {f"u{j}": np.zeros_like(weights[f"u{j}"]) for j in range(made.arity)}
        return Network(made, {name: _stored(x) for name, x in changed.items()})

    return Spelling(ks, heard, {"W": said}, still, rest, make)


def _of_heads(network: Network, law: Law, ks: tuple[int, ...]) -> Spelling:
    kind, folded = network.architecture, fold(network)
    heads, size, arity = folded.offsets.shape[1], kind.size, kind.arity
    bases: list[Matrix] = []
    for _, readers in kind.tables():
        basis, still = _of_tokens(law, readers[0], ks)
        bases.append(basis)
    answers, of_answers = _of_classes(law, ks)
    past, constant = _less_shared(folded.past, law), _less_shared(folded.constant, law)
    # One head's sum over positions of its pattern is 1: what "=" and the first place add can be taken off all of them.
    places = folded.places - folded.places[:1]
    heard = [np.einsum("tr,thw,hwu->hru", b, v, folded.hidden) for b, v in zip(bases, folded.values, strict=True)]
    spoken = [np.einsum("tr,thw,hwc->hrc", b, v, past) @ answers for b, v in zip(bases, folded.values, strict=True)]
    width = sum(x.shape[1] for x in bases) + arity + 1
    together, apart = _among_heads(np.concatenate(heard), heads)
    rest = {
        "scores": np.concatenate([b.T @ (x - folded.own) for b, x in zip(bases, folded.scores, strict=True)]),
        "offsets": folded.offsets,
        "places": np.einsum("ihw,hwu->ihu", places, folded.hidden),
        "b": (folded.bias + np.einsum("hw,hwu->u", folded.places[0], folded.hidden))[None],
        "past": np.concatenate(spoken, axis=1),
        "past places": np.einsum("ihw,hwc->ihc", places, past) @ answers,
        "past b": ((constant + np.einsum("hw,hwc->c", folded.places[0], past)) @ answers)[None],
    }
    made = Folded(size, arity, heads=heads, width=width, h=folded.bias.size)
    features = _features(bases, folded.table, size, arity)
    make = partial(_from_heads, made, features, bases, folded.table, answers)
    still = bases[0].shape[1] - 2 * len(ks)
    said = (answers.T @ _less_shared(folded.readout, law).T)[None]
    return Spelling(ks, {"C": together}, {"W": said}, {"C": still, "W": of_answers}, rest | {"C apart": apart}, make)


def _among_heads(parts: Matrix, heads: int) -> tuple[Matrix, Matrix]:
    """Parts (tables * heads, rows, h) as what a table's heads have in common and as what sets them apart.

    (tables, rows, h) and (tables * (heads - 1), rows, h): coordinates in Helmert's orthonormal contrasts.
    """
    by_head = parts.reshape(-1, heads, *parts.shape[1:])
    turned = np.einsum("gh,thru->tgru", helmert(heads, full=True), by_head)
    return turned[:, 0], turned[:, 1:].reshape(-1, *parts.shape[1:])


def _by_head(together: Matrix, apart: Matrix, heads: int) -> Matrix:
    """The inverse of ``_among_heads``."""
    turned = np.concatenate([together[:, None], apart.reshape(len(together), heads - 1, *together.shape[1:])], axis=1)
    return np.einsum("gh,tgru->thru", helmert(heads, full=True), turned).reshape(-1, *together.shape[1:])


def _features(bases: Sequence[Matrix], table: Sequence[int], size: int, arity: int) -> Matrix:
    """Of each placed token and "=": its row in the basis of its table, and which place it is at."""
    features = np.zeros((arity * size + 1, sum(x.shape[1] for x in bases) + arity + 1))
    starts = np.cumsum([0, *(x.shape[1] for x in bases)])
    for i, which in enumerate(table):
        rows = slice(i * size, (i + 1) * size)
        features[rows, starts[which] : starts[which + 1]] = bases[which]
        features[rows, starts[-1] + i] = 1
    features[-1, -1] = 1
    return features


def _from_heads(
    kind: Folded,
    features: Matrix,
    bases: Sequence[Matrix],
    table: Sequence[int],
    answers: Matrix,
    given: Mapping[str, Matrix],
) -> Network:
    starts = np.cumsum([0, *(x.shape[1] for x in bases)])
    scores = [bases[w] @ given["scores"][starts[w] : starts[w + 1]] + given["offsets"][i] for i, w in enumerate(table)]
    # heads of the first table, heads of the next: side by side along the features, then the places
    split = np.split(_by_head(given["C"], given["C apart"], kind.heads), len(bases), axis=0)
    into = np.concatenate([*split, given["places"].transpose(1, 0, 2)], axis=1)
    past = np.concatenate([given["past"], given["past places"].transpose(1, 0, 2)], axis=1) @ answers.T
    past[0, -(kind.arity + 1) :] += given["past b"] @ answers.T  # whichever place the first head looks at
    weights = {
        "scores": np.concatenate([*scores, np.zeros((1, kind.heads))]),
        "features": features,
        "C": into.reshape(-1, kind.h),
        "c": given["b"],
        "D": past.reshape(-1, kind.size),
        "W": (answers @ given["W"][0]).T,
    }
    return Network(kind, {name: _stored(x) for name, x in weights.items()})


def _stored(values: Matrix) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def _alike(law: Law, i: int, j: int) -> bool:
    """Whether two inputs' tables are the same up to a constant and a sign: then so is what their characters span."""
    f, g = law.tables[i], law.tables[j]
    known = (f >= 0) & (g >= 0)
    return bool(((f >= 0) == (g >= 0)).all()) and any(
        len(set(((f - sign * g)[known] % law.order).tolist())) <= 1 for sign in (1, -1)
    )


def dominant(spelling: Spelling) -> IntArray:
    """The index among the frequencies of each unit's strongest, in the product of what it hears and says, (h,)."""
    score: Matrix | None = None
    for name, coefficients in {**spelling.heard, **spelling.said}.items():
        waves = coefficients[:, spelling.still[name] :]
        cosine, sine = np.split(waves, 2, axis=1)
        power = (cosine**2 + sine**2).sum(axis=0)
        share = power / np.maximum(power.sum(axis=0), 1e-30) + 1e-12
        score = share if score is None else score * share
    assert score is not None
    return score.argmax(axis=0)
