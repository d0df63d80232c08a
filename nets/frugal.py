"""A certificate for fewer operations than evaluating every input: what units say, by frequency.

Logits are a product of activities (cells, h) and a readout (h, q), and that product is what evaluating costs. A unit of
a network that has learned a law says a few frequencies of the classes. So the product is taken with the strongest few
of them for each unit, into q / 2 frequencies, which a Fourier transform turns into logits; and what the units say
otherwise, D, is bounded. Of the activities, the means by token and input are put through D exactly, a product of
(arity p, h) and (h, q). For the rest x of a cell's activity, with any weights w,

    |sum_h x_h (D[h, c] - D[h, c'])| <= |x / w| |w (D[:, c] - D[:, c'])|            (Cauchy and Schwarz),

one number a cell times one a pair of classes. Cells where that does not do, and cells without a class (a zero factor),
are evaluated in full and counted as such. The operations that are counted are those of the sums and products above,
five n log2 n for a transform.

What is proved is about the real-valued function of the stored weights, as in certificate.py. Here everything runs in
float64 over at most ``MOST_UNITS`` products of known size: each such sum loses less than 1e-12 of the sum of their
magnitudes, a transform less, and ``SLACK`` is a thousand times what a dozen of them lose. exp is trusted to 1e-14.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from nets.bilinear import Bilinear
from nets.folded import fold
from nets.models import Network, computes_as
from nets.quadratic import Quadratic
from nets.relu import Relu
from nets.transformer import Transformer
from synth.carrier import IntArray
from synth.laws import Law

Array = npt.NDArray[np.float64]
STRONGEST, OF_MIXED = 2, 3  # frequencies of each unit that are computed, not bounded; behind attention units mix more
SLACK = 1e-8
MOST_UNITS = 1 << 12
MOST_SCORE = 1e3  # sum of magnitudes of any attention score


@dataclass(frozen=True)
class FrugalCertificate:
    """Whether a network is proved to compute a law, and what that took.

    Attributes:
        holds: proved on every cell.
        margin: a lower bound on every margin, in logits; above 0 where it holds. NaN where there is no bound.
        cells: how many there are; ``evaluated`` of them had to be evaluated in full.
        operations: multiplications and additions that it took, to evaluate those included.
        evaluating: those of evaluating every cell.
        cause: why there is no bound; empty otherwise.
    """

    holds: bool
    margin: float
    cells: int
    evaluated: int
    operations: float
    evaluating: float
    cause: str = ""

    @property
    def saves(self) -> float:
        """How many times as many operations evaluating every cell takes."""
        return float(self.evaluating / max(self.operations, 1.0))


def certify_frugally(network: Network, law: Law, cells: IntArray) -> FrugalCertificate:
    """Try to prove that the real-valued function of a network's weights has the law as its argmax at ``cells``.

    Args:
        network: of an architecture of this package.
        law: with an answer at every cell.
        cells: shape (N, arity), N at least 1; the whole domain.

    Raises:
        ValueError: no cells, or a law or cells of another carrier or number of inputs than the network's.
    """
    kind = network.architecture
    if not len(cells):
        raise ValueError("certify_frugally: needs some cells, got none")
    if (law.carrier.modulus, law.arity) != (kind.size, kind.arity):
        raise ValueError(
            f"certify_frugally: wants a law of {kind.arity} inputs of {kind.size} elements, as the network, "
            f"got one of {law.arity} of {law.carrier.modulus}"
        )
    if cells.shape[1] != kind.arity or not 0 <= int(cells.min()) <= int(cells.max()) < kind.size:
        raise ValueError(
            f"certify_frugally: wants cells of {kind.arity} elements in 0..{kind.size - 1}, got {cells.shape[1]} in "
            f"{int(cells.min())}..{int(cells.max())}"
        )
    answers = law.predict(cells)
    if (answers < 0).any():
        return _none(len(cells), "the law leaves cells open")
    if not all(bool(x.isfinite().all()) for x in network.weights.values()):
        return _none(len(cells), "weights that are no finite numbers")
    heard = _heard(network, cells)
    if isinstance(heard, str):
        return _none(len(cells), heard)
    h, size = heard.readout.shape
    read = heard.readout - heard.readout[:, law.decode].mean(axis=1, keepdims=True)  # margins are differences
    spectrum = np.fft.rfft(read[:, law.decode], axis=1)
    # A wave's amplitude is at most the sum of what it is made of.
    largest = 2 * heard.sizes.max(axis=1) + 2 / law.order * np.abs(spectrum).sum(axis=1)
    rounding = 2 * SLACK * float((heard.magnitude * largest).sum())
    entries = np.stack([table[cells[:, j]] for j, table in enumerate(law.tables)])
    usual = (entries >= 0).all(axis=0)
    margins = np.full(len(cells), -np.inf)
    operations = heard.operations
    if usual.any():
        total = entries[:, usual].sum(axis=0) % law.order
        most = OF_MIXED if computes_as(kind, Transformer) else STRONGEST
        strong = _strongest(spectrum, most)
        margins[usual], spent = _bounded(heard.activity[usual], cells[usual], total, read, strong, law)
        operations += spent
    narrow = np.flatnonzero(margins <= rounding)
    logits = heard.activity[narrow] @ read
    row = np.arange(len(narrow))
    right = logits[row, answers[narrow]]
    logits[row, answers[narrow]] = -np.inf
    margins[narrow] = right - logits.max(axis=1)
    margin = float(margins.min()) - rounding
    return FrugalCertificate(
        holds=margin > 0,
        margin=margin,
        cells=len(cells),
        evaluated=len(narrow),
        operations=operations + 2.0 * len(narrow) * h * size,
        evaluating=heard.operations + 2.0 * len(cells) * h * size,
    )


def _none(cells: int, cause: str) -> FrugalCertificate:
    return FrugalCertificate(False, float("nan"), cells, 0, 0.0, 0.0, cause)


def _strongest(spectrum: npt.NDArray[np.complex128], most: int) -> npt.NDArray[np.complex128]:
    """Each row's ``most`` largest entries, others 0."""
    power = np.abs(spectrum) ** 2
    least = np.sort(power, axis=1)[:, -min(most, power.shape[1])]
    return np.where(power >= least[:, None], spectrum, 0)


def _bounded(
    activity: Array, cells: IntArray, total: IntArray, read: Array, strong: npt.NDArray[np.complex128], law: Law
) -> tuple[Array, float]:
    """For each cell, of class ``total``, a lower bound on its margin but for rounding; and the operations of it all."""
    (n, h), q = activity.shape, law.order
    others = np.setdiff1d(np.arange(read.shape[1]), law.decode)
    rest = read[:, law.decode] - np.fft.irfft(strong, n=q, axis=1)
    logits = np.fft.irfft(np.asarray(csr_matrix(strong.T) @ activity.T).T, n=q, axis=1)
    moving, arity, tokens = activity, cells.shape[1], 0
    for column in cells.T:
        known, index, count = np.unique(column, return_inverse=True, return_counts=True)
        onehot = csr_matrix((np.ones(n), (index, np.arange(n))), shape=(len(known), n))
        means = np.asarray(onehot @ moving) / count[:, None]
        logits += (means @ rest)[index]
        moving = moving - means[index]
        tokens += len(known)
    # Any weights make a valid bound; these make it least on average.
    weight = np.sqrt(np.sqrt((moving**2).mean(axis=0) + 1e-300) / np.sqrt((rest**2).mean(axis=1) + 1e-300))
    weight = np.clip(weight, 1e-6 * weight.max(), None)
    length = np.linalg.norm(moving / weight, axis=1) * (1 + 1e-9)
    gram = (rest * weight[:, None]).T @ (rest * weight[:, None])
    norms = gram.diagonal()
    squares = norms[:, None] + norms[None, :]
    apart = np.sqrt(np.maximum(squares - 2 * gram, 0) + 1e-11 * squares)
    row = np.arange(n)
    right = logits[row, total]
    logits += length[:, None] * apart[total]
    logits[row, total] = -np.inf
    highest = logits.max(axis=1)
    margins = right - highest
    if len(others):
        least = right - length * np.sqrt(norms * (1 + 1e-9))[total]
        margins = np.minimum(margins, least - (activity @ read[:, others]).max(axis=1))
    transform = 5.0 * q * np.log2(max(2, q))
    operations = 2 * h * transform + 2.0 * h * q * q + 2.0 * tokens * h * q
    operations += n * (4.0 * np.count_nonzero(strong) + transform + (2 * arity + 3) * h + (arity + 3) * q)
    return margins, operations + 2.0 * n * h * len(others)


@dataclass(frozen=True, eq=False)
class _Heard:
    """What the logits are a linear function of.

    Attributes:
        activity: shape (N, h), of hidden units, and of whatever passes them by.
        readout: shape (h, size).
        magnitude: shape (h,): the most that magnitudes add up to on the way to an activity.
        sizes: shape (h, size): the same of the readout.
        operations: that the activities take.
    """

    activity: Array
    readout: Array
    magnitude: Array
    sizes: Array
    operations: float


def _heard(network: Network, cells: IntArray) -> _Heard | str:
    """The units, or why they are not known."""
    kind = network.architecture
    if computes_as(kind, Transformer):
        return _through_attention(network, cells)
    if not computes_as(kind, Bilinear, Quadratic, Relu):
        return f"the hidden units of {type(kind).__name__} are not known"
    weights = {name: x.detach().cpu().double().numpy() for name, x in network.weights.items()}
    names = [next(name for name, readers in kind.tables() if j in readers) for j in range(kind.arity)]
    tables = [weights[name] for name in names]
    sizes = [np.abs(x) for x in tables]
    before = 0.0
    if computes_as(kind, Relu) and not kind.separate:
        sizes = [x @ np.abs(weights["M"]) for x in sizes]
        tables = [x @ weights["M"] for x in tables]
        before = 2.0 * weights["E"].size * weights["M"].shape[1]
    if computes_as(kind, Bilinear) and kind.shared:
        sizes = [x + kind.shared * np.abs(weights[f"u{j}"]) for j, x in enumerate(sizes)]
        tables = [x + kind.shared * weights[f"u{j}"] for j, x in enumerate(tables)]
    rows, reach = [x[cells[:, j]] for j, x in enumerate(tables)], [x.max(axis=0) for x in sizes]
    if computes_as(kind, Bilinear):
        activity, magnitude = np.prod(rows, axis=0), np.prod(reach, axis=0)
    elif computes_as(kind, Quadratic):
        activity, magnitude = np.sum(rows, axis=0) ** 2, np.sum(reach, axis=0) ** 2
    else:
        activity = np.maximum(np.sum(rows, axis=0) + weights["b"], 0)
        magnitude = np.sum(reach, axis=0) + np.abs(weights["b"][0])
    if activity.shape[1] > MOST_UNITS:
        return f"more than {MOST_UNITS} units"
    return _Heard(activity, weights["W"], magnitude, np.abs(weights["W"]), before + float(activity.size) * kind.arity)


def _through_attention(network: Network, cells: IntArray) -> _Heard | str:
    """A transformer's hidden units, what attention passes by them, and a unit that is always 1 for constant logits."""
    maps, arity = fold(network), cells.shape[1]
    # the same of magnitudes: what roundings on the way are measured against
    sizes = fold(network.with_weights({name: x.abs() for name, x in network.weights.items()}))
    heads, width, h = maps.hidden.shape
    if not max(x.max() for x in sizes.scores) + sizes.offsets.max() + sizes.own.max() < MOST_SCORE:
        return f"attention scores beyond {MOST_SCORE:g}"
    if max(h, heads * width) > MOST_UNITS // 2:
        return f"more than {MOST_UNITS // 2} units"
    scores = [maps.scores[w][cells[:, j]] + maps.offsets[j] for j, w in enumerate(maps.table)]
    scores = np.stack([*scores, np.broadcast_to(maps.own, scores[0].shape)], axis=1)
    share = np.exp(scores - scores.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    mixed = share[:, -1, :, None] * maps.places[-1]
    for j, w in enumerate(maps.table):
        mixed += share[:, j, :, None] * (maps.values[w] + maps.places[j])[cells[:, j]]
    mixed = mixed.reshape(len(cells), heads * width)
    most = np.max([x.max(axis=0) for x in sizes.values], axis=0).ravel() + sizes.places.max(axis=0).ravel()
    into, past = maps.hidden.reshape(-1, h), maps.past.reshape(heads * width, -1)
    activity = np.maximum(mixed @ into + maps.bias, 0)
    one = np.ones((len(cells), 1))
    count = len(cells) * (2.0 * heads * width * (h + arity + 1) + heads * (arity + 1) * 4 + h)
    return _Heard(
        activity=np.concatenate([activity, mixed, one], axis=1),
        readout=np.concatenate([maps.readout, past, maps.constant[None]]),
        magnitude=np.concatenate([most @ sizes.hidden.reshape(-1, h) + sizes.bias, most, [1.0]]),
        sizes=np.concatenate([sizes.readout, sizes.past.reshape(heads * width, -1), sizes.constant[None]]),
        operations=count,
    )
