"""What the kernel machine needs, measured: ``python tests/perf/rfm.py --p 59 --fraction .5``: one line a seed."""

from __future__ import annotations

import time

import cyclopts
import numpy as np


def main(
    task: str = "modadd", p: int = 59, fraction: float = 0.5, seeds: int = 5, ridge: float = 1e-4, power: float = 0.7
):
    """Rounds and CPU seconds until the answers are exact for good, and until they have settled."""
    from bench.registry import load_task
    from bench.stream import Stream
    from nets.rfm import rounds

    print("task p f seed | right: unseen cells, exact from round, cpu s | rounds, cpu s, cause")
    for seed in range(seeds):
        loaded = load_task(task, {}, spare={"p": p}).task
        domain, table = loaded.domain, loaded.target().table
        inputs, labels, _ = Stream(loaded, seed).examples(round(fraction * len(domain)))
        weights = loaded.carrier.size ** np.arange(loaded.arity)
        unseen = ~np.isin(domain @ weights, inputs @ weights)
        spent, exact, right, last = 0.0, (0, 0.0), np.zeros(0), None
        since = time.process_time()
        for last in rounds(loaded.carrier.size, inputs, labels, domain, ridge=ridge, power=power):
            spent += time.process_time() - since
            right = last.machine.predict(domain) == table
            exact = (0, 0.0) if not right.all() else exact if exact[0] else (last.round, spent)
            since = time.process_time()
        assert last is not None
        print(
            task, p, fraction, seed, f"| {right[unseen].mean():.4f}", exact[0] or "never", f"{exact[1]:.2f}",
            f"| {last.round} {spent:.2f} {last.cause}",
        )  # fmt: skip


if __name__ == "__main__":
    cyclopts.run(main)
