"""A network at a checkpoint: what it was asked there is not computed again."""

from __future__ import annotations

import numpy as np

from nets.models import FloatArray, Network
from synth.carrier import IntArray

_MOST = 1 << 16  # combinations of inputs: each has a place in an index


class Standing(Network):
    """A network and its logits at some cells; elsewhere it is evaluated as any other.

    It speaks of the moment at which the logits were computed: once training goes on, its weights are other ones.
    """

    def __init__(self, network: Network, cells: IntArray, logits: FloatArray) -> None:
        """``cells`` (N, arity), each once, and what the network says there, (N, size)."""
        super().__init__(network.architecture, network.weights)
        kind = self.architecture
        places: IntArray = np.empty(0, dtype=np.int64)
        if kind.size**kind.arity <= _MOST:
            places = np.full(kind.size**kind.arity, -1, dtype=np.int64)
            places[self._codes(cells)] = np.arange(len(cells))
        object.__setattr__(self, "_places", places)
        object.__setattr__(self, "_logits", logits)

    def logits(self, inputs: IntArray) -> FloatArray:
        known = self._known(inputs)
        return super().logits(inputs) if known is None else known

    def predict(self, inputs: IntArray) -> IntArray:
        known = self._known(inputs)
        return super().predict(inputs) if known is None else known.argmax(axis=1)

    def _known(self, inputs: IntArray) -> FloatArray | None:
        places: IntArray = self.__dict__["_places"]
        if not len(places):
            return None
        found = places[self._codes(inputs)]
        return None if (found < 0).any() else self.__dict__["_logits"][found]

    def _codes(self, cells: IntArray) -> IntArray:
        return cells @ (self.architecture.size ** np.arange(cells.shape[1], dtype=np.int64))
