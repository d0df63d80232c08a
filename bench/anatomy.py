"""A network taken apart at one checkpoint, as tables: a row a piece and ablation, a row a hidden unit, a row a token.

The measures are made where the network is (``dissect``); what they make is plain values, which can be sent between
processes and turned into rows elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from synth.carrier import IntArray

if TYPE_CHECKING:
    from nets.mechanism import Mechanism
    from nets.models import Network
    from nets.pieces import Piece
    from nets.waves import Circle, Waves
    from synth.laws import Law

Row = dict[str, Any]
KINDS = ("weights", "characters", "neurons")  # of certified descriptions
MOST_FLOPS = 5e8  # of one evaluation of all cells, for descriptions to be looked for: some ten seconds


@dataclass(frozen=True, eq=False)
class Anatomy:
    """What a network is made of.

    Attributes:
        keys: its key frequencies, strongest first.
        accuracy, loss: as it is, on the held-out cells; the loss in nats a cell.
        pieces: with their ablations.
        circles: the tokens of each table on the circle of each key frequency.
        units: the hidden units; None for other than two inputs, or units that are not known.
        mechanism: clock or pizza; None for other than two inputs.
        certified_bits: by kind, the bits of the smallest description found that is certified: see nets/coarse.py.
    """

    keys: tuple[int, ...]
    accuracy: float
    loss: float
    pieces: list[Piece]
    circles: list[Circle]
    units: Waves | None
    mechanism: Mechanism | None
    certified_bits: Mapping[str, float]


def dissect(
    network: Network,
    law: Law,
    cells: IntArray,
    labels: IntArray,
    seed: int,
    domain: IntArray | None = None,
    *,
    keys: Sequence[int],
) -> Anatomy:
    """Take a network apart.

    Args:
        network: of any architecture; of a user's own only the tables that it declares are known.
        law: whose frequencies are meant.
        cells, labels: held out, shapes (n, arity) and (n,), n at least 1.
        seed: of the random frequencies, noise and gradients.
        domain: all cells, shape (N, arity), for which descriptions are to be certified, which takes seconds; None, or
            a network too large for it, gets none.
        keys: its key frequencies, strongest first; none where it follows the law in none.
    """
    from nets.mechanism import mechanism
    from nets.neurons import units
    from nets.paths import judged
    from nets.pieces import pieces
    from nets.waves import circles, waves

    logits = network.logits(cells)
    accuracy, loss = judged(logits, labels)
    pairs = law.arity == 2
    return Anatomy(
        keys=tuple(keys),
        accuracy=accuracy,
        loss=loss,
        pieces=list(pieces(network, law, cells, labels, np.random.default_rng(seed), keys=keys)),
        circles=circles(network, law, keys),
        units=waves(network, law) if pairs and units(network, cells[:1]) is not None else None,
        mechanism=mechanism(network, law, np.random.default_rng(seed)) if pairs else None,
        certified_bits=_certified_bits(network, law, domain) if domain is not None else {},
    )


def _certified_bits(network: Network, law: Law, domain: IntArray) -> dict[str, float]:
    from nets.coarse import smallest

    answers = law.predict(domain)
    if (answers < 0).any() or len(domain) * network.architecture.flops() > MOST_FLOPS:
        return {}
    return {x.kind: x.bits for x in smallest(network, law, domain, answers)}


def anatomy_rows(found: Anatomy) -> Iterator[Row]:
    """The network as it is, then one row a piece and ablation: see nets/pieces.py."""
    measured = found.mechanism
    yield {
        "piece": "network", "kind": "", "numbers": None, "ablation": "none", "count": None, "changed": 0.0,
        "accuracy": found.accuracy, "accuracy_change": 0.0, "loss": found.loss, "loss_change": 0.0, "draws": 1,
        "key_frequencies": " ".join(map(str, found.keys)),
        "gradient_symmetricity": _number(measured.symmetricity) if measured else None,
        "distance_irrelevance": _number(measured.irrelevance) if measured else None,
        **{f"certified_bits_{kind}": found.certified_bits.get(kind) for kind in KINDS},
    }  # fmt: skip
    for piece in found.pieces:
        for change in piece.ablations:
            yield {
                "piece": piece.name, "kind": piece.kind, "numbers": piece.numbers, "ablation": change.name,
                "count": change.count or None, "changed": change.changed,
                "accuracy": change.accuracy, "accuracy_change": change.accuracy - found.accuracy,
                "loss": change.loss, "loss_change": change.loss - found.loss, "draws": change.draws,
                "key_frequencies": None, "gradient_symmetricity": None, "distance_irrelevance": None,
                **{f"certified_bits_{kind}": None for kind in KINDS},
            }  # fmt: skip


def units_rows(found: Anatomy) -> Iterator[Row]:
    """One row a hidden unit: see nets/waves.py; none where the units are not known."""
    units = found.units
    if units is None:
        return
    off = units.turned
    for i in range(len(units.frequency)):
        yield {
            "unit": i,
            "alive": bool(units.alive[i]),
            "frequency": int(units.frequency[i]),
            "key": int(units.frequency[i]) in found.keys,
            "share": float(units.share[i]),
            "phase_a": float(units.phase_a[i]),
            "phase_b": float(units.phase_b[i]),
            "phase_out": float(units.phase_out[i]),
            "phase_off": float(off[i]),
            "amplitude_a": float(units.amplitude_a[i]),
            "amplitude_b": float(units.amplitude_b[i]),
            "amplitude_out": float(units.amplitude_out[i]),
            "of_sum": float(units.of_sum[i]),
            "of_difference": float(units.of_difference[i]),
            "readout_agrees": bool(units.agrees[i]),
        }


def tokens_rows(found: Anatomy) -> Iterator[Row]:
    """One row a table, key frequency and token with a class: where the token lies on the frequency's circle."""
    for circle in found.circles:
        for token in np.flatnonzero(~np.isnan(circle.angles)).tolist():
            yield {
                "table": circle.table,
                "frequency": circle.frequency,
                "token": token,
                "angle": float(circle.angles[token]),
                "expected_angle": float(circle.expected[token]),
                "radius": float(circle.radii[token]),
                "plane_share": circle.share,
            }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value
