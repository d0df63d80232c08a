"""What reading shows, task by task: laws exact wherever networks are, their lead, the transformer's few frequencies.

Slow, and printed at the end: ``python -m pytest -m slow tests/bench/test_reading_figures.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import numpy as np
import pytest
from test_networks import candidates, problem_of

from nets.circuit import read_circuit
from nets.faithful import filtered
from nets.keys import key_frequencies
from nets.law import read_law
from nets.models import architecture
from nets.recipes import recipe, widths, worth
from nets.train import train
from synth.carrier import Residues
from synth.laws import Law

Say = Callable[[str], None]
KINDS = ["bilinear", "quadratic", "relu", "transformer"]
# The shortest forms, where the task's own is one.
SHORTEST = {"modadd": "a + b", "modsub": "a - b", "modmul": "a*b", "moddiv": "a/b", "squares": "a*a + b*b"}


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("task", [*SHORTEST, "affine"])
def test_wherever_a_network_is_right_its_law_is_and_is_the_shortest_form(task: str, name: str, say: Say) -> None:
    problem, truth = problem_of(task, 0.5, p=59)
    trace = list(candidates(name, problem))
    last, answers = trace[-1]
    right = (answers == truth)[problem.held_out].mean()
    if right >= 0.999:
        assert last.program is not None
        np.testing.assert_array_equal(last.program.evaluate(problem.domain, problem.carrier), truth)
        assert str(last.program) == SHORTEST.get(task, str(last.program))
    examined = last.examine() if last.examine is not None else {}
    say(
        f"{task} {name} p=59 f=.5: held-out {right:.3f}, program {last.program}, "
        f"certificate {examined.get('certificate', '-')}, margin/bound {examined.get('margin_over_bound', 0):.1e}",
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_laws_come_long_before_networks(name: str, say: Say) -> None:
    leads = [found for seed in range(3) if (found := lead(name, seed, say)) is not None]
    assert len(leads) >= 2
    assert median(leads) >= 2


def lead(name: str, seed: int, say: Say) -> float | None:
    """The step at which a delayed network is first right over that at which its law is accepted; None: never right."""
    problem, truth = problem_of("modadd", 0.4, p=59, seed=seed)
    *_, (read, _) = candidates(f"{name}+law:recipe=delayed", problem, seed)
    trace = candidates(f"{name}:recipe=delayed", problem, seed)
    accepted = float(read.notes["law_accepted_at"])
    right = (x.work["steps"] for x, answers in trace if (answers == truth)[problem.held_out].mean() >= 0.999)
    found = next((step / accepted for step in right), None)
    told = "the network never" if found is None else f"lead over te999 {found:.1f}"
    say(f"{name} delayed p=59 f=.4 seed {seed}: law at step {accepted:.0f}, {told}")
    assert read.program is not None
    np.testing.assert_array_equal(read.program.evaluate(problem.domain, problem.carrier), truth)
    return found


@pytest.mark.slow
def test_a_sparse_transformer_at_p_113_stands_on_its_key_frequencies(say: Say) -> None:
    problem, truth = problem_of("modadd", 0.3, p=113)
    carrier, cells = problem.carrier, problem.domain[problem.held_out]
    assert isinstance(carrier, Residues)
    examples = worth(problem.inputs, 113)
    network = architecture("transformer", 113, 2, **widths("transformer", 113, 2, examples, "sparse", True))
    *_, last = train(
        network, problem.inputs, problem.outputs, recipe("sparse", network, examples), 0, watched=problem.domain
    )
    read = read_law(last.network, carrier, cells, problem.inputs, problem.outputs)
    assert read is not None
    law = read.law
    assert isinstance(law, Law)
    rng = np.random.default_rng(0)
    logits = last.network.logits(cells)
    keys = key_frequencies(law, cells, logits)
    others = rng.permutation(np.setdiff1d(np.arange(1, 57), keys))[: len(keys)].tolist()

    def accuracy(frequencies: list[int], *, keep: bool) -> float:
        changed = filtered(last.network, law, frequencies, keep=keep)
        return float((changed.predict(cells) == truth[problem.held_out]).mean())

    kept, gone, random = accuracy(keys, keep=True), accuracy(keys, keep=False), accuracy(others, keep=False)
    circuit = read_circuit(law, cells, logits)
    say(
        f"transformer p=113 f=.3, sparse: {len(keys)} frequencies, {circuit.claim.explained:.3f} of the variance, "
        f"{circuit.claim.interaction:.3f} of what depends on both inputs; kept alone {kept:.3f}, removed {gone:.3f}, "
        f"as many others removed {random:.3f}",
    )
    assert set(circuit.circuit.frequencies) == set(keys)
    assert len(keys) <= 6
    assert circuit.claim.interaction >= 0.95
    assert circuit.claim.explained >= 0.92
    assert circuit.claimed
    assert kept >= 0.99
    assert gone < 0.03
    assert random > 0.98
