"""What ties a law to the network that it was read from: the variance of its logits, and its weights by frequency.

That a law is correct says nothing about the network (a single cosine of a + b - c is exact by argmax, whoever computed
it). These measures say how much of the network's own logits and weights the law accounts for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from nets.cycles import Cycles
from nets.dual import Dual
from nets.fourier import Matrix, characters, constants, frequencies, projector, projectors
from nets.keys import key_frequencies, loudest_keys
from nets.law import held_out_sample
from nets.models import Network
from nets.profile import profile
from synth.carrier import IntArray
from synth.laws import Law
from synth.products import ProductLaw, joined

DRAWS = 3  # of noise, that the control of equal energy is averaged over


@dataclass(frozen=True, eq=False)
class Ties:
    """A law's ties to its network.

    Attributes:
        variance_explained: of the centred held-out logits, by functions of the law's combination.
        keys: the key frequencies, strongest first (nets/keys.py); of a product law by their index among ``Dual.keys``.
        names: the key frequencies as text.
        key_energy: their share of the energy of the tables of weights per token, the constants apart.
        keep_only, remove_only: the network with only the key frequencies kept in those tables, and with them removed.
        remove_random: with random others removed (``random_others``); None where there are not two others.
        random_energy: the energy that ``remove_random`` removed over that of the keys; 0 where it is None.
        disturbed: the control of equal energy, ``DRAWS`` times (``disturbed``); none where there are no others.
    """

    variance_explained: float
    keys: list[int]
    names: list[str]
    key_energy: float
    keep_only: Network
    remove_only: Network
    remove_random: Network | None
    random_energy: float
    disturbed: list[Network]


def ties(network: Network, law: Law | ProductLaw, held_out: IntArray, rng: np.random.Generator) -> Ties:
    """Measure a law against the network's held-out logits and against its weights.

    Constants (the mean row of a table, and rows of tokens to which the law gives no class) belong to no frequency: they
    stay in all filtered networks.

    Args:
        network: any whose architecture has tables of weights per token.
        law: read from it.
        held_out: cells that are not among the examples, shape (N, arity), N at least 1.
        rng: chooses the random frequencies, and the noise.
    """
    cells = held_out_sample(held_out, law.carrier.modulus)
    logits = network.logits(cells)
    if isinstance(law, ProductLaw):
        spectrum = Dual(law)
        explained, keys = spectrum.profile(cells, logits)[1], loudest_keys(Cycles.of(law), cells, logits)
        names = [spectrum.name(k) for k in keys]
    else:
        spectrum = law
        explained, keys = profile(law, cells, logits).explained, key_frequencies(law, cells, logits)
        names = [str(k) for k in keys]
    energy = _energies(network, spectrum)
    chosen = random_others(energy, keys, rng)
    noisy = [x for _ in range(DRAWS) if (x := disturbed(network, spectrum, keys, rng)) is not None]
    wanted, total = sum(energy[k] for k in keys), sum(energy.values())
    return Ties(
        variance_explained=explained,
        keys=keys,
        names=names,
        key_energy=wanted / max(total, 1e-30),
        keep_only=filtered(network, spectrum, keys, keep=True),
        remove_only=filtered(network, spectrum, keys, keep=False),
        remove_random=filtered(network, spectrum, chosen, keep=False) if chosen else None,
        random_energy=sum(energy[k] for k in chosen) / max(wanted, 1e-30),
        disturbed=noisy,
    )


def random_others(energy: Mapping[int, float], keys: Sequence[int], rng: np.random.Generator) -> list[int]:
    """As many of the other frequencies at random as there are keys, or fewer where those hold as much energy.

    At least one is left, for removing all would be keeping the keys alone once more; so there may be none to choose.

    Args:
        energy: of every frequency, in the weights per token.
    """
    wanted = sum(energy[k] for k in keys)
    others = [k for k in energy if k not in keys]
    chosen: list[int] = []
    for k in rng.permutation(others)[: max(0, min(len(keys), len(others) - 1))].tolist():
        if sum(energy[x] for x in chosen) >= wanted:
            break
        chosen.append(int(k))
    return chosen


def disturbed(network: Network, law: Law | Dual, keys: Sequence[int], rng: np.random.Generator) -> Network | None:
    """With Gaussian noise at the other frequencies of each table, of the energy that the keys hold there; None without
    others. Others of the keys' energy can't be removed where they hold less of it.

    What a network loses by that depends on how many key frequencies it has, and on how wide its tables are. The noise
    of a table of width d turns each of K equal waves of a token by some sqrt(K / d) radians, and two tokens' by
    sqrt(2 K / d). Thirteen waves outvote .3 radians each; three waves of a table of width 64 cannot.
    """
    changed: dict[str, torch.Tensor] = {}
    for name, readers in network.architecture.tables():
        table = network.weights[name]
        rows = table.detach().cpu().double().numpy()
        still, waves = projectors(*_directions(law, readers, keys))
        noise = rng.normal(size=rows.shape)
        noise -= (still + waves) @ noise
        size = float((noise**2).sum())
        if size < 1e-9 * noise.size:
            return None
        noise *= (float(((waves @ rows) ** 2).sum()) / size) ** 0.5
        changed[name] = torch.from_numpy(rows + noise).to(table)
    return network.with_weights(changed)


def filtered(network: Network, law: Law | Dual, keys: Sequence[int], *, keep: bool) -> Network:
    """The network with the law's characters of these frequencies kept alone in its tables, or taken out of them."""
    changed: dict[str, torch.Tensor] = {}
    for name, readers in network.architecture.tables():
        table = network.weights[name]
        rows = table.detach().cpu().double().numpy()
        still, waves = projectors(*_directions(law, readers, keys))
        rows = (still + waves) @ rows if keep else rows - waves @ rows
        changed[name] = torch.from_numpy(rows).to(table)
    return network.with_weights(changed)


def _directions(law: Law | Dual, readers: Sequence[int], keys: Sequence[int]) -> tuple[Matrix, Matrix]:
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
