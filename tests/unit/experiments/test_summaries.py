"""Summaries of tables of a few rows, worked out by hand."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from advgen.core.catalog import TABLES
from advgen.experiments.attacks import summary as robustness
from advgen.experiments.inpaintings import summary as inpaintings
from advgen.experiments.interpolations import summary as interpolations
from advgen.experiments.inversions import summary as inversions
from advgen.experiments.linearities import summary as linearity
from advgen.metrics.intervals import bootstrap_mean, wilson


def columns(rows):
    """What stands for a table here."""
    frame = pd.DataFrame(rows)
    return SimpleNamespace(to_pandas=lambda: frame, column_names=list(frame.columns))


def test_inversions_take_the_best_of_the_first_starts():
    """Two images, two starts: the second start is better for the first image alone."""
    base = {"inversion": "i", "generator": "g", "seed": 0, "optimizer": "adam", "lr": 0.1, "first_start": "random"}
    rows = []
    # index, start, mse, judged, label, ink found (true ink is 0.5)
    for index, start, mse, judged, label, ink in [(0, 0, 0.4, 1, 2, 0.1), (0, 1, 0.1, 2, 2, 0.7),
                                                  (1, 0, 0.2, 3, 3, 0.5), (1, 1, 0.3, 0, 3, 0.9)]:  # fmt: skip
        sizes = {
            "intensity": 0.5,
            "intensity_found": ink,
            "width": 4,
            "width_found": 4 - start,
            "height": 6,
            "height_found": 9,
        }
        trivial = {"mse_principal": 0.1 + 0.2 * index, "mse_nearest": 0.5}
        history = {"history_step": [0, 5, 20], **sizes, **trivial}
        seen = {"judged": judged, "judged_real": 2, "label": label}
        rows.append({**base, "index": index, "start": start, "mse": mse, **seen, **history})
    found = pd.DataFrame(inversions.summarise({"inversion": columns(rows)})).set_index("starts")
    assert list(found.index) == [1, 2]
    assert list(found["mse"]) == pytest.approx([0.3, 0.15])
    assert list(found["class_kept"]) == [0.5, 1]
    assert list(found["class_kept_real"]) == [0.5, 0.5]  # the judge reads the second image wrongly
    assert list(found["intensity_error"]) == pytest.approx([0.2, 0.1])
    assert list(found["width_error"]) == [0, 0.5]
    assert list(found["height_error"]) == [3, 3]
    assert list(found["mse_principal"]) == pytest.approx([0.2, 0.2])
    assert list(found["mse_nearest"]) == [0.5, 0.5]
    assert list(found["steps"]) == [20, 20]
    assert list(found["n"]) == [2, 2]
    assert tuple(found.loc[1, ["class_kept_low", "class_kept_high"]]) == wilson(1, 2)
    assert tuple(found.loc[1, ["mse", "mse_low", "mse_high"]]) == bootstrap_mean([0.4, 0.2], 0)


def test_interpolations_count_ends_thirds_and_the_largest_step():
    """Three strips from 7 to 1: one whole, one with an end lost, one with a third class in the middle."""
    rows = []
    for pair, judged, change in [(0, (7, 7, 1), (0.5, 0.5)), (1, (7, 1, 4), (0.9, 0.1)), (2, (7, 2, 1), (0.3, 0.7))]:
        for frame in range(3):
            one = {"interpolation": "walk", "model": "m", "seed": 0, "pair": pair, "frame": frame}
            step = [np.nan, *change][frame]
            one |= {"judged_blend": (7, 4, 1)[frame], "change_blend": [np.nan, 0.2 * pair, 1][frame]}
            rows.append({**one, "label_from": 7, "label_to": 1, "judged": judged[frame], "change": step})
    found = pd.DataFrame(interpolations.summarise({"interpolation": columns(rows)})).iloc[0]
    assert found["n"] == 3
    assert found["ends_kept"] == pytest.approx(2 / 3)
    assert found["third_class"] == pytest.approx(1 / 3)
    assert (found["third_class_low"], found["third_class_high"]) == wilson(1, 3)
    assert (found["third_class_blend"], found["roughness_blend"]) == (1, 1)
    assert found["roughness"] == pytest.approx((0.5 + 0.9 + 0.7) / 3)
    assert (found["roughness_low"], found["roughness_high"]) == bootstrap_mean([0.5, 0.9, 0.7], 0)[1:]


def test_inpaintings_average_each_measure():
    base = {"inpainting": "i", "generator": "g", "seed": 0, "mask": "square", "method": "full"}
    values = {name: [0.1 * place, 0.1 * place + 0.2] for place, name in enumerate(inpaintings.MEASURES)}
    rows = [{**base, **{name: both[n] for name, both in values.items()}} for n in range(2)]
    found = pd.DataFrame(inpaintings.summarise({"inpainting": columns(rows)})).set_index("measure")
    assert list(found.index) == [f"mse_{part}" for part in ("whole", "missing", "blended", "composite")] + [
        "ssim_whole",
        "ssim_composite",
    ]
    assert list(found["mean"]) == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert list(found["n"]) == [2] * 6
    assert tuple(found.loc["mse_missing", ["mean", "low", "high"]]) == bootstrap_mean(values["mse_missing"], 0)


def attacked(name, eps, predicted, confidence, **more):
    """Four images with the labels 0; the last is wrong clean."""
    facts = dict.fromkeys(TABLES["robustness"].columns, 0) | dict.fromkeys(
        ("source", "dataset", "tested_on", "defence"), "x"
    )
    for measured in (*TABLES["robustness"].measured, "n", "accuracy_low", "accuracy_high", "inside"):
        facts.pop(measured, None)
    facts |= {"attack": name, "norm": "linf", "eps": eps}
    return [
        {
            **facts,
            "zero_gradient": n == 0,
            "gradient_calls": 10.0,
            "forward_calls": 20.0 + eps,
            "index": n,
            "label": 0,
            "predicted_clean": int(n == 3),
            "predicted": predicted[n],
            "predicted_rounded": predicted[n] if n else 0,
            "predicted_unaimed": predicted[n] if n > 1 else 0,
            "target_label": None,
            "confidence": confidence[n],
            "l0": n + 1,
            "l2": 0.5 * n,
            "linf": 0.1 * n,
            "rms": 0.1 * (n + 1),
            **more,
        }
        for n in range(4)
    ]


def test_robustness_by_hand():
    """`a` fools images 1 and 2; `b`, in a larger ball, image 0. Image 3 is right under both, but was wrong before."""
    rows = attacked("a", 0.1, [0, 1, 1, 0], [0.9, 0.6, 0.8, 0.9]) + attacked("b", 0.2, [1, 0, 0, 0], [0.7] * 4)
    found = pd.DataFrame(robustness.summarise({"examples": columns(rows)})).set_index("attack")
    a, b, worst = found.loc["a"], found.loc["b"], found.loc["worst linf 0.2"]
    assert list(found.index) == ["a", "b", "worst linf 0.2"]
    assert a["clean_accuracy"] == b["clean_accuracy"] == worst["clean_accuracy"] == 0.75
    assert (a["accuracy"], b["accuracy"], worst["accuracy"]) == (0.25, 0.5, 0)
    assert (a["accuracy_low"], a["accuracy_high"]) == wilson(1, 4)
    assert (worst["accuracy_low"], worst["accuracy_high"]) == wilson(0, 4)
    assert (a["success"], b["success"], worst["success"]) == pytest.approx((2 / 3, 1 / 3, 1))
    assert (a["success_rounded"], b["success_rounded"], worst["success_rounded"]) == pytest.approx((2 / 3, 0, 2 / 3))
    assert a["success_unaimed"] == pytest.approx(1 / 3)
    assert np.isnan(worst["success_unaimed"])
    assert a["confidence_on_mistakes"] == pytest.approx(0.7)
    assert b["confidence_on_mistakes"] == pytest.approx(0.7)
    assert (a["median_l0"], a["median_l2"], a["median_linf"]) == pytest.approx((2.5, 0.75, 0.15))
    assert (b["median_l0"], worst["median_l0"]) == (1, 2)
    assert (a["mean_rms"], b["mean_rms"]) == pytest.approx((0.25, 0.1))  # of the fooled, as all sizes are
    assert a["zero_gradients"] == 0.25
    assert a["gradient_calls"] == 10  # the mean of its images
    assert (worst["gradient_calls"], worst["forward_calls"]) == pytest.approx((20, 40.3))
    assert (a["n"], worst["n"]) == (4, 4)
    assert (worst["inside"], worst["kind"], worst["target"]) == ("a, b", "worst_case", "none")


def test_success_of_an_attack_with_a_target_is_any_wrong_class_and_success_target_that_one():
    unaimed = {"predicted_unaimed": 2}
    rows = attacked("aimed", 0.1, [2, 1, 0, 2], [0.9] * 4, target="random", target_label=2)
    rows[1] |= unaimed  # the control puts it into the class aimed at, the attack into another; the last was wrong clean
    rows[3] |= unaimed
    rows += attacked("free", 0.1, [2, 1, 0, 2], [0.9] * 4, **unaimed)
    found = pd.DataFrame(robustness.summarise({"examples": columns(rows)})).set_index("attack")
    assert (found.loc["aimed", "success"], found.loc["free", "success"]) == pytest.approx((2 / 3, 2 / 3))
    assert found.loc["aimed", "success_target"] == pytest.approx(1 / 3)
    assert found.loc["aimed", "success_target_unaimed"] == pytest.approx(1 / 3)
    assert found.loc["free", "success_unaimed"] == 1
    for name in ("success_target", "success_target_unaimed"):
        assert np.isnan(found.loc["free", name])
        assert np.isnan(found.loc["worst linf 0.1", name])


def test_robustness_where_nothing_was_right_or_nothing_is_wrong():
    none_right = attacked("a", 0.1, [1] * 4, [0.5] * 4, predicted_clean=1)
    found = pd.DataFrame(robustness.summarise({"examples": columns(none_right)})).iloc[0]
    assert found["success"] is None
    assert found["median_l2"] is None
    assert found["confidence_on_mistakes"] == 0.5
    none_wrong = attacked("a", 0.1, [0] * 4, [0.5] * 4, predicted_clean=0)
    found = pd.DataFrame(robustness.summarise({"examples": columns(none_wrong)})).iloc[0]
    assert (found["success"], found["accuracy"], found["clean_accuracy"]) == (0, 1, 1)
    assert found["confidence_on_mistakes"] is None
    assert found["median_l0"] is None


def test_linearity_is_the_share_that_a_line_explains():
    """The first image's logit is a line, the second's a parabola about its middle, the third's never changes."""
    eps = [-1.0, 0.0, 1.0, 3.0]
    lines = [[2 * e + 1 for e in eps], [0.0, 1.0, 0.0, 5.0], [4.0] * 4]
    rows = [
        {"linearity": "l", "source": "s", "seed": 0, "index": n, "eps": e, "label": 1, "logits": [9.0 * e**3, logit]}
        | {"logits_unaimed": [9.0, 0.25 * e]}
        for n, line in enumerate(lines)
        for e, logit in zip(eps, line, strict=True)
    ]
    with np.errstate(invalid="ignore"):
        found = pd.DataFrame(linearity.summarise({"linearity": columns(rows)})).iloc[0]
    # the second: Σxy = 15, Σx = 3, Σy = 6, Σx² = 11, Σy² = 26 over four points
    second = (15 - 3 * 6 / 4) ** 2 / ((11 - 3**2 / 4) * (26 - 6**2 / 4))
    assert found["n"] == 3
    assert found["r_squared"] == pytest.approx((1 + second + 0) / 3)
    expected = bootstrap_mean([1, second, 0], 0)
    assert (found["r_squared_low"], found["r_squared_high"]) == pytest.approx(expected[1:])
    assert found["range"] == pytest.approx((8 + 5 + 0) / 3)
    assert (found["r_squared_unaimed"], found["range_unaimed"]) == pytest.approx((1, 1))


def test_every_interval_is_drawn_with_the_seed_0(monkeypatch):
    """So that two summaries of one table are the same, and those of two tables comparable."""
    for module in (inversions, interpolations, inpaintings, linearity):
        monkeypatch.setattr(module, "bootstrap_mean", lambda values, seed: (0.5, seed, seed))
    strip = {"interpolation": "w", "model": "m", "seed": 0, "pair": 0, "label_from": 7, "label_to": 1, "judged": 7}
    strip |= {"judged_blend": 7, "change_blend": 0.5}
    strips = [{**strip, "frame": frame, "change": 0.5} for frame in range(3)]
    found = interpolations.summarise({"interpolation": columns(strips)})
    assert found["roughness_low"] == [0]
    image = {"inpainting": "i", "generator": "g", "seed": 0, "mask": "m", "method": "full"}
    found = inpaintings.summarise({"inpainting": columns([{**image, **dict.fromkeys(inpaintings.MEASURES, 0.1)}])})
    assert found["low"] == [0] * len(inpaintings.MEASURES)
    point = {"linearity": "l", "source": "s", "seed": 0, "index": 0, "label": 0}
    line = [{**point, "eps": eps, "logits": [eps], "logits_unaimed": [0.0]} for eps in (0.0, 1.0)]
    assert linearity.summarise({"linearity": columns(line)})["r_squared_low"] == [0]
    start = {"inversion": "i", "generator": "g", "seed": 0, "optimizer": "adam", "lr": 0.1, "first_start": "r"}
    start |= dict.fromkeys(("index", "start", "judged", "judged_real", "label"), 0) | {"history_step": [0]}
    start |= dict.fromkeys(("mse", "mse_principal", "mse_nearest"), 0.1)
    start |= {name: 1 for size in ("intensity", "width", "height") for name in (size, f"{size}_found")}
    assert inversions.summarise({"inversion": columns([start])})["mse_low"] == [0]
