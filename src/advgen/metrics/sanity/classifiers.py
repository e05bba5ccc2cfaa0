"""Checks that a classifier can be evaluated at all: it beats chance, is deterministic, and has gradients."""

from collections.abc import Iterator

import pandas as pd
import pyarrow as pa

from advgen.metrics.chance import (
    MODEL_KEYS,
    is_better_than_chance,
    majority_class_accuracy,
    one_row_per_image,
)
from advgen.metrics.sanity.results import Check, group_rows, make_check, rate_numbers, statistical_check

CHANCE = "the net is better than chance"
"""The check whose failure makes an evaluation of one model unsound; a study may report it as a finding."""
GRADIENTS, DETERMINISTIC = "input gradients are not zero", "two passes give the same logits"
ZERO_SHARE, ZERO_COUNT = 0.01, 2
"""Share and number of images, whichever is more, whose gradients may be zero."""
UNSTABLE_SHARE = 0.01
"""Share of the images whose logits may differ between two passes."""
AVERAGING_COLUMNS = ["kind", "loss", "unstable"]
"""Columns that identify random models, and attacks that average over their passes."""
REMEDY = "average each attack over several passes of the model: set its key expectation"


def check_better_than_chance(examples: pa.Table) -> Iterator[Check]:
    """A classifier at chance level, or one that predicts a single class, cannot be fooled; its robustness is void."""
    for (source, seed), rows in group_rows(examples, MODEL_KEYS, ["index", "label", "predicted_clean"]):
        images = one_row_per_image(rows)
        correct, n = int((images["predicted_clean"] == images["label"]).sum()), len(images)
        detail = (
            f"accuracy {correct / n:.1%} on {n} clean images, majority-class baseline "
            f"{majority_class_accuracy(images['label']):.1%}; {images['predicted_clean'].nunique()} of "
            f"{images['label'].nunique()} classes predicted"
        )
        holds, numbers = is_better_than_chance(images), rate_numbers(correct, n)
        yield make_check(CHANCE, f"{source} seed {seed}", holds, detail, n, "warning", **numbers, source=source)


def check_clean_accuracy(examples: pa.Table, classifier_quality: pa.Table) -> Iterator[Check]:
    """The interval of the accuracy on the attacked images, when clean, contains the accuracy on all test images.

    It does not if training images were attacked, labels are shuffled, or another model was attacked.
    """
    quality = classifier_quality.select(["classifier", "seed", "error"]).to_pandas()
    error = quality.set_index(["classifier", "seed"])["error"]
    for (source, seed), rows in group_rows(examples, MODEL_KEYS, ["index", "label", "predicted_clean"]):
        if (source, seed) not in error.index:
            continue
        images = one_row_per_image(rows)
        correct, n = int((images["predicted_clean"] == images["label"]).sum()), len(images)
        test_accuracy, numbers = 1 - error[source, seed], rate_numbers(correct, n)
        holds = numbers["low"] <= test_accuracy <= numbers["high"]
        detail = f"accuracy {correct / n:.1%} on {n} attacked images when clean, {test_accuracy:.1%} on all test images"
        numbers = {name: value - test_accuracy for name, value in numbers.items()}
        check, subject = "clean accuracy is the test accuracy", f"{source} seed {seed}"
        yield statistical_check(check, subject, holds, detail, n, **numbers, source=source)


def check_deterministic_logits(examples: pa.Table) -> Iterator[Check]:
    """A second pass, in another batch, gives the same logits; otherwise attacks must average over several passes.

    A warning if all attacks do.
    """
    for (source, seed), group in group_rows(examples, MODEL_KEYS, ["index", *AVERAGING_COLUMNS]):
        images = one_row_per_image(group)
        unstable, n = int(images["unstable"].sum()), len(images)
        detail = f"{unstable} of {n} clean images get different logits in another batch"
        holds, kind = unstable <= UNSTABLE_SHARE * n, "warning" if averages_over_passes(group) else "check"
        detail = detail if holds else f"{detail}; {REMEDY}"
        subject, numbers = f"{source} seed {seed}", rate_numbers(unstable, n)
        yield make_check(DETERMINISTIC, subject, holds, detail, n, kind, **numbers, source=source)


def averages_over_passes(examples: pd.DataFrame) -> bool:
    """Whether a model is random and all attacks on it average over several passes; noise optimises nothing."""
    losses = examples.loc[examples["kind"] != "gaussian_noise", "loss"].unique()
    expected = len(losses) > 0 and all(loss.startswith("expected ") for loss in losses)
    return bool(examples["unstable"].mean() > UNSTABLE_SHARE and expected)


def check_gradients(examples: pa.Table) -> Iterator[Check]:
    """On nearly all images, some gradient attack of each budget has a non-zero gradient at the clean image.

    Each attack counts with its own loss: a cross-entropy may saturate where a margin does not. Fails for any number of
    images.
    """
    columns = ["norm", "eps", "index", "zero_gradient", "gradient_calls"]
    for (source, seed), group in group_rows(examples, MODEL_KEYS, columns):
        used = group[group["gradient_calls"] > 0]
        budgets = (used if len(used) else group).groupby(["norm", "eps", "index"], dropna=False)["zero_gradient"]
        zero_N = budgets.min().groupby("index").max()
        zeros, n = int(zero_N.sum()), len(zero_N)
        detail = f"{zeros} of {n} images have a zero gradient under all gradient attacks of a budget"
        holds = zeros < n and zeros <= max(ZERO_COUNT, ZERO_SHARE * n)
        subject, numbers = f"{source} seed {seed}", rate_numbers(zeros, n)
        yield make_check(GRADIENTS, subject, holds, detail, n, **numbers, source=source)
