"""Runs on a GPU where there is none: on one that is pretended (tests/pretend.py), from first step to record."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from pretend import pretended_gpu

from bench.execute import execute
from bench.plan import plan
from bench.record import Record, RunSpec
from bench.registry import list_methods, load_method
from bench.stack import execute_stack
from bench.store import Store


def specs(out: Path, ref: str, p: int, n: int, *, device: str) -> tuple[list[RunSpec], Store]:
    made = plan("modadd", {"p": str(p)}, methods=[ref], examples=[n], seeds=2, seconds=300.0, stack="on", out=out)
    store = Store(made.folder)
    store.create()
    return [msgspec.structs.replace(x, device=device) for x in made.chains[0].specs[0][1]], store


def ran(asked: list[RunSpec], store: Store, *, stacked: bool) -> list[Record]:
    encoded = [msgspec.json.encode(x) for x in asked]
    if stacked:
        execute_stack(encoded, str(store.folder), "alone")
    else:
        for spec in encoded:
            execute(spec, str(store.folder), "alone")
    found = [store.load(x.run_id) for x in asked]
    assert all(x is not None for x in found)
    return [x for x in found if x is not None]


@pytest.mark.parametrize(
    "ref",
    [
        "bilinear+law",
        pytest.param("relu:steps=60", marks=pytest.mark.slow),
        pytest.param("bilinear", marks=pytest.mark.slow),
        pytest.param("quadratic", marks=pytest.mark.slow),
        pytest.param("transformer:steps=60", marks=pytest.mark.slow),
    ],
)
def test_a_run_there_is_the_run_here(tmp_path: Path, ref: str) -> None:
    """Training, reading laws, what ties them to the network, certificates, circuits, codes: nothing is left behind."""
    here = ran(*specs(tmp_path, ref, 23, 400, device="cpu"), stacked=False)
    with pretended_gpu():
        there, store = specs(tmp_path, ref, 23, 400, device="cuda")
        alone = ran(there, store, stacked=False)
        together = ran(there, store, stacked=True)
    for one, *others in zip(here, alone, together, strict=True):
        assert one.timing == "alone"
        assert one.error == ""
        for other in others:
            assert (other.outcome, other.reason, other.error) == (one.outcome, one.reason, one.error)
            assert other.notes.keys() == one.notes.keys()
            assert other.notes.get("certificate") == one.notes.get("certificate")
            # Sums are rounded otherwise, which moves late checkpoints by a few cells.
            for x, y in zip(one.trace[:5], other.trace[:5], strict=True):
                assert x.accuracy == pytest.approx(y.accuracy, abs=0.01)
            assert (one.trace[-1].program, one.trace[-1].exact) == (other.trace[-1].program, other.trace[-1].exact)
            assert np.load(store.weights_path(other.run_id)).keys() == np.load(store.weights_path(one.run_id)).keys()
    assert [x.timing for x in together] == ["alone stacked:2"] * 2


def test_only_who_computes_there_is_given_a_gpu() -> None:
    networks = {x.name for x in list_methods() if load_method(x.name)[0].gpu}
    wanted = {f"{x}{law}" for x in ("bilinear", "quadratic", "relu", "transformer") for law in ("", "+law")}
    assert networks == wanted
    assert all(load_method(x)[0].stacking is not None for x in networks)
