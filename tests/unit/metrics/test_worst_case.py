"""Worst cases: one for each norm and eps, over nested balls, at the cost of all their attacks."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from advgen.core.catalog import TABLES
from advgen.core.schema import Image
from advgen.experiments.attacks import accuracies
from advgen.experiments.attacks.plots import plot_accuracy
from advgen.experiments.attacks.summary import summarise as robustness
from advgen.io.tables import arrow_table, concatenate
from advgen.metrics.worst_case import list_worst_cases

N = 10
# norm, eps, gradients an image, images that stay right
ATTACKS = {
    "fgsm": ("linf", 0.25, 1.0, range(9)),
    "pgd": ("linf", 0.25, 40.0, range(1)),
    "pgd-small": ("linf", 0.1, 20.0, range(1, 10)),
    "margin-small": ("linf", 0.1, 30.0, range(1, 9)),
    "pgd-l2": ("l2", 1.5, 10.0, range(5)),
    "deepfool": ("l2", None, 5.0, range(0)),
    "noise": ("none", 0.1, 0.0, range(2)),
    "turned": ("spatial", None, 9.0, range(3)),
}


def examples(*names: str) -> pd.DataFrame:
    blank = {
        name: 0 if str(type_) != "string" else "x"
        for name, type_ in TABLES["examples"].columns.items()
        if not isinstance(type_, Image)
    }
    parts = []
    for name in names or ATTACKS:
        norm, eps, calls, right = ATTACKS[name]
        one = {**blank, "attack": name, "norm": norm, "eps": eps, "gradient_calls": calls, "target": "none"}
        one |= {"kind": name.split("-")[0], "access": "none" if norm == "none" else "white-box"}
        predicted = [0 if index in right else 1 for index in range(N)]
        one["zero_gradient"] = one["unstable"] = False
        parts.append(pd.DataFrame({**one, "index": range(N), "predicted": predicted, "label": 0, "source": "net"}))
    return pd.concat(parts, ignore_index=True)


def test_there_is_one_for_each_ball_that_several_attacks_lie_in() -> None:
    assert [tuple(case) for case in list_worst_cases(examples())] == [
        ("linf", 0.1, ("margin-small", "pgd-small")),
        ("linf", 0.25, ("fgsm", "margin-small", "pgd", "pgd-small")),
    ]
    assert list_worst_cases(examples("fgsm", "pgd-l2", "noise", "turned", "deepfool")) == []
    assert [case.eps for case in list_worst_cases(examples("fgsm", "pgd-small"))] == [0.25]


def test_the_figures_name_norm_and_eps() -> None:
    facts = examples().assign(other_attacks=0)
    assert accuracies.list_worst_cases(facts, list(ATTACKS)) == {
        "worst case, L∞ ≤ 0.1": ["margin-small", "pgd-small"],
        "worst case, L∞ ≤ 0.25": ["fgsm", "margin-small", "pgd", "pgd-small"],
    }
    assert accuracies.list_worst_cases(facts, ["fgsm", "pgd-l2"]) == {}


def table(*names: str) -> pd.DataFrame:
    return summarised(examples(*names))


def summarised(facts: pd.DataFrame) -> pd.DataFrame:
    image = np.zeros((len(facts), 1, 1, 1), np.float32)
    columns = {name: facts[name].tolist() for name in facts.columns}
    made = arrow_table("examples", {**columns, "image": image, "adversarial": image})
    return pd.DataFrame(robustness({"examples": made})).set_index("attack")


def test_what_falls_in_a_smaller_ball_has_fallen_in_the_larger_one() -> None:
    found = table()
    assert found.loc["worst linf 0.1", "accuracy"] == 0.8
    # image 0 is right under PGD at .25 but not at .1
    assert found.loc["pgd", "accuracy"] == 0.1
    assert found.loc["worst linf 0.25", "accuracy"] == 0.0
    assert not any(name.startswith("worst l2") or "0.1)" in name for name in found.index)


def test_a_worst_case_costs_what_all_its_attacks_cost() -> None:
    found = table()
    assert found.loc["worst linf 0.1", "gradient_calls"] == 50
    assert found.loc["worst linf 0.25", "gradient_calls"] == 91
    assert found.loc["worst linf 0.1", "n"] == N
    assert found.loc["worst linf 0.1", "inside"] == "margin-small, pgd-small"
    assert found.loc["pgd", "inside"] == "pgd"


def transferred(**changes: object) -> pa.Table:
    """PGD on another net, from which image 5 falls in this one, too, while image 9 was no image of ours."""
    blank = {name: 0 if kind != "string" else "x" for name, kind in TABLES["transferred"].columns.items()}
    one = {**blank, "source": "other", "source_seed": 3, "target": "net", "attack": "pgd", "norm": "linf", "eps": 0.1}
    one |= {"amplified": False, "gradient_calls": 7.0, "forward_calls": 8.0, "index": [0, 5, 99], "label": 0}
    return arrow_table("transferred", {**one, "predicted": [0, 1, 1], **changes})


@pytest.mark.parametrize(
    ("norm", "size", "eps", "inside"),
    [
        ("linf", 0.05, None, True),
        ("linf", 0.1, None, True),
        ("linf", 0.11, None, False),
        ("linf", 0.0, None, False),
        ("l2", 0.05, 9.0, False),
        ("linf", 0.05, 9.0, False),
    ],
    ids=["inside", "at the border", "outside", "unchanged", "a budget in another norm", "a larger budget"],
)
def test_a_smallest_change_that_lies_in_the_ball_counts(
    norm: str, size: float, eps: float | None, inside: bool
) -> None:
    """DeepFool fools on all images; here image 7, which is right under all others, by a change of a given L∞ size."""
    facts = examples("pgd-small", "margin-small", "deepfool")
    own = facts["attack"] == "deepfool"
    facts = facts.astype({"linf": float}).assign(
        eps=facts["eps"].where(~own, eps), norm=facts["norm"].where(~own, norm)
    )
    facts.loc[own, "linf"] = np.where(facts.loc[own, "index"] == 7, np.float32(size), 0.3)
    found = summarised(facts).loc["worst linf 0.1"]
    assert found["inside"] == ("deepfool, " if inside else "") + "margin-small, pgd-small"
    assert (found["accuracy"], found["gradient_calls"]) == ((0.7, 55) if inside else (0.8, 50))
    assert found["n"] == N


def test_in_l1_and_where_but_one_attack_has_a_budget_smallest_changes_do_not_count() -> None:
    facts = examples("pgd-small", "margin-small", "deepfool").replace({"norm": "linf"}, "l1")
    assert summarised(facts).loc["worst l1 0.1", "inside"] == "margin-small, pgd-small"
    assert not any(name.startswith("worst") for name in summarised(examples("pgd-l2", "deepfool")).index)


def with_transfers(*tables: pa.Table) -> pd.DataFrame:
    facts = examples()
    image = np.zeros((len(facts), 1, 1, 1), np.float32)
    made = arrow_table("examples", {**facts.to_dict("list"), "image": image, "adversarial": image})
    return pd.DataFrame(robustness({"examples": made, "transferred": concatenate(tables)})).set_index("attack")


def test_what_falls_to_an_example_of_another_net_has_fallen() -> None:
    found = with_transfers(transferred())
    assert found.loc["worst linf 0.1", "inside"] == "margin-small, pgd from other seed 3, pgd-small"
    assert found.loc["worst linf 0.1", "accuracy"] == 0.7  # images 0 and 9 fall to ours, image 5 to the other's
    assert (found.loc["worst linf 0.1", "gradient_calls"], found.loc["worst linf 0.1", "n"]) == (57, N)
    assert "pgd from other seed 3" in found.loc["worst linf 0.25", "inside"]
    assert "pgd from other seed 3" not in found.index
    # the same examples in another study are no further attack
    again = with_transfers(transferred(), transferred(study="again"))
    pd.testing.assert_frame_equal(again, found)


@pytest.mark.parametrize(
    "changes",
    [
        {"amplified": True},
        {"tested_on": "another"},
        {"label": 1},
        {"source": "net", "source_seed": 0},
        {"norm": "none"},
    ],
    ids=["amplified", "another data set", "other labels", "its own", "noise"],
)
def test_what_does_not_belong_to_a_ball_is_left_out(changes: dict[str, object]) -> None:
    found = with_transfers(transferred(**changes))
    assert found.loc["worst linf 0.1", "inside"] == "margin-small, pgd-small"
    assert found.loc["worst linf 0.1", "accuracy"] == 0.8


def as_figures_have_them(facts: pd.DataFrame) -> pd.DataFrame:
    """Facts as figures have them, of a net that is right when clean and met nothing else."""
    right = facts["predicted"] == facts["label"]
    names = ("robust", "robust_unaimed", "robust_rounded", "robust_at_worst", "robust_rounded_at_worst")
    return facts.assign(clean=True, above_chance=True, other_attacks=0, **dict.fromkeys(names, right))


def test_curves_never_rise_with_eps() -> None:
    pytest.importorskip("matplotlib").use("Agg")
    from matplotlib.figure import Figure

    facts = as_figures_have_them(examples("pgd", "pgd-small"))
    axes = Figure().subplots()
    assert plot_accuracy(axes, facts, 0, 0.0) == 0.0
    heights = next(line.get_ydata() for line in axes.lines if len(line.get_ydata()) == 3)
    assert list(heights) == [100, 90, 0]


def test_noise_of_another_size_is_other_noise() -> None:
    pytest.importorskip("matplotlib").use("Agg")
    from matplotlib.figure import Figure

    large = examples("noise").assign(attack="more-noise", eps=0.3, predicted=0)
    facts = as_figures_have_them(pd.concat([examples("noise"), large], ignore_index=True))
    assert plot_accuracy(Figure().subplots(), facts, 0, 0.0) == 100
