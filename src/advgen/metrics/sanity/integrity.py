"""Checks that stored examples are what they claim to be: finite, inside their bounds, of the right images and model."""

from collections.abc import Collection, Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from torch import nn

from advgen.io.tables import read_images
from advgen.metrics.chance import MODEL_KEYS
from advgen.metrics.sanity.classifiers import AVERAGING_COLUMNS, averages_over_passes
from advgen.metrics.sanity.results import TOLERANCE, Check, group_rows, make_check
from advgen.models.predict import ROUNDING, predict

ATTACK_KEYS = [*MODEL_KEYS, "attack"]
SAMPLE = 50
"""Images of each attack, at least, whose predictions are repeated."""
MAX_SHARE = 0.01
"""Share of the images whose prediction may differ between attacks."""
NORMS = ("linf", "l2", "l1")
"""Norms of changes that are of any size, unlike counts of pixels."""


def check_pixels(examples: pa.Table, unclipped: Collection[str] = ()) -> Iterator[Check]:
    """Pixels are finite and in [0, 1], and each change is in the ball of its attack.

    Images of `unclipped` attacks may leave [0, 1].
    """
    images, clean = (read_images(examples, column).astype(np.float64) for column in ("adversarial", "image"))
    change = np.abs(images - clean).reshape(len(images), -1)
    rows = examples.select([*ATTACK_KEYS, "norm", "eps"]).to_pandas()
    rows["finite"] = np.isfinite(images).all((1, 2, 3)) & np.isfinite(clean).all((1, 2, 3))
    low, high = np.minimum(images, clean).min((1, 2, 3)), np.maximum(images, clean).max((1, 2, 3))
    rows["outside"] = np.maximum(-low, high - 1)
    rows["linf"], rows["l2"], rows["l1"] = change.max(1), np.sqrt((change**2).sum(1)), change.sum(1)
    for (source, seed, attack, norm, eps), group in rows.groupby([*ATTACK_KEYS, "norm", "eps"], dropna=False):
        subject, n = f"{attack} on {source} seed {seed}", len(group)
        infinite = int((~group["finite"]).sum())
        detail = f"{infinite} of {n} examples have pixels that are not finite"
        yield make_check("finite", subject, infinite == 0, detail, n, source=source)
        outside = group["outside"].to_numpy().max()  # NaN if any is, unlike the maximum of pandas
        detail = f"pixels leave [0, 1] by {max(outside, 0):.1e}"
        if attack not in unclipped:
            yield make_check("box", subject, bool(outside <= TOLERANCE), detail, n, source=source)
        if norm in NORMS and not np.isnan(eps):  # an attack that minimises the change has no ball
            excess = group[norm].to_numpy().max() - eps
            detail = f"largest {norm} change is {excess + eps:.6f}, eps is {eps:g}"
            tolerance = TOLERANCE * (max(1, eps) if norm == "l1" else 1)  # in L1, rounding adds up over the pixels
            yield make_check("ball", subject, bool(excess <= tolerance), detail, n, source=source)


def check_attacked_images(examples: pa.Table, test: pa.Table) -> Iterator[Check]:
    """The attacked images and labels are those of the test set at the stored index."""
    rows = examples.select([*ATTACK_KEYS, "index", "label"]).to_pandas()
    images, clean = read_images(test), read_images(examples, "image")
    position = pd.Index(test.column("index").to_numpy()).get_indexer(rows["index"])
    rows["same"] = (position >= 0) & (test.column("label").to_numpy()[position] == rows["label"])
    if images.shape[1:] == clean.shape[1:]:
        expected = images[position].astype(np.float32) / 255
        rows["same"] &= (expected == clean).all((1, 2, 3))
    else:
        rows["same"] = False
    for (source, seed, attack), group in rows.groupby(ATTACK_KEYS):
        different, n = int((~group["same"]).sum()), len(group)
        detail = f"{different} of {n} differ from the test image or its label"
        subject = f"{attack} on {source} seed {seed}"
        yield make_check("test images are attacked", subject, different == 0, detail, n, source=source)


def check_saved_predictions(examples: pa.Table, model: nn.Module) -> Iterator[Check]:
    """The model gives the saved predictions for a sample of the saved images, clean and attacked.

    A different label counts only if its logit clearly leads: a minimal change ends on a decision boundary, where
    rounding decides. A warning if the model is random and the attack averages over its passes.
    """
    rows = examples.select([*ATTACK_KEYS, *AVERAGING_COLUMNS]).to_pandas()
    for (source, seed, attack), group in rows.groupby(ATTACK_KEYS):
        sample = examples.take(pa.array(group.index[:: max(1, len(group) // SAMPLE)]))
        differs = np.zeros(len(sample), bool)
        for image, saved in (("image", "predicted_clean"), ("adversarial", "predicted")):
            _, logits_NK = predict(model, torch.from_numpy(read_images(sample, image).copy()))
            saved_N1 = torch.from_numpy(sample.column(saved).to_numpy().astype(np.int64))[:, None]
            lead_N = logits_NK.amax(1) - logits_NK.gather(1, saved_N1)[:, 0]
            differs |= (lead_N > ROUNDING * logits_NK.abs().amax(1)).numpy()
        detail = f"{differs.sum()} of {len(sample)} saved images get a different prediction than the saved one"
        subject = f"{attack} on {source} seed {seed}"
        check, holds = "saved images give the saved predictions", not differs.any()
        kind = "warning" if averages_over_passes(group) else "check"
        yield make_check(check, subject, holds, detail, len(sample), kind, source=source)


def check_finite_measurements(examples: pa.Table) -> Iterator[Check]:
    """No measurement of an example is missing or infinite: a model with NaN outputs is broken, not fooled."""
    columns = ["confidence", "linf", "l2", "rms", "gradient_calls", "forward_calls"]
    for (source, seed, attack), group in group_rows(examples, ATTACK_KEYS, columns):
        infinite, n = int((~np.isfinite(group[columns].to_numpy(float)).all(1)).sum()), len(group)
        detail = f"{infinite} of {n} rows have a measurement, such as the confidence, that is not finite"
        subject = f"{attack} on {source} seed {seed}"
        yield make_check("facts are numbers", subject, infinite == 0, detail, n, source=source)


def check_shared_images(examples: pa.Table) -> Iterator[Check]:
    """All attacks on a model use the same images and the same model, whose clean predictions agree.

    One prediction, or one in a hundred, may differ, since devices round differently. A warning if the model is random
    and all attacks average over its passes.
    """
    columns = ["attack", "index", "predicted_clean", *AVERAGING_COLUMNS]
    for (source, seed), rows in group_rows(examples, MODEL_KEYS, columns):
        subject = f"{source} seed {seed}"
        clean_NA = rows.pivot(index="index", columns="attack", values="predicted_clean")
        missing, n = int(clean_NA.isna().any(axis=1).sum()), len(clean_NA)
        detail = f"{missing} of {n} images are missing under one of {clean_NA.shape[1]} attacks"
        yield make_check("attacks meet the same images", subject, missing == 0, detail, n, source=source)
        shared = clean_NA.dropna()
        different = int((shared.nunique(axis=1) > 1).sum())
        detail = f"{different} of {len(shared)} clean images have a different prediction under another attack"
        holds = different <= max(1, MAX_SHARE * len(shared))
        kind = "warning" if averages_over_passes(rows) else "check"
        check = "attacks meet the same net"
        yield make_check(check, subject, holds, detail, len(shared), kind, source=source)
