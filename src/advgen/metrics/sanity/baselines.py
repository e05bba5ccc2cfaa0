"""Checks against trivial baselines: what is trained or optimised must do better than what is not.

All are warnings: a baseline that is not beaten is a finding, not an error of the run.
"""

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pyarrow as pa

from advgen.metrics.chance import CONFIDENCE, MIN_FOR_INTERVAL, MODEL_KEYS
from advgen.metrics.intervals import paired_difference
from advgen.metrics.lines import measure_linearity
from advgen.metrics.paths import largest_steps, midpoint_frames
from advgen.metrics.sanity.results import INTERVAL, Check, Difference, binary_difference, group_rows, statistical_check

FILLED = {"mse_missing": "", "mse_blended": ", with Poisson blending"}
"""Errors per missing pixel, before and after blending, and how the names of checks end."""
FILLS = {"harmonic": "harmonic fill", "poisson": "Poisson fill"}
"""Methods that need no generator."""
TRIVIAL = {"mse_principal": "as many principal components", "mse_nearest": "the nearest training image"}
"""Errors of baselines that need no network."""


def check_inpainting(inpainting: pa.Table) -> Iterator[Check]:
    """A generator fills in missing pixels better than methods without one."""
    keys = ["inpainting", "generator", "seed", "mask"]
    for (name, generator, seed, mask), group in group_rows(inpainting, keys, ["method", "index", *FILLED]):
        methods = {method: one.set_index("index") for method, one in group.groupby("method")}
        fills = {fill: methods.pop(fill) for fill in FILLS if fill in methods}
        for method, (fill, baseline), measure in product(methods, fills.items(), FILLED):
            subject = f"{method} behind {mask} with {generator} seed {seed} in {name}"
            ours, theirs = methods[method][measure].align(baseline[measure], join="inner")
            check = f"inpainting beats {FILLS[fill]}{FILLED[measure]}"
            yield _check_lower(check, subject, ours.to_numpy(float), theirs.to_numpy(float), "MSE")


def check_reconstructions(reconstructions: pa.Table) -> list[Check]:
    """An autoencoder reconstructs test images better than PCA of the same dimension and the nearest training image."""
    return [
        _check_lower(f"reconstruction beats {words}", f"{name} seed {seed}", one["mse"], one[baseline], "MSE")
        for (name, seed), one in group_rows(reconstructions, ["autoencoder", "seed"], ["mse", *TRIVIAL])
        for baseline, words in TRIVIAL.items()
    ]


def check_inversions(inversion: pa.Table) -> list[Check]:
    """GAN inversion reconstructs test images better than PCA of the same dimension and the nearest training image."""
    rows = inversion.select(["inversion", "generator", "seed", "best", "mse", *TRIVIAL]).to_pandas()
    return [
        _check_lower(f"inversion beats {words}", f"{name} seed {seed} in {study}", one["mse"], one[baseline], "MSE")
        for (study, name, seed), one in rows[rows["best"]].groupby(["inversion", "generator", "seed"])
        for baseline, words in TRIVIAL.items()
    ]


def check_encoder_starts(inversion: pa.Table) -> Iterator[Check]:
    """A latent search ends nearer to its image from an encoder's start than from a random one."""
    keys = ["inversion", "generator", "seed"]
    for (study, name, seed), one in group_rows(inversion, keys, ["first_start", "start", "index", "mse"]):
        errors = one[one["first_start"] == "encoder"].pivot(index="index", columns="start", values="mse")
        if 1 in errors:
            encoded, random = (errors[start].to_numpy(float) for start in (0, 1))
            check, subject = "an encoder's guess beats a random start", f"{name} seed {seed} in {study}"
            yield _check_lower(check, subject, encoded, random, "MSE")


def check_matched_moments(autoencoder_quality: pa.Table) -> Iterator[Check]:
    """With moment matching, samples from N(0, I) decode better than samples from a Gaussian fitted without it.

    The baseline is the best of the decoder itself and of plain autoencoders of the same latent size, each with the
    Gaussian fitted to its own latent vectors.
    """
    columns = ["autoencoder", "seed", "latent", "n", "moments", "frechet_distance_decoded", "frechet_distance_fitted"]
    rows = autoencoder_quality.select(columns).to_pandas()
    for matched in rows[rows["moments"] != "none"].itertuples():
        plain = rows[(rows["moments"] == "none") & (rows["latent"] == matched.latent)]
        fitted = {"itself": matched.frechet_distance_fitted}
        fitted |= {f"{one.autoencoder} seed {one.seed}": one.frechet_distance_fitted for one in plain.itertuples()}
        best = min(fitted, key=lambda name: fitted[name])
        ours = matched.frechet_distance_decoded
        detail = f"Fréchet distance {ours:.1f} from N(0, I), {fitted[best]:.1f} from a Gaussian fitted to {best}"
        subject, check = f"{matched.autoencoder} seed {matched.seed}", "matched moments beat a fitted Gaussian"
        holds, n = bool(ours < fitted[best]), int(matched.n)
        yield statistical_check(check, subject, holds, detail, n, "warning", estimate=ours - fitted[best])


def check_fid_of_real_images(gan_quality: pa.Table) -> Iterator[Check]:
    """Samples have a larger Fréchet distance to the test images than as many real training images.

    Otherwise the measure cannot distinguish samples from real images, or the samples are copies.
    """
    rows = gan_quality.select(["gan", "seed", "n", "frechet_distance", "frechet_distance_real"]).to_pandas()
    for one in rows.itertuples():
        ours, real = one.frechet_distance, one.frechet_distance_real
        detail = f"Fréchet distance {ours:.2f}, of as many real training images {real:.2f}"
        check, subject, n = "samples are told from real images", f"{one.gan} seed {one.seed}", int(one.n)
        yield statistical_check(check, subject, bool(ours > real), detail, n, "warning", estimate=ours - real)


def check_class_counts(gan_quality: pa.Table) -> Iterator[Check]:
    """A second classifier finds as many classes among the samples as the reference classifier."""
    rows = gan_quality.select(["gan", "seed", "n", "classes", "classes_both", "agreement"]).to_pandas()
    for one in rows.itertuples():
        detail = f"{one.classes} classes by the reference classifier, {one.classes_both} by both classifiers, "
        detail += f"which agree on {one.agreement:.1%}"
        check, holds = "two classifiers count the same classes", bool(one.classes == one.classes_both)
        subject, n = f"{one.gan} seed {one.seed}", int(one.n)
        yield statistical_check(check, subject, holds, detail, n, "warning", estimate=one.agreement)


def check_attack_controls(examples: pa.Table) -> Iterator[Check]:
    """An attack fools a model more often than its random control; a targeted attack reaches its target more often.

    Controls are noise of the same norms, a white or black frame, or a random pose (`advgen.attacks.controls`). Attacks
    whose control fools nothing are left out.
    """
    columns = [*MODEL_KEYS, "attack", "kind", "label", "target_label"]
    columns += ["predicted_clean", "predicted", "predicted_unaimed"]
    rows = examples.select(columns).to_pandas()
    rows = rows[(rows["predicted_clean"] == rows["label"]) & (rows["kind"] != "gaussian_noise")]
    for (source, seed, attack), one in rows.groupby([*MODEL_KEYS, "attack"]):
        targeted = bool(one["target_label"].notna().any())
        attacked, control = (
            (one[name] == one["target_label"] if targeted else one[name] != one["label"]).to_numpy()
            for name in ("predicted", "predicted_unaimed")
        )
        if control.any():
            check, subject = "an attack beats its control", f"{attack} on {source} seed {seed}"
            unit = "share of targets missed" if targeted else "share not fooled"
            result = _check_negative(check, subject, binary_difference(control, attacked), len(one), unit)
            yield {**result, "source": source}


def check_transfer_controls(transferred: pa.Table) -> Iterator[Check]:
    """Transferred examples fool a model more often than random noise of the same norms, if that fools it at all."""
    keys = ["study", "source", "source_seed", "attack", "target", "target_seed"]
    columns = [*keys, "norm", "label", "predicted_clean", "predicted", "predicted_unaimed"]
    rows = transferred.select(columns).to_pandas()
    white_box = (rows["source"] == rows["target"]) & (rows["source_seed"] == rows["target_seed"])
    rows = rows[(rows["predicted_clean"] == rows["label"]) & (rows["norm"] != "none") & ~white_box]
    for (study, source, seed, attack, target, target_seed), one in rows.groupby(keys):
        fooled, by_noise = ((one[name] != one["label"]).to_numpy() for name in ("predicted", "predicted_unaimed"))
        if by_noise.any():
            check = "transferred examples beat noise of the same norms"
            subject = f"{attack} from {source} seed {seed} on {target} seed {target_seed} in {study}"
            difference = binary_difference(by_noise, fooled)
            yield _check_negative(check, subject, difference, len(one), "share not fooled")


def check_gradient_direction(linearity: pa.Table) -> Iterator[Check]:
    """The label's logit changes more along the gradient's sign than along random signs."""
    keys, columns = ["linearity", "source", "seed"], ["index", "eps", "label", "logits", "logits_unaimed"]
    for (name, source, seed), points in group_rows(linearity, keys, columns):
        lines, subject = measure_linearity(points), f"{source} seed {seed} in {name}"
        gradient, random = (lines[column].to_numpy(float) for column in ("range", "range_unaimed"))
        check = "a gradient moves logits further than random signs"
        yield _check_lower(check, subject, random, gradient, "range")


def check_pgd_starts(convergence: pa.Table) -> Iterator[Check]:
    """PGD fools more images than the random points from which it starts."""
    keys = ["convergence", "source", "seed"]
    rows = convergence.select([*keys, "index", "right_clean", "fooled_step"]).to_pandas()
    rows = rows[rows["right_clean"]].assign(end=rows["fooled_step"] >= 0, start=rows["fooled_step"] == 0)
    for (name, source, seed), one in rows.groupby(keys):
        fooled, subject = one.groupby("index")[["end", "start"]].max(), f"{source} seed {seed} in {name}"
        difference = binary_difference(fooled["start"].to_numpy(), fooled["end"].to_numpy())
        check = "steps fool more than their random starts"
        yield _check_negative(check, subject, difference, len(fooled), "share not fooled")


def check_certificates(certification: pa.Table) -> Iterator[Check]:
    """At the smallest positive radius, certified accuracy is above the majority-class baseline.

    A constant classifier is certified at every radius. At larger radii certified accuracy only falls. Images of a
    single class are left out.
    """
    keys, columns = ["certification", "source", "seed"], ["label", "predicted", "radius", "radii"]
    for (name, source, seed), one in group_rows(certification, keys, columns):
        radii = [eps for eps in one["radii"].iloc[0] if eps > 0]
        if radii and one["label"].nunique() > 1:
            certified = ((one["predicted"] == one["label"]) & (one["radius"] >= min(radii))).to_numpy()
            constant = (one["label"] == one["label"].mode()[0]).to_numpy()
            check, subject = "certificates beat a constant answer", f"{source} seed {seed} in {name}"
            difference = binary_difference(constant, certified)
            yield _check_negative(check, subject, difference, len(one), "share not proven")


def check_paths(interpolation: pa.Table) -> Iterator[Check]:
    """Latent paths pass through third classes less often than pixel blends, and are smoother."""
    keys = ["interpolation", "model", "seed"]
    columns = ["pair", "frame", "label_from", "label_to", "judged", "change", "judged_blend", "change_blend"]
    for (name, model, seed), frames in group_rows(interpolation, keys, columns):
        subject, middle, steps = f"{model} seed {seed} in {name}", midpoint_frames(frames), largest_steps(frames)
        third = binary_difference(*(middle[column].to_numpy() for column in ("third", "third_blend")))
        yield _check_negative("a third class is rarer than in pixel blends", subject, third, len(middle), "rate")
        path, blend = (steps[column].to_numpy(float) for column in ("change", "change_blend"))
        yield _check_lower("paths are smoother than pixel blends", subject, path, blend, "the largest step")


def _check_lower(check: str, subject: str, ours_N: Any, baseline_N: Any, unit: str) -> Check:
    """A warning unless paired values are below those of the baseline, by the interval of their mean difference."""
    difference = paired_difference(np.asarray(ours_N), np.asarray(baseline_N), 0, CONFIDENCE)
    return _check_negative(check, subject, difference, len(ours_N), unit)


def _check_negative(check: str, subject: str, difference: Difference, n: int, unit: str) -> Check:
    """A warning unless the whole interval of a difference from the baseline is negative."""
    estimate, low, high = difference
    detail = f"difference in {unit} {estimate:+.4f} [{low:+.4f}, {high:+.4f}] from the baseline, n = {n}"
    if high >= 0 and n >= MIN_FOR_INTERVAL:
        detail += "; worse than the baseline" if low > 0 else f"; inconclusive: {INTERVAL} includes 0"
    numbers = {"estimate": estimate, "low": low, "high": high}
    return statistical_check(check, subject, high < 0, detail, n, "warning", **numbers)
