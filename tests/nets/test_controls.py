"""No law is accepted from networks and predictors that have no algorithm. Counts are printed with their 95% bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import controls
import pytest

Control = Callable[[range], Iterator[bool]]
BOTH = ("a + b", "a * b")
NETWORKS: dict[str, tuple[Control, int, int]] = {  # each with the seeds of the quick and of the slow test
    "untrained networks": (controls.untrained, 5, 55),
    "networks of random labels": (controls.of_random_labels, 2, 55),
    "memorising networks, a table for each input": (controls.memorising, 3, 52),
    "memorising networks, one table": (partial(controls.memorising, blind=True), 4, 104),
    "lazily trained networks": (controls.lazy, 3, 70),
    "networks of another task": (controls.swapped, 1, 55),
}
COMPOSITE: dict[str, tuple[tuple[Control, int], ...]] = {
    "untrained networks": tuple(
        (partial(controls.untrained, p=m), seeds) for m, seeds in ((10, 26), (15, 16), (21, 4), (24, 4), (30, 2))
    ),
    "networks of random labels": tuple(
        (partial(controls.of_random_labels, p=m), seeds) for m, seeds in ((10, 24), (15, 22), (21, 3), (24, 3))
    ),
    "memorising networks": (
        (partial(controls.memorising, p=15, targets=BOTH), 25),
        (partial(controls.memorising, p=15, blind=True, targets=BOTH), 48),
        (partial(controls.memorising, p=24), 1),
        (partial(controls.memorising, p=24, blind=True), 2),
    ),
}
PREDICTORS = [*controls.PREDICTORS, *controls.MIRRORING]


@pytest.mark.parametrize("what", [*NETWORKS])
def test_networks_without_the_algorithm_are_refused(what: str, announce: Callable[[str, list[bool]], None]) -> None:
    control, few, _ = NETWORKS[what]
    announce(what, list(control(range(few))))


@pytest.mark.slow
@pytest.mark.parametrize("what", [*NETWORKS])
def test_many_networks_without_the_algorithm_are_refused(
    what: str, announce: Callable[[str, list[bool]], None]
) -> None:
    control, _, many = NETWORKS[what]
    announce(what, list(control(range(1000, 1000 + many))))


@pytest.mark.slow
@pytest.mark.parametrize("what", [*COMPOSITE])
def test_many_networks_of_composite_moduli_are_refused(what: str, announce: Callable[[str, list[bool]], None]) -> None:
    found = [x for control, seeds in COMPOSITE[what] for x in control(range(1000, 1000 + seeds))]
    announce(f"{what}, composite moduli", found)


@pytest.mark.parametrize("what", PREDICTORS)
def test_predictors_without_the_algorithm_are_refused(what: str, announce: Callable[[str, list[bool]], None]) -> None:
    announce(what, list(controls.predictors(what, range(8))))


@pytest.mark.slow
@pytest.mark.parametrize("what", PREDICTORS)
def test_many_predictors_without_the_algorithm_are_refused(
    what: str, announce: Callable[[str, list[bool]], None]
) -> None:
    announce(what, list(controls.predictors(what, range(1000, 1105))))


@pytest.mark.slow
@pytest.mark.parametrize("what", PREDICTORS)
def test_many_predictors_that_are_given_most_cells_are_refused(
    what: str, announce: Callable[[str, list[bool]], None]
) -> None:
    announce(f"{what}, 85% given", list(controls.predictors(what, range(1000, 1105), p=29, fraction=0.85)))


@pytest.mark.slow
@pytest.mark.parametrize("what", PREDICTORS)
def test_many_predictors_of_composite_moduli_are_refused(
    what: str, announce: Callable[[str, list[bool]], None]
) -> None:
    sizes = ((15, 90), (21, 7), (24, 5), (30, 2), (35, 1))
    found = [x for m, seeds in sizes for x in controls.predictors(what, range(1000, 1000 + seeds), p=m)]
    announce(f"{what}, composite moduli", found)


@pytest.mark.slow
@pytest.mark.parametrize("what", PREDICTORS)
def test_many_predictors_with_wrong_labels_are_refused(what: str, announce: Callable[[str, list[bool]], None]) -> None:
    """Half of the mirror images disagree, so that the examples don't look as if their order were nothing."""
    announce(f"{what}, 30% wrong", list(controls.predictors(what, range(1000, 1105), p=17, noise=0.3)))


@pytest.mark.slow
def test_many_predictors_of_tiny_moduli_are_refused(announce: Callable[[str, list[bool]], None]) -> None:
    """Few held-out cells, most of whose answers are left alone by what was seen."""
    for p, fraction in ((3, 0.8), (5, 0.9), (7, 0.8)):
        found = [x for what in PREDICTORS for x in controls.predictors(what, range(1000, 1010), p, fraction)]
        announce(f"all predictors modulo {p}, {fraction:.0%} given", found)


def test_the_raw_table_itself_has_the_law(say: Callable[[str], None]) -> None:
    """What every refusal above is to be read beside: the examples alone tell the law to whoever looks at them."""
    found = list(controls.raw(range(20)))
    say(f"phase correlation on the raw examples of these tasks: a law in {sum(found)} of {len(found)}")
    assert sum(found) >= 0.9 * len(found)


@pytest.mark.parametrize("fraction", [0.7, 0.85, 0.92])
def test_what_most_cells_leave_open_is_no_law(fraction: float, announce: Callable[[str, list[bool]], None]) -> None:
    """With most of a Latin square given the right answer is among few that are left: its law fits, and is refused."""
    what = f"joint elimination with {fraction:.0%} of the cells given"
    announce(what, list(controls.predictors("joint elimination", range(5), p=37, fraction=fraction)))
