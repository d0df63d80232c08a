"""What ties a law to the network that it was read from: the variance of its logits, and its weights by frequency.

That a law is correct says nothing about the network (a single cosine of a + b - c is exact by argmax, whoever computed
it). These measures say how much of the network's own logits and weights the law accounts for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from nets.dual import Dual
from nets.fourier import Matrix, characters, constants, frequencies, projector, projectors
from nets.law import held_out_sample
from nets.models import FloatArray, Network
from synth.carrier import IntArray
from synth.laws import Law
from synth.products import ProductLaw, joined

KEY_SHARE = 0.95  # key frequencies: the fewest, by energy, that carry this share of the logits' profile


@dataclass(frozen=True, eq=False)
class Profile:
    """The mean logits as a function of the law's combination.

    Attributes:
        classes: shape (order,): the mean logit of the class that is s above f(a) + g(b), over cells with a class.
        explained: share of the variance of the centred logits that functions of the combination explain.
    """

    classes: npt.NDArray[np.float64]
    explained: float

    def keys(self, share: float = KEY_SHARE) -> list[int]:
        """The fewest frequencies that carry ``share`` of the profile's energy, strongest first."""
        order = len(self.classes)
        energy = np.abs(np.fft.rfft(self.classes)[1:]) ** 2
        energy[: (order - 1) // 2] *= 2  # every frequency but q/2 has a conjugate
        ranked = np.argsort(-energy, kind="stable")
        needed = int(np.searchsorted(np.cumsum(energy[ranked]), share * energy.sum()) + 1)
        return [int(k) + 1 for k in ranked[: min(needed, len(ranked))]]


def profile(law: Law, cells: IntArray, logits: FloatArray) -> Profile:
    """Centred logits at ``cells`` (N, arity), shape (N, m), against the law's combination.

    Logits are centred cell by cell. Cells whose combination has a class are averaged after a shift by it; in the
    discrete-log basis the logit of 0 is averaged beside them, and cells with a zero factor by themselves.
    """
    centred = logits - logits.mean(axis=1, keepdims=True, dtype=np.float64)
    entries = np.stack([table[cells[:, j]] for j, table in enumerate(law.tables)])
    usual = (entries >= 0).all(axis=0)
    total = entries[:, usual].sum(axis=0) % law.order
    doubled = np.concatenate([centred[usual][:, law.decode]] * 2, axis=1)
    shifted = np.lib.stride_tricks.sliding_window_view(doubled, law.order, axis=1)[np.arange(len(total)), total]
    classes = shifted.mean(axis=0) if len(total) else np.zeros(law.order)
    explained = len(total) * float((classes**2).sum())
    others = np.setdiff1d(np.arange(logits.shape[1]), law.decode)
    if len(others) and len(total):
        explained += len(total) * float((centred[usual][:, others].mean(axis=0) ** 2).sum())
    if not usual.all():
        explained += int((~usual).sum()) * float((centred[~usual].mean(axis=0) ** 2).sum())
    return Profile(classes, explained / max(float((centred**2).sum()), 1e-30))


@dataclass(frozen=True, eq=False)
class Ties:
    """A law's ties to its network.

    Attributes:
        variance_explained: of the centred held-out logits, by functions of the law's combination.
        keys: the key frequencies, strongest first; of a product law by their index among ``Dual.keys``.
        names: the key frequencies as text.
        key_energy: their share of the energy of the tables of weights per token, the constants apart.
        keep_only, remove_only: the network with only the key frequencies kept in those tables, and with them removed.
        remove_random: with random other frequencies removed, as many as there are keys, or fewer where those hold as
            much energy; None where no more others are left than that, and removing them would be ``keep_only`` again.
        random_energy: the energy that ``remove_random`` removed over that of the keys; below 1 where the other
            frequencies hold less. 0 where it is None.
        disturbed: with random other frequencies, as many as there are keys or all that are left, taken off more than
            once: so often that the change has the energy that the keys have. Equal energy, where the others hold too
            little of it to be removed; None where they hold none.
        times: how often.
    """

    variance_explained: float
    keys: list[int]
    names: list[str]
    key_energy: float
    keep_only: Network
    remove_only: Network
    remove_random: Network | None
    random_energy: float
    disturbed: Network | None
    times: float


def ties(network: Network, law: Law | ProductLaw, held_out: IntArray, rng: np.random.Generator) -> Ties:
    """Measure a law against the network's held-out logits and against its weights.

    Constants (the mean row of a table, and rows of tokens to which the law gives no class) belong to no frequency: they
    stay in all three filtered networks.

    Args:
        network: any whose architecture has tables of weights per token.
        law: read from it.
        held_out: cells that are not among the examples, shape (N, arity), N at least 1.
        rng: chooses the random frequencies.
    """
    cells = held_out_sample(held_out, law.carrier.modulus)
    if isinstance(law, ProductLaw):
        spectrum = Dual(law)
        means, explained = spectrum.profile(cells, network.logits(cells))
        keys = spectrum.strongest(means, KEY_SHARE)
        names = [spectrum.name(k) for k in keys]
    else:
        spectrum = law
        seen = profile(law, cells, network.logits(cells))
        explained, keys = seen.explained, seen.keys()
        names = [str(k) for k in keys]
    energy = _energies(network, spectrum)
    wanted = sum(energy[k] for k in keys)
    others = [k for k in energy if k not in keys]
    chosen: list[int] = []
    for k in rng.permutation(others).tolist():
        if sum(energy[x] for x in chosen) >= wanted or len(chosen) == len(keys):
            break
        chosen.append(k)
    control = len(chosen) < len(others)
    disturbing = rng.permutation(others)[: len(keys)].tolist()
    held = sum(energy[k] for k in disturbing)
    times = (wanted / held) ** 0.5 if held > 1e-9 * wanted else 0.0
    total = sum(energy.values())
    return Ties(
        variance_explained=explained,
        keys=keys,
        names=names,
        key_energy=wanted / max(total, 1e-30),
        keep_only=filtered(network, spectrum, keys, keep=True),
        remove_only=filtered(network, spectrum, keys, keep=False),
        remove_random=filtered(network, spectrum, chosen, keep=False) if control else None,
        random_energy=sum(energy[k] for k in chosen) / max(wanted, 1e-30) if control else 0.0,
        disturbed=filtered(network, spectrum, disturbing, keep=False, times=times) if times else None,
        times=times,
    )


def filtered(network: Network, law: Law | Dual, keys: list[int], *, keep: bool, times: float = 1.0) -> Network:
    """The network with the law's characters of these frequencies kept alone in its tables, or taken off ``times``."""
    changed: dict[str, torch.Tensor] = {}
    for name, readers in network.architecture.tables():
        table = network.weights[name]
        rows = table.detach().cpu().double().numpy()
        still, waves = projectors(*_directions(law, readers, keys))
        rows = (still + waves) @ rows if keep else rows - times * (waves @ rows)
        changed[name] = torch.from_numpy(rows).to(table)
    return network.with_weights(changed)


def _directions(law: Law | Dual, readers: Sequence[int], keys: list[int]) -> tuple[Matrix, Matrix]:
    """The constants and the keys' waves of the readers' tables, as columns of functions of a token."""
    if isinstance(law, Dual):
        tables = [joined(law.law)[j] for j in readers]
        still, waves = [law.constants(x) for x in tables], [law.waves(x, keys) for x in tables]
    else:
        tables = [law.tables[j] for j in readers]
        still, waves = [constants(x) for x in tables], [characters(x, law.order, keys) for x in tables]
    return np.concatenate(still, axis=1), np.concatenate(waves, axis=1)


def _energies(network: Network, law: Law | Dual) -> dict[int, float]:
    """By frequency, the energy of its characters in the network's tables, constants apart."""
    found = dict.fromkeys(range(len(law.keys)) if isinstance(law, Dual) else frequencies(law.order), 0.0)
    for name, readers in network.architecture.tables():
        rows = network.weights[name].detach().cpu().double().numpy()
        for j in readers:
            still, waves = _directions(law, [j], list(found))
            moving = rows - still @ np.linalg.lstsq(still, rows, rcond=None)[0]
            if isinstance(law, Dual):
                power = [
                    float((projector(law.waves(joined(law.law)[j], [k])) * (moving @ moving.T)).sum()) for k in found
                ]
            else:
                norms = np.maximum((waves**2).sum(axis=0), 1e-30)
                power = (((waves.T @ moving) ** 2).sum(axis=1) / norms).reshape(2, -1).sum(axis=0)
            for k, p in zip(found, power, strict=True):
                found[k] += float(p) / len(readers)
    return found
