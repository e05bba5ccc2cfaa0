"""What a step asks of a GPU: the host waits at most once in any, and not at all in most."""

import pytest
from tests.gpu.costs import COUNTED, ITERATIONS, PAGE, Cost, with_table

from advgen import registry
from advgen.attacks.common import CHECK_INTERVAL
from advgen.training.loop import FETCH_INTERVAL

ONCE_A_LOOK = 1 / CHECK_INTERVAL
EXCEPTIONS = {
    "iteration: jsma": 1 + ONCE_A_LOOK,  # how many pixels are paired decides how much memory the pairs take
    # draws come from the CPU, which must know for which images
    "iteration: one_pixel, evolution": 2 * ONCE_A_LOOK,
    "iteration: hop_skip_jump, linf": 2 * ONCE_A_LOOK,
    "iteration: hop_skip_jump, l2": 2 * ONCE_A_LOOK,
}


@pytest.fixture(scope="module")
def costs() -> dict[str, Cost]:
    return {name: count() for name, count in COUNTED.items()}


def test_every_attack_is_counted() -> None:
    assert set(ITERATIONS) == set(registry.kinds("attacks"))
    assert {kind for kind in registry.kinds("defences") if f"training step: classifier, {kind}" not in COUNTED} == set()


def test_the_host_waits_at_most_once_in_any_step_of_training(costs: dict[str, Cost]) -> None:
    of_training = {name: cost for name, cost in costs.items() if name.startswith("training step")}
    assert {name: cost.where for name, cost in of_training.items() if cost.most_syncs > 1} == {}
    # the numbers of FETCH_INTERVAL steps are fetched together
    assert {name: cost.where for name, cost in of_training.items() if cost.mean_syncs > 1 / FETCH_INTERVAL} == {}


def test_no_iteration_of_an_attack_or_search_waits_but_for_a_look(costs: dict[str, Cost]) -> None:
    iterated = {name: cost for name, cost in costs.items() if name.startswith("iteration")}
    assert {
        name: cost.where for name, cost in iterated.items() if cost.mean_syncs > EXCEPTIONS.get(name, ONCE_A_LOOK)
    } == {}


def test_the_page_holds_what_is_counted(costs: dict[str, Cost]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_table(page, costs), "run `python -m tests.gpu.costs`"
