"""What explains trained networks, measured: ``python tests/perf/explanations.py --arch transformer --p 59,113``.

For each network the medians over seeds of the circuit's claim beside its rivals' (explained variance / worst error over
half the network's margin / the same without what depends on one input alone), in what each seed's cosines are not
claimed, and from how many frequencies on they could be; the times of law and circuit; then, with ``--pieces``, the
held-out accuracy that each ablation of each piece leaves, and the share of its energy that was changed; with
``--coarse``, the certified description of the fewest bits of each kind; with ``--proofs``, margin over bound of the
certificate by evaluating every cell, and what the one for less saves.
"""

from __future__ import annotations

import time
from collections import defaultdict
from itertools import product
from statistics import median

import cyclopts
import numpy as np


def trained(arch: str, task: str, p: int, fraction: float, seed: int, recipe_name: str):
    """A network, the task's cells and table, and what is held out of it."""
    from bench.registry import load_task
    from bench.stream import Stream
    from nets.models import architecture
    from nets.recipes import recipe, symmetric, widths, worth
    from nets.train import train

    loaded = load_task(task, {}, spare={"p": p}).task
    domain, table = loaded.domain, loaded.table
    inputs, labels, n = Stream(loaded, seed, "cells").examples(round(fraction * len(domain)))
    weights = p ** np.arange(loaded.arity)
    held_out = ~np.isin(domain @ weights, inputs @ weights)
    alike = symmetric(inputs, labels)
    n = worth(inputs, p) if alike and recipe_name == "fast" else n
    kind = architecture(arch, p, loaded.arity, **widths(arch, p, loaded.arity, n, recipe_name, alike))
    *_, point = train(
        kind, inputs, labels, recipe(recipe_name, kind, n), seed, watched=domain[:: -(-len(domain) // 32768)]
    )
    return point.network, domain, table, held_out, (inputs, labels)


def main(
    arch: str = "bilinear,quadratic,relu,transformer",
    task: str = "modadd",
    p: str = "59",
    fraction: float = 0.5,
    recipe: str = "fast",
    seeds: str = "0:5",
    pieces: bool = False,
    coarse: bool = False,
    proofs: bool = False,
) -> None:
    """Measure every combination of the comma-separated lists."""
    import torch

    from nets.certificate import certify
    from nets.circuit import read_circuit
    from nets.coarse import smallest
    from nets.frugal import certify_frugally
    from nets.law import held_out_sample, read_law
    from nets.pieces import pieces as ablations
    from nets.waves import waves
    from synth.carrier import Residues
    from synth.laws import Law

    torch.set_num_threads(1)
    first, _, last = seeds.partition(":")
    for name, one_task, size in product(arch.split(","), task.split(","), (int(x) for x in p.split(","))):
        rows: list[list[float]] = []
        claimed: list[int] = []
        failed: list[str] = []
        left: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
        bits: dict[str, list[float]] = defaultdict(list)
        proved: list[list[float]] = []
        phases: list[float] = []
        skipped = 0
        domain = np.zeros((0, 2), dtype=np.int64)
        for seed in range(int(first), int(last)):
            network, domain, table, held, examples = trained(name, one_task, size, fraction, seed, recipe)
            since = time.process_time()
            reading = read_law(network, Residues(size), domain[held], *examples)
            law_seconds = time.process_time() - since
            if not (reading and reading.accepted and isinstance(reading.law, Law)) or reading.agreement < 0.99:
                skipped += 1
                continue
            cells = held_out_sample(domain[held], size)
            logits = network.logits(cells)
            since = time.process_time()
            found = read_circuit(reading.law, cells, logits)
            seconds = time.process_time() - since
            claims = (found.claim, found.delta, found.peaks)
            values = [y for x in claims for y in (x.explained, x.worst, x.rest)]
            rows.append([len(found.circuit.frequencies), *values, law_seconds, seconds])
            claimed.append(found.claimed_from)
            failed.append("+".join(found.failed) or "claimed")
            phases.append(float(np.median(waves(network, reading.law).off)))
            if proofs:
                found = certify(network, domain, table), certify_frugally(network, reading.law, domain)
                proved.append([found[0].ratio * found[0].holds, found[1].saves * found[1].holds, found[1].evaluated])
            if pieces:
                labels = reading.law.predict(cells)
                for piece in ablations(network, reading.law, cells, labels, np.random.default_rng(seed)):
                    for x in piece.ablations:
                        left[piece.name, x.name].append((x.accuracy, x.changed))
            if coarse:
                for described in smallest(network, reading.law, domain, table):
                    bits[described.kind].append(described.bits)
        if not rows:
            print(f"{name} {one_task} p={size}: no law in {skipped} networks", flush=True)
            continue
        k, *values, law_seconds, seconds = (median(x) for x in zip(*rows, strict=True))
        shown = [" / ".join(f"{x:.2f}" for x in values[i : i + 3]) for i in (0, 3, 6)]
        print(
            f"{name} {one_task} p={size} ({len(rows)} networks, {skipped} without law): {k:.0f} cosines {shown[0]}; "
            f"delta {shown[1]}; peaks {shown[2]}; {', '.join(failed)}; could be claimed from {claimed} frequencies on; "
            f"law {1e3 * law_seconds:.0f} ms, circuit {1e3 * seconds:.0f} ms; "
            f"|phi_out - phi_a - phi_b| {median(phases):.3f} rad",
            flush=True,
        )
        if proved:
            ratio, saves, evaluated = ([x[i] for x in proved] for i in range(3))
            hold = sum(x > 0 for x in saves)
            print(
                f"    certificate: margin / bound at least {min(ratio):.2g}; frugal: 1 / {median(saves):.1f} of the "
                f"operations ({hold} of {len(saves)} hold, {median(evaluated):.0f} of {len(domain)} cells evaluated)"
            )
        for piece in dict.fromkeys(x for x, _ in left):
            shown = []
            for (other, ablation), seen in left.items():
                if other == piece:
                    accuracy, changed = (median(x) for x in zip(*seen, strict=True))
                    shown.append(f"{ablation} {accuracy:.3f} ({changed:.2f})")
            print(f"    {piece:22s}{', '.join(shown)}")
        for kind, some in sorted(bits.items(), key=lambda x: median(x[1])):
            print(f"    {kind}: {median(some) / 1e3:.1f} kbit ({len(some)} of {len(rows)} certified)", flush=True)


if __name__ == "__main__":
    cyclopts.run(main)
