"""Numbers that figures compute: reconstructions, spans, intervals over seeds and images, sliders."""

import math

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pytest
from matplotlib.text import Text
from scipy.stats import ttest_1samp
from tests.fake_tables import fake_specs, fake_table, fake_tables, with_columns

from advgen.experiments.autoencoders import reconstructions
from advgen.experiments.autoencoders.experiment import ReconstructionsFigure
from advgen.experiments.autoencoders.latent_distribution import select_epochs
from advgen.experiments.gans import gan_comparison, gan_samples
from advgen.experiments.gans.experiment import GanComparisonFigure, GanSamplesFigure
from advgen.experiments.gans.gan_samples import _limit
from advgen.experiments.gans.loss_curves import _compute_scales, find_spans
from advgen.experiments.inpaintings.inpainting_gallery import MISSING, tint_missing
from advgen.experiments.inpaintings.methods import masks_by_size, present_methods
from advgen.experiments.interpolations import third_class
from advgen.experiments.interpolations.experiment import ThirdClassFigure
from advgen.experiments.inversions import inversion_gallery
from advgen.experiments.inversions.experiment import InversionGalleryFigure
from advgen.experiments.truncations import truncation
from advgen.experiments.truncations.experiment import TruncationFigure
from advgen.figures.findings import Choice, Explorer, Strips, Tile, names_in
from advgen.figures.formatting import format_number, join_parts
from advgen.figures.statistics import mean_over_images, mean_over_seeds, share_over_images
from advgen.io.tables import read_images
from advgen.metrics.intervals import (
    bootstrap_mean,
    interval_over_runs_and_images,
    wilson,
)


def test_reconstruction_numbers_are_over_all_test_images_in_picture_sentence_and_table() -> None:
    """The numbers are not those of the few stored images."""
    tables = fake_tables()
    quality = tables["autoencoder_quality"].to_pandas()
    spec = ReconstructionsFigure(kind="reconstructions", autoencoders=("autoencoder-a", "autoencoder-b"))
    found = reconstructions.finding(tables, spec)
    expected = quality.groupby("autoencoder")[["mse", "mse_principal", "class_kept"]].mean()
    for row in found.rows:
        assert [row[name] for name in expected] == pytest.approx(list(expected.loc[row["autoencoder"]]))
        assert row["n"] == 200
    shown = {text.get_text() for text in reconstructions.draw(tables, spec).findobj(Text)}
    for error in expected["mse"]:
        assert any(f"MSE {format_number(error)}" in text for text in shown)


def test_classes_of_both_classifiers_are_shown_together() -> None:
    tables = fake_tables()
    spec = GanComparisonFigure(kind="gan_comparison", gans=("gan-a",), measures=("classes", "recall"))
    titles = {text.get_text() for text in gan_comparison.draw(tables, spec).findobj(Text)}
    assert {"classes covered", "classes, both classifiers", "recall"} <= titles
    (row,) = gan_comparison.finding(tables, spec).rows
    assert {"classes_both", "classes_both_low", "agreement"} <= set(row)


def test_source_models_of_transferred_examples_are_not_named() -> None:
    examples, shown = (fake_table(kind) for kind in ("examples", "transferred"))
    mine = examples.filter(pc.equal(examples["source"], "net-b"))
    found = names_in({"examples": mine, "transferred": shown.filter(pc.equal(shown["target"], "net-b"))})
    assert {"net-b", "pgd-2"} <= set(found) and "net-a" not in found


@pytest.mark.parametrize(
    ("flags", "expected"),
    [([], []), ([0, 0], []), ([1, 1, 0, 1], [(0, 1), (3, 3)]), ([0, 1, 1, 0], [(1, 2)]), ([1], [(0, 0)])],
)
def test_spans(flags: list[int], expected: list[tuple[int, int]]) -> None:
    assert find_spans(np.array(flags, dtype=bool)) == expected


def test_interval_over_seeds_is_students() -> None:
    values = np.array([3.0, 4.0, 8.0])
    mean, low, high = mean_over_seeds(values)
    expected = ttest_1samp(values, 0).confidence_interval(0.95)
    assert (mean, low, high) == pytest.approx((5.0, expected.low, expected.high))
    assert mean_over_seeds(np.array([2.0])) == (2.0, 2.0, 2.0)


def test_an_image_counts_once_for_all_seeds() -> None:
    one = pd.DataFrame({"seed": 0, "index": range(5), "mse": [1.0, 3.0, 5.0, 8.0, math.nan]})
    alone = mean_over_images(one, "mse")
    assert alone == pytest.approx(bootstrap_mean([1.0, 3.0, 5.0, 8.0], 0))
    assert mean_over_images(pd.concat([one, one.assign(seed=1)]), "mse") == pytest.approx(alone)
    other = one.assign(seed=1, mse=one["mse"] + 1)
    reach = (alone[0] - alone[1], alone[2] - alone[0])
    mean, low, high = interval_over_runs_and_images([4.25, 5.25], reach)
    both = pd.concat([one, other])
    assert low < 0 and mean_over_images(both, "mse") == pytest.approx((mean, 0, high))
    lower = mean_over_images(both.assign(mse=both["mse"] - 2), "mse")
    assert lower == pytest.approx((mean - 2, low - 2, high - 2))
    assert np.isnan(mean_over_images(one[4:], "mse")).all()


def test_a_share_has_an_interval_over_seeds_and_images() -> None:
    one = pd.DataFrame({"seed": 0, "pair": range(8)})
    held = pd.Series([True] * 6 + [False] * 2)
    assert share_over_images(one, held, "pair") == pytest.approx((0.75, *wilson(6, 8)))
    both, alike = pd.concat([one, one.assign(seed=1)], ignore_index=True), pd.concat([held, held], ignore_index=True)
    assert share_over_images(both, alike, "pair") == pytest.approx((0.75, *wilson(6, 8)))
    mean, low, high = share_over_images(both, alike & (both.index < 10), "pair")
    assert mean == 0.5 and (low, high) == (0.0, 1.0)


def test_bars_of_third_classes_are_within_the_axis() -> None:
    (_, spec), table = next(fake_specs(ThirdClassFigure)), fake_tables()["interpolation"]
    none = with_columns(table, **{name: table["label_from"].to_numpy() for name in ("judged", "judged_blend")})
    axes = third_class.draw({"interpolation": none}, spec).axes[0]
    ends = [x for line in axes.lines for x in np.ravel(line.get_xdata())]
    assert len(ends) > 4 and max(ends) <= axes.get_xlim()[1] and min(ends) >= 0


def test_selected_epochs_include_the_first_and_the_last() -> None:
    assert select_epochs([1, 2, 3]) == [1, 2, 3]
    shown = select_epochs(list(range(1, 51)))
    assert (shown[0], shown[-1], len(shown)) == (1, 50, 5)
    assert shown == sorted(set(shown))


def test_masks_are_ordered_by_what_is_lost_and_methods_by_what_they_know() -> None:
    facts = pd.DataFrame(
        {"mask": ["b", "a", "c"], "missing": [10, 30, 20], "method": ["contextual_prior", "full", "contextual"]}
    )
    assert masks_by_size(facts) == ["b", "c", "a"]
    assert present_methods(facts) == ["full", "contextual", "contextual_prior"]


def test_missing_pixels_are_tinted() -> None:
    table = fake_table("inpainting")
    known = read_images(table, "known").astype(bool)
    assert 0.1 < 1 - known.mean() < 0.3
    colours = np.moveaxis(tint_missing(table), 1, -1)
    assert np.allclose(colours[~known[:, 0]], MISSING)
    assert np.allclose(colours[known[:, 0]], read_images(table, "masked")[known][:, None])


def test_equal_images_are_stored_once() -> None:
    one, other = np.zeros((1, 2, 3), np.float32), np.ones((1, 2, 3), np.float32)
    strips: Strips = {
        (0,): [Tile(one, "a"), Tile(other, "b", True)],
        (1,): [Tile(one, "c")] * 2,
    }
    packed = Explorer("about", [Choice("which", ("first", "second"))], strips).to_json()
    assert packed["strips"] == {"0": [[0, "a", 0], [1, "b", 1]], "1": [[0, "c", 0], [0, "c", 0]]}
    assert (packed["across"], packed["down"], packed["size"]) == (2, 1, [2, 3])


def test_many_parts_are_shortened_to_the_first_and_last() -> None:
    assert join_parts(["a 1"]) == "a 1"
    assert join_parts(["a 1", "b [1, 2]", "c 3"]) == "a 1, b [1, 2] and c 3"
    assert join_parts(["a, 1", "b"]) == "a, 1; b"
    assert join_parts(list("abcde")) == "a, … and e (5 compared)"


def test_the_samples_slider_covers_the_training() -> None:
    tables = {"gan_snapshots": fake_table("gan_snapshots")}
    explorer = gan_samples.explorer(tables, GanSamplesFigure(kind="gan_samples", gans=("gan-a",)))
    stops = explorer.choices[1].stops
    assert stops == ["before training", "1/4 of the steps", "1/2 of the steps", "all steps"]
    assert [explorer.strips[0, stop][0].caption for stop in range(4)] == ["step 0", "step 1", "step 2", "step 4"]


def test_inversion_sliders_cover_steps_and_starts() -> None:
    tables = {kind: fake_table(kind) for kind in ("inversion", "inversion_steps")}
    spec = InversionGalleryFigure(kind="inversion_gallery", inversion="inversion", images=4)
    explorer = inversion_gallery.explorer(tables, spec)
    _, restarts, steps = explorer.choices
    assert list(restarts.stops) == ["start 1 of 3", "start 2 of 3", "start 3 of 3"]
    assert list(steps.stops) == ["target", "after 0 steps", "after 3 steps", "after 6 steps", "after 9 steps"]
    assert all(len(strip) == 4 for strip in explorer.strips.values())
    framed = {start: [tile.framed for tile in explorer.strips[0, start, 4]] for start in range(3)}
    assert framed == {0: [False] * 4, 1: [True] * 4, 2: [False] * 4}
    assert explorer.strips[0, 0, 0] == explorer.strips[0, 2, 0]  # targets


def test_losses_of_one_objective_share_an_axis_which_is_logarithmic_for_wide_ranges() -> None:
    calm = pd.DataFrame({"step": range(1, 101), "logit_real": 0.0, "logit_fake": 0.0})
    calm = calm.assign(loss_generator=math.log(2), loss_discriminator=2 * math.log(2))
    wild = calm.assign(loss_generator=[math.log(2)] + [12.0] * 99)
    flat = _compute_scales([calm, calm], 5)["non-saturating"]
    assert (flat.low, flat.high, flat.log) == pytest.approx((math.log(2), 2 * math.log(2), False))
    both = _compute_scales([calm, wild], 5)["non-saturating"]
    assert (both.high, both.log) == (12.0, True)


def test_axis_of_class_shares_is_the_same_for_all_gans() -> None:
    even, collapsed = np.full((1, 10), 0.1), np.eye(10)[:1]
    assert _limit(even) == pytest.approx(18)
    assert _limit(np.concatenate([even, collapsed])) == pytest.approx(35)


def test_truncation_is_compared_with_untruncated_samples() -> None:
    tables = {kind: fake_table(kind) for kind in ("truncation", "gan_quality")}
    found = truncation.finding(tables, TruncationFigure(kind="truncation", truncation="truncation"))
    quality = tables["gan_quality"].to_pandas()
    for gan, one in quality.groupby("gan"):
        [row] = [row for row in found.rows if row["generator"] == gan and row["threshold"] == math.inf]
        assert row["precision"] == pytest.approx(one["precision"].mean())
    assert "without truncation" in found.sentence
