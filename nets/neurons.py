"""Hidden units: what drives them, what they say and who hears it; their frequencies, phases, rank and spare ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nets.attention import attended, driven, moved
from nets.bilinear import Bilinear
from nets.fourier import characters, constants, frequencies
from nets.models import FloatArray, Network, computes_as, tokens
from nets.quadratic import Quadratic
from nets.relu import Relu
from nets.transformer import Transformer
from synth.carrier import IntArray
from synth.laws import Law

Matrix = npt.NDArray[np.float64]
DEAD = 1e-3  # of the mean unit's energy in the logits, below which a unit counts as dead
SPARED = 0.01  # of the examples may turn wrong for units to count as prunable


@dataclass(frozen=True, eq=False)
class Units:
    """The last hidden layer at some cells.

    Attributes:
        drive: shape (n, h): what the nonlinearity is given; the product itself where a network multiplies.
        activity: shape (n, h): what the readout is given.
        readout: shape (h, size): the linear map from the activity to logits.
    """

    drive: FloatArray
    activity: FloatArray
    readout: FloatArray

    def energies(self) -> npt.NDArray[np.float64]:
        """Each unit's energy in the centred logits, shape (h,): its variance over cells times its row's."""
        rows = self.readout - self.readout.mean(axis=1, keepdims=True)
        return self.activity.var(axis=0).astype(np.float64) * (rows**2).sum(axis=1)

    def alive(self) -> npt.NDArray[np.bool_]:
        """Which units have at least ``DEAD`` of the mean unit's energy, shape (h,)."""
        energy = self.energies()
        return energy > DEAD * energy.mean()

    def prunable(self, logits: FloatArray, labels: IntArray) -> float:
        """The share of units that can be fixed at their mean, the least energetic first, before answers suffer.

        Args:
            logits: of the network at the units' cells, shape (n, size).
            labels: shape (n,); at most ``SPARED`` of them may turn from right to wrong, on balance.
        """
        order = np.argsort(self.energies(), kind="stable")
        moving = self.activity - self.activity.mean(axis=0)
        least = (logits.argmax(axis=1) == labels).mean() - SPARED
        low, high = 0, len(order)  # so many can go; so many and one more can't be known to
        while low < high:
            middle = (low + high + 1) // 2
            gone = order[:middle]
            rest = logits - moving[:, gone] @ self.readout[gone]
            low, high = (middle, high) if (rest.argmax(axis=1) == labels).mean() >= least else (low, middle - 1)
        return low / len(order)


def units(network: Network, cells: IntArray) -> Units | None:
    """The hidden units at ``cells`` (n, arity), or None for an architecture that computes what no built-in one does."""
    shape, weights = network.architecture, network.weights
    with torch.no_grad():
        if computes_as(shape, Transformer):
            drive = driven(network, moved(network, attended(network, cells).mixed))
            return _units(drive, torch.relu(drive), weights["N"] @ weights["W"])
        if not computes_as(shape, Bilinear, Quadratic, Relu):
            return None
        inputs = tokens(cells, network.device)
        rows = [table[inputs[j]] for j, table in enumerate(_tables(network))]
        if computes_as(shape, Bilinear):
            drive = torch.stack(rows).prod(0)
            return _units(drive, drive, weights["W"])
        drive = torch.stack(rows).sum(0)
        if computes_as(shape, Quadratic):
            return _units(drive, drive.square(), weights["W"])
        drive = drive + weights["b"]
        return _units(drive, torch.relu(drive), weights["W"])


def activate(network: Network, drive: FloatArray) -> FloatArray:
    """What hidden units say to what drives them, entry by entry.

    Raises:
        ValueError: an architecture whose units are not known.
    """
    shape = network.architecture
    if computes_as(shape, Relu, Transformer):
        return np.maximum(drive, 0)
    if computes_as(shape, Quadratic):
        return drive**2
    if computes_as(shape, Bilinear):
        return drive
    raise ValueError(f"activate: the hidden units of {type(shape).__name__} are not known")


def _units(drive: Tensor, activity: Tensor, readout: Tensor) -> Units:
    return Units(*(x.detach().cpu().numpy() for x in (drive, activity, readout)))


def _tables(network: Network) -> list[Tensor]:
    """What each input feeds each unit with, by token: (size, h) for each input, of all but transformers."""
    shape, weights = network.architecture, network.weights
    tables = [weights[name] for name in _names(network)]
    if computes_as(shape, Relu) and not shape.separate:
        return [table @ weights["M"] for table in tables]
    if computes_as(shape, Bilinear) and shape.shared:
        return [table + shape.shared * weights[f"u{j}"] for j, table in enumerate(tables)]
    return tables


def _names(network: Network) -> list[str]:
    """The table of weights per token that each input is looked up in."""
    tables = network.architecture.tables()
    return [next(name for name, readers in tables if j in readers) for j in range(network.architecture.arity)]


@dataclass(frozen=True, eq=False)
class Tuning:
    """To which of a law's frequencies the units are tuned.

    Attributes:
        power: shape (frequencies, h): energy of each frequency in what the inputs feed each unit with.
        total: shape (h,): all energy of that but the constants', interactions of inputs included.
        phases: shape (frequencies, h): the sum over inputs of the phases phi of cos(2 pi k f(a) / q - phi), radians.
        heard: shape (frequencies, h): the phase of each unit's row of the readout over the classes of outputs.
    """

    power: Matrix
    total: Matrix
    phases: Matrix
    heard: Matrix

    @property
    def dominant(self) -> IntArray:
        """The index of each unit's strongest frequency, shape (h,); frequency k has index k - 1."""
        return self.power.argmax(axis=0)

    @property
    def shares(self) -> Matrix:
        """The share of each unit's strongest frequency in its energy, shape (h,); 0 for a unit without any."""
        return self.power.max(axis=0) / np.maximum(self.total, 1e-30)


def tuning(network: Network, law: Law, cells: IntArray, found: Units) -> Tuning:
    """The units' frequencies in the characters of the law's tables.

    Where inputs add up in front of the units, or are multiplied, what each feeds them with is a table of weights.
    Attention mixes them: there it is a unit's mean drive by token, and what is left over counts in ``total``.

    Args:
        cells: shape (n, arity): where transformers are averaged; best the whole domain.
        found: the units at ``cells``.
    """
    if computes_as(network.architecture, Transformer):
        drive = found.drive - found.drive.mean(axis=0, dtype=np.float64)
        tables = [_by_token(cells[:, j], drive, network.architecture.size) for j in range(law.arity)]
        left = drive - sum(table[cells[:, j]] for j, table in enumerate(tables))
        between = (left**2).mean(axis=0)
    else:
        with torch.no_grad():
            tables = [table.cpu().double().numpy() for table in _tables(network)]
        between = np.zeros(tables[0].shape[1])
    powers, totals, turns = zip(*(_spectrum(law.tables[j], law.order, x) for j, x in enumerate(tables)), strict=True)
    rows = found.readout.T[law.decode].astype(np.float64)
    _, _, heard = _spectrum(np.arange(law.order), law.order, rows - rows.mean(axis=0))
    phases = np.angle(np.exp(1j * np.sum(turns, axis=0)))
    return Tuning(np.sum(powers, axis=0), np.sum(totals, axis=0) + between, phases, heard)


def _by_token(column: IntArray, values: Matrix, size: int) -> Matrix:
    """The mean of ``values`` (n, h) over the cells with each token, shape (size, h); 0 where there is none."""
    onehot = np.zeros((size, len(column)), dtype=values.dtype)
    onehot[column, np.arange(len(column))] = 1.0 / np.maximum(np.bincount(column, minlength=size), 1)[column]
    return onehot @ values


def _spectrum(classes: IntArray, order: int, table: Matrix) -> tuple[Matrix, Matrix, Matrix]:
    """Mean-square energy by frequency, in all, and phases, of a table (size, h) over tokens of these classes."""
    still = constants(classes)
    moving = table - still @ np.linalg.lstsq(still, table, rcond=None)[0]
    waves = characters(classes, order, list(frequencies(order)))
    norms = np.maximum((waves**2).sum(axis=0), 1e-9)
    along = waves.T @ moving
    energy = (along**2 / norms[:, None]).reshape(2, -1, table.shape[1]).sum(axis=0)
    cosine, sine = np.split(along, 2)
    return energy / len(table), (moving**2).mean(axis=0), np.arctan2(sine, cosine)


def token_power(network: Network, law: Law) -> Matrix:
    """The energy of each of the law's frequencies in the weights per token, shape (order // 2,), constants apart."""
    total = np.zeros(law.order // 2)
    for name, readers in network.architecture.tables():
        rows = network.weights[name].detach().cpu().double().numpy()
        for j in readers:
            total += _spectrum(law.tables[j], law.order, rows)[0].sum(axis=1) * len(rows) / len(readers)
    return total


def gini(power: Matrix) -> float:
    """0 where all entries are alike, up to 1 - 1/n where one has everything (Hurley and Rickard 2009)."""
    ranked = np.sort(power)
    n = len(ranked)
    return float(1 - 2 * (ranked * (n - np.arange(n) - 0.5)).sum() / max(n * ranked.sum(), 1e-30))


def participation(power: Matrix) -> float:
    """How many entries share the total: (sum)² / sum of squares."""
    return float(power.sum() ** 2 / max((power**2).sum(), 1e-30))


def effective_rank(matrices: Sequence[Matrix]) -> float:
    """exp of the entropy of the singular values' shares (Roy and Vetterli 2007), of matrices side by side."""
    stacked = np.concatenate(matrices, axis=1)
    gram = stacked.T @ stacked if stacked.shape[0] > stacked.shape[1] else stacked @ stacked.T
    values = np.sqrt(np.maximum(np.linalg.eigvalsh(gram), 0.0))
    shares = values[values > 1e-7 * max(values.max(initial=0.0), 1e-30)]
    shares = shares / shares.sum() if len(shares) else shares
    return float(np.exp(-(shares * np.log(shares)).sum())) if len(shares) else 0.0
