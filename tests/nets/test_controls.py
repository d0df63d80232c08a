"""No law is accepted from networks and predictors that have no algorithm. Counts are printed with their 95% bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import controls
import pytest

NETWORKS: dict[str, tuple[Callable[[range], Iterator[bool]], int, int]] = {
    "untrained networks": (controls.untrained, 5, 55),
    "networks of random labels": (controls.of_random_labels, 2, 55),
    "memorising networks": (controls.memorising, 3, 105),
    "lazily trained networks": (controls.lazy, 3, 70),
    "networks of another task": (controls.swapped, 1, 55),
}


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


@pytest.mark.parametrize("what", [*controls.PREDICTORS])
def test_predictors_without_the_algorithm_are_refused(what: str, announce: Callable[[str, list[bool]], None]) -> None:
    announce(what, list(controls.predictors(what, range(10))))


@pytest.mark.slow
@pytest.mark.parametrize("what", [*controls.PREDICTORS])
def test_many_predictors_without_the_algorithm_are_refused(
    what: str, announce: Callable[[str, list[bool]], None]
) -> None:
    announce(what, list(controls.predictors(what, range(1000, 1105))))


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


@pytest.mark.slow
@pytest.mark.parametrize("what", [*controls.PREDICTORS])
def test_many_predictors_that_are_given_most_cells_are_refused(
    what: str, announce: Callable[[str, list[bool]], None]
) -> None:
    announce(f"{what}, 85% given", list(controls.predictors(what, range(1000, 1105), p=37, fraction=0.85)))


@pytest.mark.slow
def test_many_networks_of_composite_moduli_are_refused(announce: Callable[[str, list[bool]], None]) -> None:
    announce("untrained networks, modulo 24", list(controls.untrained(range(1000, 1055), p=24)))
    announce("memorising networks, modulo 24", list(controls.memorising(range(2000, 2030), p=24)))


@pytest.mark.slow
@pytest.mark.parametrize("what", [*controls.PREDICTORS])
def test_many_predictors_of_composite_moduli_are_refused(
    what: str, announce: Callable[[str, list[bool]], None]
) -> None:
    found = [x for p in (21, 24, 30) for x in controls.predictors(what, range(1000, 1035), p=p)]
    announce(f"{what}, composite moduli", found)
