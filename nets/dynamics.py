"""Measures on one checkpoint of a training run: pure functions of a network and of the cells that it is asked at.

What a measure needs and a network or a task does not have (a law, hidden units, held-out cells) leaves it empty.
Loss is in nats a cell; energies and ranks are of weights and logits as they stand. The step at which each measure
makes its change is in transitions.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nets.description import lookup_bits, two_part_code
from nets.faithful import DRAWS, disturbed, filtered, random_others
from nets.keys import elsewhere, key_frequencies, key_waves
from nets.law import MOST_SCORES, held_out_sample, read_law, unmirrored
from nets.models import FloatArray, Network
from nets.neurons import effective_rank, gini, participation, token_power, tuning, units
from nets.profile import profile
from synth.carrier import IntArray
from synth.laws import Law

Matrix = npt.NDArray[np.float64]
Scores: TypeAlias = npt.NDArray[np.floating[Any]]
TUNED = 0.85  # of a unit's energy on one frequency, from which on it counts as tuned to it (Nanda et al. 2023)
MOST_CODED = 1 << 24  # logits of all examples, up to which a code is looked for: it takes some 15 forward passes


@dataclass(frozen=True)
class Measures:
    """One checkpoint; None where a measure does not apply.

    Attributes:
        train_loss, train_accuracy: on the examples.
        test_loss, test_accuracy: on held-out cells.
        apart_accuracy: on held-out cells none of whose reorderings is an example: a symmetric network gets the others
            right by mirroring alone.
        variance_explained: of the centred held-out logits, by functions of the law's combination.
        law_accuracy: the share of all cells that the law read from the held-out logits gets right.
        law_accepted: 1 where that law fits the examples' labels, else 0.
        spectrum_gini, spectrum_participation: of the weights' energy by the law's frequencies.
        dominant_share: of a living unit's energy, that on its strongest frequency; mean over living units.
        tuned_units: the share of living units with at least ``TUNED`` of their energy on one frequency.
        restricted_loss, restricted_accuracy: held-out, with only the key frequencies' waves of the combination (and
            each output's mean) kept in the logits.
        excluded_loss, excluded_train_loss, excluded_accuracy: with those waves removed from the logits; held-out,
            and the loss on the examples as well.
        excluded_elsewhere: the share that the most common wrong offset from the right answer has then: chance.
        kept_accuracy, removed_accuracy: held-out, with only the key frequencies kept in the weights per token (all
            others removed), or with them removed from there.
        removed_elsewhere: as ``excluded_elsewhere``, with the key frequencies removed from the weights per token.
        removed_random_accuracy: with as many random others removed, or all but one, or fewer that hold as much energy.
        removed_random_energy: what those hold over what the keys hold.
        disturbed_loss, disturbed_accuracy: the control of equal energy: with Gaussian noise in the weights per token,
            at all the other frequencies, of the energy that the key frequencies hold there; held-out.
        embedding_rank, hidden_rank: effective ranks of the weights per token and of the hidden activity.
        weight_norm: of all weights together.
        dead_units, prunable_units: shares of the hidden units; the latter once half of the examples are right.
        code_bits: the two-part code of the examples' labels by this network, in the law's character basis; not looked
            for where examples and carrier are large.
        code_ratio: that over the bits of a table of the labels.
    """

    train_loss: float
    train_accuracy: float
    test_loss: float | None = None
    test_accuracy: float | None = None
    apart_accuracy: float | None = None
    variance_explained: float | None = None
    law_accuracy: float | None = None
    law_accepted: float | None = None
    spectrum_gini: float | None = None
    spectrum_participation: float | None = None
    dominant_share: float | None = None
    tuned_units: float | None = None
    restricted_loss: float | None = None
    restricted_accuracy: float | None = None
    excluded_loss: float | None = None
    excluded_train_loss: float | None = None
    excluded_accuracy: float | None = None
    excluded_elsewhere: float | None = None
    kept_accuracy: float | None = None
    removed_accuracy: float | None = None
    removed_elsewhere: float | None = None
    removed_random_accuracy: float | None = None
    removed_random_energy: float | None = None
    disturbed_loss: float | None = None
    disturbed_accuracy: float | None = None
    embedding_rank: float | None = None
    hidden_rank: float | None = None
    weight_norm: float | None = None
    dead_units: float | None = None
    prunable_units: float | None = None
    code_bits: float | None = None
    code_ratio: float | None = None


@dataclass(frozen=True, eq=False)
class Scene:
    """What stays the same along a run: the cells, their labels, the task's law, and the frequencies that matter.

    Attributes:
        inputs, labels: the examples, shapes (n, arity) and (n,).
        held_out, held_out_labels: the other cells.
        law: the task's, or None where it has none.
        keys: the key frequencies, in hindsight those of the last checkpoint; see ``with_keys``.
    """

    inputs: IntArray
    labels: IntArray
    held_out: IntArray
    held_out_labels: IntArray
    law: Law | None = None
    keys: tuple[int, ...] = ()

    def with_keys(self, network: Network) -> Scene:
        """The same with the key frequencies of this network: all that stand above the noise of its logits."""
        if self.law is None or not len(self.held_out):
            return self
        cells, _ = self.held_out_seen
        found = key_frequencies(self.law, cells, network.logits(cells))
        return replace(self, keys=tuple(found))

    @cached_property
    def examples_seen(self) -> tuple[IntArray, IntArray]:
        """The examples that are looked at, with their labels; thinned out evenly where they are too many."""
        return self._seen(self.inputs, self.labels)

    @cached_property
    def held_out_seen(self) -> tuple[IntArray, IntArray]:
        """The same of the held-out cells."""
        return self._seen(self.held_out, self.held_out_labels)

    def _seen(self, cells: IntArray, labels: IntArray) -> tuple[IntArray, IntArray]:
        size = int(max(self.inputs.max(initial=1), self.held_out.max(initial=1))) + 1
        chosen = held_out_sample(np.arange(len(cells)), size, MOST_SCORES // 2)
        return cells[chosen], labels[chosen]

    @cached_property
    def apart(self) -> npt.NDArray[np.bool_]:
        """Which of the held-out cells looked at have no reordering among the examples."""
        return unmirrored(self.held_out_seen[0], self.inputs)


@dataclass(frozen=True, eq=False)
class Observation:
    """A checkpoint's measures, and its energy by frequency.

    Attributes:
        power: shape (order // 2,): the energy of the law's frequencies 1, 2, .. in the weights per token; or None.
    """

    measures: Measures
    power: Matrix | None


def observe(network: Network, scene: Scene, seed: int = 0, *, code: bool = True) -> Observation:
    """All measures of one checkpoint.

    Args:
        seed: of the random frequencies and the noise of the controls.
        code: whether to look for the two-part code, which takes as long as all others together.
    """
    cells, labels = scene.examples_seen
    logits = network.logits(cells)
    found: dict[str, float | None] = {
        "train_loss": loss(logits, labels),
        "train_accuracy": accuracy(logits, labels),
        "weight_norm": float(np.sqrt(sum(float((x.astype(np.float64) ** 2).sum()) for x in network.state().values()))),
        "embedding_rank": effective_rank(
            [network.weights[name].detach().cpu().double().numpy() for name, _ in network.architecture.tables()]
        ),
    }
    hidden = units(network, cells)
    if hidden is not None:
        found["hidden_rank"] = effective_rank([(hidden.activity - hidden.activity.mean(axis=0)).astype(np.float64)])
        found["dead_units"] = 1.0 - float(hidden.alive().mean())
        if (found["train_accuracy"] or 0.0) >= 0.5:
            found["prunable_units"] = hidden.prunable(logits, labels)
    if code and len(scene.labels) * network.architecture.size <= MOST_CODED:
        short = two_part_code(
            network, scene.inputs, scene.labels, scene.law.basis if scene.law else "standard", thorough=False
        )
        found["code_bits"] = short.bits
        found["code_ratio"] = short.bits / lookup_bits(len(scene.labels), network.architecture.size)
    power = None
    if len(scene.held_out):
        unseen, answers = scene.held_out_seen
        guesses = network.logits(unseen)
        found["test_loss"], found["test_accuracy"] = loss(guesses, answers), accuracy(guesses, answers)
        if scene.apart.any():
            found["apart_accuracy"] = accuracy(guesses[scene.apart], answers[scene.apart])
    if scene.law is not None:
        power = token_power(network, scene.law)
        found["spectrum_gini"], found["spectrum_participation"] = gini(power), participation(power)
        found |= _of_units(network, scene, scene.law)
        if len(scene.held_out):
            found |= _of_law(network, scene, scene.law)
            if scene.keys:
                found |= _without_waves(scene, scene.law, logits, network.logits(scene.held_out_seen[0]))
                found |= _without_weights(network, scene, scene.law, power, seed)
    return Observation(Measures(**found), power)  # pyright: ignore[reportArgumentType]


def loss(logits: Scores, labels: IntArray) -> float:
    """Mean cross-entropy, nats a cell."""
    below = logits - logits.max(axis=1, keepdims=True)
    chosen = below[np.arange(len(labels)), labels]
    return float((np.log(np.exp(below).sum(axis=1, dtype=np.float64)) - chosen).mean())


def accuracy(logits: Scores, labels: IntArray) -> float:
    """The share of rows (n, size) whose largest entry is their label's."""
    return float((logits.argmax(axis=1) == labels).mean())


def _of_units(network: Network, scene: Scene, law: Law) -> dict[str, float]:
    cells = np.concatenate([scene.examples_seen[0], scene.held_out_seen[0]])
    hidden = units(network, cells)
    if hidden is None:
        return {}
    alive = hidden.alive()
    if not alive.any():
        return {}
    shares = tuning(network, law, cells, hidden).shares[alive]
    return {"dominant_share": float(shares.mean()), "tuned_units": float((shares >= TUNED).mean())}


def _of_law(network: Network, scene: Scene, law: Law) -> dict[str, float]:
    cells, _ = scene.held_out_seen
    found = {"variance_explained": profile(law, cells, network.logits(cells)).explained}
    reading = read_law(network, law.carrier, scene.held_out, scene.inputs, scene.labels)
    if reading is not None:
        n, rest = len(scene.labels), len(scene.held_out_labels)
        right = reading.law.fit(scene.inputs, scene.labels) * n
        right += reading.law.fit(scene.held_out, scene.held_out_labels) * rest
        found |= {"law_accuracy": right / (n + rest), "law_accepted": float(reading.accepted)}
    return found


def _without_waves(scene: Scene, law: Law, logits: FloatArray, guesses: FloatArray) -> dict[str, float | None]:
    """Restricted and excluded loss (Nanda et al. 2023, section 5), on cells whose inputs all have a class."""
    cells = np.concatenate([scene.examples_seen[0], scene.held_out_seen[0]])
    labels = np.concatenate([scene.examples_seen[1], scene.held_out_seen[1]])
    entries = np.stack([table[cells[:, j]] for j, table in enumerate(law.tables)], axis=1)
    usual = (entries >= 0).all(axis=1)
    held = (np.arange(len(cells)) >= len(scene.examples_seen[0]))[usual]
    scores, labels, entries = np.concatenate([logits, guesses])[usual].astype(np.float64), labels[usual], entries[usual]
    if not held.any() or held.all():
        return {}
    total = entries.sum(axis=1) % law.order
    part = key_waves(scores, total, law.order, scene.keys)[total]
    still = scores.mean(axis=0)
    rest = (scores - part)[held]
    return {
        "restricted_loss": loss((still + part)[held], labels[held]),
        "restricted_accuracy": accuracy((still + part)[held], labels[held]),
        "excluded_loss": loss(rest, labels[held]),
        "excluded_train_loss": loss((scores - part)[~held], labels[~held]),
        "excluded_accuracy": accuracy(rest, labels[held]),
        "excluded_elsewhere": elsewhere(law, cells[usual][held], rest.argmax(axis=1)),
    }


def _without_weights(network: Network, scene: Scene, law: Law, power: Matrix, seed: int) -> dict[str, float | None]:
    """Accuracy with frequencies kept alone in the weights per token, removed from there, or disturbed."""
    cells, labels = scene.held_out_seen
    keys, rng = list(scene.keys), np.random.default_rng(seed)

    def without(frequencies: list[int]) -> FloatArray:
        return filtered(network, law, frequencies, keep=False).logits(cells)

    removed = without(keys)
    found: dict[str, float | None] = {
        "kept_accuracy": accuracy(filtered(network, law, keys, keep=True).logits(cells), labels),
        "removed_accuracy": accuracy(removed, labels),
        "removed_elsewhere": elsewhere(law, cells, removed.argmax(axis=1)),
    }
    energy: dict[int, float] = dict(enumerate(power.tolist(), start=1))
    chosen, wanted = random_others(energy, keys, rng), sum(energy[k] for k in keys)
    if chosen:
        found["removed_random_accuracy"] = accuracy(without(chosen), labels)
        found["removed_random_energy"] = sum(energy[k] for k in chosen) / max(wanted, 1e-30)
    noisy = [x.logits(cells) for _ in range(DRAWS) if (x := disturbed(network, law, keys, rng)) is not None]
    if noisy:
        found["disturbed_loss"] = float(np.mean([loss(x, labels) for x in noisy]))
        found["disturbed_accuracy"] = float(np.mean([accuracy(x, labels) for x in noisy]))
    return found
