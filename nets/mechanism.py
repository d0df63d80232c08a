"""Clock or pizza: two measures of Zhong et al. (The Clock and the Pizza, 2023), and what attention adds.

A clock multiplies the two tokens' waves, so that its right logit does not depend on how far apart they are, and its
gradients by the two embeddings differ; a pizza adds them first, so that its right logit depends on the distance and
its gradients are alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from nets.models import Network, computes_as, tokens
from nets.transformer import Transformer
from synth.carrier import IntArray
from synth.laws import Law


@dataclass(frozen=True)
class Mechanism:
    """How a network computes its law.

    Attributes:
        symmetricity: mean cosine between the gradients of a logit by its two tokens' embeddings (their section 4.1):
            near 1 for a pizza, well below for a clock. NaN where they are rows of tables of different spaces.
        irrelevance: mean standard deviation of the right logit among pairs equally far apart, over that among all
            pairs (their section 4.2): near 1 for a clock, near 0 for a pizza.
        unattending: the share of the cells still right with all attention scores at 0, every position looked at alike;
            NaN without attention.
    """

    symmetricity: float
    irrelevance: float
    unattending: float


def mechanism(network: Network, law: Law, rng: np.random.Generator, triples: int = 64) -> Mechanism:
    """Measure a network of two inputs that computes ``law``; ``triples`` random (a, b, c) for the gradients.

    Raises:
        ValueError: another number of inputs than two.
    """
    if law.arity != 2:
        raise ValueError(f"mechanism: distance is between two inputs, got {law.arity}")
    a, b = (np.flatnonzero(table >= 0) for table in law.tables)
    cells = np.stack([x.ravel() for x in np.meshgrid(a, b, indexing="ij")], axis=1)
    answers = law.predict(cells)
    right = np.take_along_axis(network.logits(cells), answers[:, None], axis=1)[:, 0].astype(np.float64)
    apart = (law.tables[0][cells[:, 0]] - law.tables[1][cells[:, 1]]) % law.order
    count = np.maximum(np.bincount(apart, minlength=law.order), 1)
    mean = np.bincount(apart, right, minlength=law.order) / count
    spread = np.sqrt(np.bincount(apart, (right - mean[apart]) ** 2, minlength=law.order) / count)
    unattending = float("nan")
    if computes_as(network.architecture, Transformer):
        flat = network.with_weights({"Q": torch.zeros_like(network.weights["Q"])})
        unattending = float((flat.predict(cells) == answers).mean())
    return Mechanism(
        symmetricity=_symmetricity(network, a, rng, triples),
        irrelevance=float(spread[np.unique(apart)].mean() / max(float(right.std()), 1e-30)),
        unattending=unattending,
    )


def _symmetricity(network: Network, elements: IntArray, rng: np.random.Generator, triples: int) -> float:
    tables = network.architecture.tables()
    names = [next(name for name, readers in tables if j in readers) for j in (0, 1)]
    # Rows of two tables can be compared where both are added to one residual stream.
    if (names[0] != names[1] and not computes_as(network.architecture, Transformer)) or len(elements) < 2:
        return float("nan")
    weights = {name: x.detach().cpu() for name, x in network.weights.items()}
    cosines: list[float] = []
    for _ in range(triples):
        pair = rng.choice(elements, 2, replace=False)
        leaves = {name: weights[name].clone().requires_grad_() for name in set(names)}
        logits = network.architecture.forward({**weights, **leaves}, tokens(pair[None]))
        logits[0, int(rng.integers(logits.shape[1]))].backward()
        gradients = [leaves[name].grad for name in names]
        assert gradients[0] is not None
        assert gradients[1] is not None
        one, two = gradients[0][int(pair[0])], gradients[1][int(pair[1])]
        cosines.append(float(torch.nn.functional.cosine_similarity(one, two, dim=0)))
    return float(np.mean(cosines))
