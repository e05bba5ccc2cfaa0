"""Sanity checks against trivial baselines: what is trained or optimised must do better than what is not.

All are warnings: a baseline that is not beaten is a finding, and no mistake of the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
import pyarrow as pa

from advgen.metrics.chance import CONFIDENCE, MIN_FOR_INTERVAL, MODEL_KEYS
from advgen.metrics.intervals import paired_difference
from advgen.metrics.lines import measure_linearity
from advgen.metrics.paths import largest_steps, midpoint_frames
from advgen.metrics.sanity import INTERVAL, Check, Test, binary_difference, statistical, tested


def check_baselines(tables: Mapping[str, pa.Table]) -> list[Check]:
    """What the tables without images say of trivial baselines, as rows of the table of checks."""
    return tested(BASELINES, tables)


FILLED = {"mse_missing": "", "mse_blended": ", with Poisson blending"}
"""Errors per missing pixel, as a generator restores them and blended in, and how checks call them."""
FILLS = {"harmonic": "harmonic fill", "poisson": "Poisson fill"}
"""What needs no generator: a membrane through the known pixels, and the gradients of a training image."""


def generators_beat_the_fill(inpainting: pa.Table) -> list[Check]:
    """A generator guesses missing pixels better than what needs none, or it is of no use here."""
    columns = ["inpainting", "generator", "seed", "mask", "method", "index", *FILLED]
    rows = inpainting.select(columns).to_pandas()
    checks = []
    for keys, group in rows.groupby(["inpainting", "generator", "seed", "mask"]):
        methods = {name: one.set_index("index") for name, one in group.groupby("method")}
        filled = {name: methods.pop(name) for name in FILLS if name in methods}
        for method, (fill, baseline), measure in product(methods, filled.items(), FILLED):
            subject = f"{method} behind {keys[3]} with {keys[1]} seed {keys[2]} in {keys[0]}"
            ours, theirs = methods[method][measure].align(baseline[measure], join="inner")
            check = f"inpainting beats {FILLS[fill]}{FILLED[measure]}"
            checks.append(_beaten(check, subject, ours.to_numpy(float), theirs.to_numpy(float), "MSE"))
    return checks


TRIVIAL = {"mse_principal": "as many principal components", "mse_nearest": "the nearest training image"}
"""Errors of what needs no network, and what they are of."""


def reconstructions_beat_trivial_ones(reconstructions: pa.Table) -> list[Check]:
    """An autoencoder is nearer to test images than principal components and the nearest training image are."""
    rows = reconstructions.select(["autoencoder", "seed", "mse", *TRIVIAL]).to_pandas()
    return [
        _beaten(f"reconstruction beats {words}", f"{name} seed {seed}", one["mse"], one[baseline], "MSE")
        for (name, seed), one in rows.groupby(["autoencoder", "seed"])
        for baseline, words in TRIVIAL.items()
    ]


def inversions_beat_trivial_ones(inversion: pa.Table) -> list[Check]:
    """What a generator can be made to show is nearer to test images than what needs no generator is."""
    rows = inversion.select(["inversion", "generator", "seed", "best", "mse", *TRIVIAL]).to_pandas()
    checks = []
    for (inversion_, name, seed), one in rows[rows["best"]].groupby(["inversion", "generator", "seed"]):
        for baseline, words in TRIVIAL.items():
            subject = f"{name} seed {seed} in {inversion_}"
            checks.append(_beaten(f"inversion beats {words}", subject, one["mse"], one[baseline], "MSE"))
    return checks


def guesses_beat_random_starts(inversion: pa.Table) -> list[Check]:
    """A search that begins at an encoder's guess ends nearer to its image than the same search from a random start."""
    columns = ["inversion", "generator", "seed", "first_start", "start", "index", "mse"]
    rows = inversion.select(columns).to_pandas()
    rows = rows[rows["first_start"] == "encoder"]
    checks = []
    for (inversion_, name, seed), one in rows.groupby(["inversion", "generator", "seed"]):
        starts = one.pivot(index="index", columns="start", values="mse")
        if 1 in starts:
            subject = f"{name} seed {seed} in {inversion_}"
            guess, random = (starts[start].to_numpy(float) for start in (0, 1))
            checks.append(_beaten("an encoder's guess beats a random start", subject, guess, random, "MSE"))
    return checks


def matched_moments_beat_a_fitted_gaussian(quality: pa.Table) -> list[Check]:
    """Draws from N(0, I) decode better where training has matched moments than draws fitted to what has not.

    The baseline is the best of its own decoder and of plain autoencoders of the same size of z, each with the Gaussian
    that is fitted to its own vectors.
    """
    rows = quality.select(
        ["autoencoder", "seed", "latent", "n", "moments", "frechet_distance_decoded", "frechet_distance_fitted"]
    ).to_pandas()
    checks = []
    for matched in rows[rows["moments"] != "none"].itertuples():
        plain = rows[(rows["moments"] == "none") & (rows["latent"] == matched.latent)]
        fitted = {"itself": matched.frechet_distance_fitted}
        fitted |= {f"{one.autoencoder} seed {one.seed}": one.frechet_distance_fitted for one in plain.itertuples()}
        best = min(fitted, key=lambda name: fitted[name])
        ours = matched.frechet_distance_decoded
        detail = f"Fréchet distance {ours:.1f} from N(0, I), {fitted[best]:.1f} from a Gaussian fitted to {best}"
        subject, check = f"{matched.autoencoder} seed {matched.seed}", "matched moments beat a fitted Gaussian"
        holds, n = bool(ours < fitted[best]), int(matched.n)
        checks.append(statistical(check, subject, holds, detail, n, "warning", estimate=ours - fitted[best]))
    return checks


def distances_lie_above_real_images(quality: pa.Table) -> list[Check]:
    """Samples are further from the test images than as many real training images are, or the distance tells nothing.

    Where they are not, either the measure cannot tell them from real ones or they are copies.
    """
    rows = quality.select(["gan", "seed", "n", "frechet_distance", "frechet_distance_real"]).to_pandas()
    checks = []
    for one in rows.itertuples():
        ours, real = one.frechet_distance, one.frechet_distance_real
        detail = f"Fréchet distance {ours:.2f}, of as many real training images {real:.2f}"
        check, subject, n = "samples are told from real images", f"{one.gan} seed {one.seed}", int(one.n)
        checks.append(statistical(check, subject, bool(ours > real), detail, n, "warning", estimate=ours - real))
    return checks


def classes_are_counted_alike(quality: pa.Table) -> list[Check]:
    """A second reference classifier finds the classes that the judge counts, or their number is the judge's own."""
    rows = quality.select(["gan", "seed", "n", "classes", "classes_both", "agreement"]).to_pandas()
    checks = []
    for one in rows.itertuples():
        detail = f"{one.classes} classes by the judge, {one.classes_both} by both; they agree on {one.agreement:.1%}"
        check, holds = "two classifiers count the same classes", bool(one.classes == one.classes_both)
        subject, n = f"{one.gan} seed {one.seed}", int(one.n)
        checks.append(statistical(check, subject, holds, detail, n, "warning", estimate=one.agreement))
    return checks


def attacks_beat_their_controls(examples: pa.Table) -> list[Check]:
    """An attack fools a net more often than its controls do, if they do at all; with a target, what reaches it counts.

    They are noise of its norms, a white or a black frame, or a pose at random (`advgen.attacks.controls`).
    """
    columns = [
        *MODEL_KEYS,
        "attack",
        "kind",
        "label",
        "target_label",
        "predicted_clean",
        "predicted",
        "predicted_unaimed",
    ]
    rows = examples.select(columns).to_pandas()
    rows = rows[(rows["predicted_clean"] == rows["label"]) & (rows["kind"] != "gaussian_noise")]
    checks = []
    for (source, seed, attack), one in rows.groupby([*MODEL_KEYS, "attack"]):
        targeted = bool(one["target_label"].notna().any())
        aimed, unaimed = (
            (one[name] == one["target_label"] if targeted else one[name] != one["label"]).to_numpy()
            for name in ("predicted", "predicted_unaimed")
        )
        if unaimed.any():
            check, subject = "an attack beats its control", f"{attack} on {source} seed {seed}"
            unit = "share of targets missed" if targeted else "share not fooled"
            found = _below(check, subject, binary_difference(unaimed, aimed), len(one), unit)
            checks.append({**found, "source": source})
    return checks


def transferred_examples_beat_noise(transferred: pa.Table) -> list[Check]:
    """Examples of one net fool another more often than noise of the same norms does, if noise does at all."""
    keys = ["study", "source", "source_seed", "attack", "target", "target_seed"]
    columns = [*keys, "norm", "label", "predicted_clean", "predicted", "predicted_unaimed"]
    rows = transferred.select(columns).to_pandas()
    own = (rows["source"] == rows["target"]) & (rows["source_seed"] == rows["target_seed"])
    rows = rows[(rows["predicted_clean"] == rows["label"]) & (rows["norm"] != "none") & ~own]
    checks = []
    for (study, source, seed, attack, target, target_seed), one in rows.groupby(keys):
        aimed, unaimed = ((one[name] != one["label"]).to_numpy() for name in ("predicted", "predicted_unaimed"))
        if unaimed.any():
            check = "transferred examples beat noise of the same norms"
            subject = f"{attack} from {source} seed {seed} on {target} seed {target_seed} in {study}"
            checks.append(_below(check, subject, binary_difference(unaimed, aimed), len(one), "share not fooled"))
    return checks


def lines_leave_random_ones_behind(linearity: pa.Table) -> list[Check]:
    """Along the gradient's sign the label's logit goes further than along random signs, or it says nothing."""
    keys = ["linearity", "source", "seed"]
    columns = [*keys, "index", "eps", "label", "logits", "logits_unaimed"]
    checks = []
    for (name, source, seed), points in linearity.select(columns).to_pandas().groupby(keys):
        lines, subject = measure_linearity(points), f"{source} seed {seed} in {name}"
        aimed, unaimed = (lines[column].to_numpy(float) for column in ("range", "range_unaimed"))
        checks.append(_beaten("a gradient moves logits further than random signs", subject, unaimed, aimed, "range"))
    return checks


def steps_beat_their_starts(convergence: pa.Table) -> list[Check]:
    """PGD fools more images than the random points do from which it starts."""
    keys = ["convergence", "source", "seed"]
    columns = [*keys, "index", "right_clean", "fooled_step"]
    rows = convergence.select(columns).to_pandas()
    rows = rows[rows["right_clean"]].assign(aimed=rows["fooled_step"] >= 0, unaimed=rows["fooled_step"] == 0)
    checks = []
    for (name, source, seed), one in rows.groupby(keys):
        fooled, subject = one.groupby("index")[["aimed", "unaimed"]].max(), f"{source} seed {seed} in {name}"
        difference = binary_difference(fooled["unaimed"].to_numpy(), fooled["aimed"].to_numpy())
        checks.append(
            _below("steps fool more than their random starts", subject, difference, len(fooled), "share not fooled")
        )
    return checks


def certificates_beat_a_constant_answer(certification: pa.Table) -> list[Check]:
    """At the smallest radius above 0, more is proven than by naming the commonest class, which holds at every radius.

    The smallest, since what is proven falls with the radius and the constant's share does not. Images of one class tell
    nothing.
    """
    keys = ["certification", "source", "seed"]
    rows = certification.select([*keys, "label", "predicted", "radius", "radii"]).to_pandas()
    checks = []
    for (name, source, seed), one in rows.groupby(keys):
        radii = [eps for eps in one["radii"].iloc[0] if eps > 0]
        if radii and one["label"].nunique() > 1:
            proven = ((one["predicted"] == one["label"]) & (one["radius"] >= min(radii))).to_numpy()
            always = (one["label"] == one["label"].mode()[0]).to_numpy()
            subject = f"{source} seed {seed} in {name}"
            difference = binary_difference(always, proven)
            checks.append(
                _below("certificates beat a constant answer", subject, difference, len(one), "share not proven")
            )
    return checks


PATH = ["interpolation", "model", "seed"]


def paths_beat_a_pixel_blend(interpolation: pa.Table) -> list[Check]:
    """Paths through a latent space meet fewer third classes, and are smoother, than a blend of the two images is."""
    columns = [*PATH, "pair", "frame", "label_from", "label_to", "judged", "change", "judged_blend", "change_blend"]
    checks = []
    for (name, model, seed), frames in interpolation.select(columns).to_pandas().groupby(PATH):
        subject, middle, steps = f"{model} seed {seed} in {name}", midpoint_frames(frames), largest_steps(frames)
        third = binary_difference(*(middle[column].to_numpy() for column in ("third", "third_blend")))
        checks.append(_below("a third class is rarer than in pixel blends", subject, third, len(middle), "rate"))
        jump, blend = (steps[column].to_numpy(float) for column in ("change", "change_blend"))
        checks.append(_beaten("paths are smoother than pixel blends", subject, jump, blend, "the largest step"))
    return checks


def _beaten(check: str, subject: str, ours_N: Any, baseline_N: Any, unit: str) -> Check:
    """Our errors must be below those of a trivial baseline, by the paired interval; a warning where they are not."""
    return _below(
        check, subject, paired_difference(np.asarray(ours_N), np.asarray(baseline_N), 0, CONFIDENCE), len(ours_N), unit
    )


def _below(check: str, subject: str, difference: tuple[float, float, float], n: int, unit: str) -> Check:
    """A difference from a baseline that must be negative, by its interval."""
    estimate, low, high = difference
    detail = f"difference in {unit} {estimate:+.4f} [{low:+.4f}, {high:+.4f}] from the baseline, n = {n}"
    if high >= 0 and n >= MIN_FOR_INTERVAL:
        detail += "; worse than the baseline" if low > 0 else f"; inconclusive: {INTERVAL} includes 0"
    return statistical(check, subject, high < 0, detail, n, "warning", estimate=estimate, low=low, high=high)


BASELINES: dict[tuple[str, ...], tuple[Test, ...]] = {
    ("inpainting",): (generators_beat_the_fill,),
    ("examples",): (attacks_beat_their_controls,),
    ("transferred",): (transferred_examples_beat_noise,),
    ("interpolation",): (paths_beat_a_pixel_blend,),
    ("linearity",): (lines_leave_random_ones_behind,),
    ("convergence",): (steps_beat_their_starts,),
    ("certification",): (certificates_beat_a_constant_answer,),
    ("gan_quality",): (distances_lie_above_real_images, classes_are_counted_alike),
    ("reconstructions",): (reconstructions_beat_trivial_ones,),
    ("inversion",): (inversions_beat_trivial_ones, guesses_beat_random_starts),
    ("autoencoder_quality",): (matched_moments_beat_a_fitted_gaussian,),
}
"""By the kinds of tables that they look at."""
