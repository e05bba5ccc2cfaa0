"""Checks against trivial baselines: held where those are beaten, a warning where they are not."""

import numpy as np
import pyarrow as pa
import pytest

from advgen.metrics.sanity.table import BASELINE, run_checks

N = 240
RANDOM = np.random.default_rng(0)


def inpainting(n=N, **errors):
    rows = [
        {"inpainting": "i", "generator": "g", "seed": 0, "mask": "m", "method": method, "index": k}
        | {"mse_missing": one, "mse_blended": one - 0.5 * (method not in ("harmonic", "poisson"))}
        for method, values in errors.items()
        for k, one in enumerate(values[:n])
    ]
    return {"inpainting": pa.Table.from_pylist([rows[k] for k in RANDOM.permutation(len(rows))])}


def test_a_generator_must_fill_better_than_a_membrane():
    hard = RANDOM.random(N)
    better, same = hard - 0.01 + 0.05 * RANDOM.random(N) * 0.1, hard + 0.01 * RANDOM.standard_normal(N)
    first, blended, second, better_blended = run_checks(
        inpainting(harmonic=hard, full=same, contextual=better), BASELINE
    )
    assert first["subject"] == "contextual behind m with g seed 0 in i"
    assert first["estimate"] == pytest.approx((better - hard).mean())
    assert (first["kind"], first["holds"], first["n"]) == ("warning", True, N)
    assert (second["kind"], second["holds"]) == ("warning", False)  # whatever the sign: its interval has the 0
    assert (blended["check"], better_blended["holds"]) == (
        "inpainting beats harmonic fill, with Poisson blending",
        True,
    )
    few, _ = run_checks(inpainting(10, harmonic=hard, contextual=better), BASELINE)
    assert few["holds"]
    assert few["detail"].endswith("n = 10")
    assert run_checks(inpainting(contextual=better), BASELINE) == []
    checks = run_checks(inpainting(harmonic=hard, poisson=hard - 0.1, contextual=better), BASELINE)
    found = {one["check"]: one["holds"] for one in checks}
    ends = ("", ", with Poisson blending")
    expected = {f"inpainting beats {fill} fill{end}": True for fill in ("harmonic", "Poisson") for end in ends}
    assert found == {**expected, "inpainting beats Poisson fill": False}


@pytest.mark.parametrize(
    ("shift", "n", "words"),
    [
        (0.05, 64, "; worse than the baseline"),
        (0.0, 64, "; inconclusive: the 99.9 % interval includes 0"),
        (0.05, 20, "; inconclusive with fewer than 30 examples"),
        (-0.05, 64, "n = 64"),
    ],
)
def test_the_interval_decides_what_is_said_of_a_baseline(shift, n, words):
    """Few images are enough where the whole interval is on the wrong side."""
    random = np.random.default_rng(1)
    hard = random.random(n)
    ours = hard + shift + 0.02 * random.standard_normal(n)
    (one, _) = run_checks(inpainting(n, harmonic=hard, contextual=ours), BASELINE)
    assert (one["kind"], one["holds"], one["n"]) == ("warning", shift < 0, n)
    assert one["detail"].endswith(words)


def test_reconstructions_and_inversions_must_beat_what_needs_no_network():
    errors = {"mse": RANDOM.random(N)}
    errors |= {"mse_principal": errors["mse"] + 0.1, "mse_nearest": errors["mse"] - 0.1}
    first, second = run_checks(
        {"reconstructions": pa.table({"autoencoder": ["a"] * N, "seed": [2] * N, **errors})}, BASELINE
    )
    assert (first["check"], first["subject"]) == ("reconstruction beats as many principal components", "a seed 2")
    assert [one["holds"] for one in (first, second)] == [True, False]
    assert (second["estimate"], second["kind"]) == (pytest.approx(0.1), "warning")
    names = {"inversion": ["i"] * 2 * N, "generator": ["g"] * 2 * N, "seed": [0] * 2 * N}
    starts = {name: [*values, *values + 0.05] for name, values in errors.items()}
    starts["mse"] = [*errors["mse"], *errors["mse"] + 9]  # another start, which is not the best
    names |= {"first_start": ["random"] * 2 * N, "index": [*range(N)] * 2, "start": [0] * N + [1] * N}
    found = run_checks({"inversion": pa.table({**names, "best": [True] * N + [False] * N, **starts})}, BASELINE)
    assert [(one["n"], one["holds"]) for one in found] == [(N, True), (N, False)]


def test_an_encoders_guess_must_beat_a_random_start():
    """Of each image in the same search; where there is but one start, nothing is compared."""
    random = RANDOM.random(N)
    search = {"inversion": ["i"] * 2 * N, "generator": ["g"] * 2 * N, "seed": [0] * 2 * N, "best": [True] * 2 * N}
    search |= {"index": [*range(N), *range(N)], "start": [0] * N + [1] * N, "first_start": ["encoder"] * 2 * N}

    def checked(guess, **changed):
        errors = {"mse": [*guess, *random], "mse_principal": [9.0] * 2 * N, "mse_nearest": [9.0] * 2 * N}
        found = run_checks({"inversion": pa.table({**search, **errors, **changed})}, BASELINE)
        return [one for one in found if one["check"] == "an encoder's guess beats a random start"]

    (one,) = checked(random - 0.1)
    assert (one["subject"], one["kind"], one["holds"], one["n"]) == ("g seed 0 in i", "warning", True, N)
    assert one["estimate"] == pytest.approx(-0.1)
    assert not checked(random + 0.1)[0]["holds"]
    assert checked(random - 0.1, first_start=["random"] * 2 * N) == []
    assert checked(random - 0.1, start=[0] * 2 * N, index=[*range(2 * N)]) == []


def test_matched_moments_must_beat_the_best_fitted_gaussian_of_their_size():
    quality = {
        "autoencoder": ["matched", "plain", "larger"],
        "seed": [0, 0, 0],
        "latent": [20, 20, 100],
        "n": [5000] * 3,
        "moments": ["covariance", "none", "none"],
        "frechet_distance_decoded": [254.0, 900.0, 900.0],
        "frechet_distance_fitted": [260.0, 243.0, 100.0],
    }
    (one,) = run_checks({"autoencoder_quality": pa.table(quality)}, BASELINE)
    assert (one["subject"], one["holds"], one["estimate"]) == ("matched seed 0", False, pytest.approx(11))
    assert one["detail"].endswith("243.0 from a Gaussian fitted to plain seed 0")
    (one,) = run_checks({"autoencoder_quality": pa.table({**quality, "latent": [20, 19, 100]})}, BASELINE)
    assert one["holds"]


def test_a_gradient_must_move_logits_further_than_random_signs():
    def line(unaimed):
        points = [
            {"linearity": "l", "source": "s", "seed": 0, "index": index, "eps": eps, "label": 1}
            | {"logits": [0.0, 2 * eps], "logits_unaimed": [0.0, unaimed * eps]}
            for index in range(N)
            for eps in (-0.5, 0.0, 0.5)
        ]
        return run_checks({"linearity": pa.Table.from_pylist(points)}, BASELINE)

    ((held,), (failed,)) = line(0.5), line(2.0)
    assert (held["subject"], held["kind"], held["holds"], held["n"]) == ("s seed 0 in l", "warning", True, N)
    assert held["estimate"] == pytest.approx(-1.5)
    assert not failed["holds"]


def test_steps_must_fool_more_than_their_random_starts():
    """Of each image by any of its starts; one that is wrong without an attack does not count."""

    def converged(first, second):
        rows = [
            {"convergence": "c", "source": "s", "seed": 0, "index": index, "right_clean": index > 0}
            | {"fooled_step": step}
            for step in (first, second)
            for index in range(N + 1)
        ]
        return run_checks({"convergence": pa.Table.from_pylist(rows)}, BASELINE)

    ((held,), (failed,)) = converged(None, 3), converged(0, 3)
    assert (held["subject"], held["kind"], held["holds"], held["n"]) == ("s seed 0 in c", "warning", True, N)
    assert held["estimate"] == -1
    assert (failed["holds"], failed["estimate"]) == (False, 0)


def test_certificates_must_beat_a_constant_answer_at_the_smallest_radius():
    def proven(radius, radii=(0.0, 0.1, 0.2), classes=4):
        facts = {"certification": ["c"] * N, "source": ["s"] * N, "seed": [0] * N, "radius": [radius] * N}
        labels = [index % classes for index in range(N)]
        table = pa.table({**facts, "label": labels, "predicted": labels, "radii": [list(radii)] * N})
        return run_checks({"certification": table}, BASELINE)

    ((held,), (failed,)) = proven(0.1), proven(0.05)
    assert (held["subject"], held["kind"], held["holds"], held["n"]) == ("s seed 0 in c", "warning", True, N)
    assert (held["estimate"], failed["estimate"], failed["holds"]) == (-0.75, 0.25, False)
    assert proven(0.1, radii=(0.0,)) == []
    assert proven(0.1, classes=1) == []


def gans(**numbers):
    columns = {"gan": ["a", "b"], "seed": [0, 1], "n": [5000] * 2, "frechet_distance": [60.0, 1.5]}
    columns |= {
        "frechet_distance_real": [1.8] * 2,
        "classes": [10, 9],
        "classes_both": [10, 8],
        "agreement": [0.7, 0.9],
    }
    return {"gan_quality": pa.table({**columns, **numbers})}


def test_a_distance_below_that_of_real_images_and_classes_of_one_classifier_give_warnings():
    *distances, alike, other = run_checks(gans(), BASELINE)
    assert [(one["subject"], one["kind"], one["holds"]) for one in distances] == [
        ("a seed 0", "warning", True),
        ("b seed 1", "warning", False),
    ]
    assert distances[1]["detail"] == "Fréchet distance 1.50, of as many real training images 1.80"
    assert [(one["kind"], one["holds"]) for one in (alike, other)] == [("warning", True), ("warning", False)]
    assert other["detail"] == "9 classes by the reference classifier, 8 by both classifiers, which agree on 90.0%"
    few = "inconclusive with fewer than 200 examples"
    assert all(one["detail"].endswith(few) for one in run_checks(gans(n=[100] * 2), BASELINE))


def test_an_attack_with_a_target_must_reach_it_more_often_than_its_controls_do():
    """It fools twice as many as they do, and reaches its target no more often."""
    facts = {"source": ["net"] * N, "source_seed": [1] * N, "attack": ["a"] * N, "kind": ["region"] * N}
    answers = {"label": np.zeros(N), "predicted_clean": np.zeros(N), "target_label": np.full(N, 2.0)}
    frames = np.where(np.arange(N) < 0.4 * N, 2.0, 0)
    answers |= {"predicted": np.where(np.arange(N) < 0.4 * N, 2.0, 1), "predicted_unaimed": frames}
    (one,) = run_checks({"examples": pa.table({**facts, **answers})}, BASELINE)
    assert (one["kind"], one["holds"], one["estimate"]) == ("warning", False, 0)
    assert "difference in share of targets missed" in one["detail"]
    answers["predicted"] = np.full(N, 2.0)
    (one,) = run_checks({"examples": pa.table({**facts, **answers})}, BASELINE)
    assert (one["holds"], one["estimate"]) == (True, pytest.approx(-0.6))
    answers["predicted_unaimed"] = np.ones(N)  # they fool all, and put none into that class
    assert run_checks({"examples": pa.table({**facts, **answers})}, BASELINE) == []


def test_an_attack_must_beat_its_controls():
    facts = {"source": ["net"] * N, "source_seed": [1] * N, "attack": ["a"] * N, "kind": ["region"] * N}
    facts["target_label"] = pa.nulls(N, pa.int32())
    answers = {"label": np.zeros(N), "predicted_clean": np.zeros(N), "predicted": np.ones(N)}
    white = (np.arange(N) < 0.6 * N).astype(float)
    (one,) = run_checks({"examples": pa.table({**facts, **answers, "predicted_unaimed": white})}, BASELINE)
    assert (one["subject"], one["source"], one["holds"]) == ("a on net seed 1", "net", True)
    assert one["estimate"] == pytest.approx(-0.4)
    answers["predicted"] = white[::-1].copy()
    (one,) = run_checks({"examples": pa.table({**facts, **answers, "predicted_unaimed": white})}, BASELINE)
    assert (one["kind"], one["holds"]) == ("warning", False)
    for blank in ({"predicted_unaimed": np.zeros(N)}, {"predicted_unaimed": white, "kind": ["gaussian_noise"] * N}):
        assert run_checks({"examples": pa.table({**facts, **answers, **blank})}, BASELINE) == []
    wrong = {**answers, "predicted_unaimed": white, "predicted_clean": np.where(np.arange(N) < 10, 1.0, 0)}
    (one,) = run_checks({"examples": pa.table({**facts, **wrong})}, BASELINE)
    assert one["n"] == N - 10


def test_transferred_examples_must_beat_noise_of_their_norms():
    """Of another net than their own, on the images that it gets right when clean; noise is no attack."""
    facts = {
        "study": ["s"] * N,
        "source": ["a"] * N,
        "source_seed": [0] * N,
        "attack": ["pgd"] * N,
        "norm": ["linf"] * N,
    }
    facts |= {"target": ["b"] * N, "target_seed": [1] * N, "label": np.zeros(N), "predicted_clean": np.zeros(N)}
    rare, often = ((np.arange(N) < share * N).astype(float) for share in (0.1, 0.6))
    fooled = {**facts, "predicted": often, "predicted_unaimed": rare}
    (one,) = run_checks({"transferred": pa.table(fooled)}, BASELINE)
    assert (one["check"], one["subject"]) == (
        "transferred examples beat noise of the same norms",
        "pgd from a seed 0 on b seed 1 in s",
    )
    assert (one["kind"], one["holds"], one["estimate"]) == ("warning", True, pytest.approx(-0.5))
    (one,) = run_checks({"transferred": pa.table({**fooled, "predicted": rare})}, BASELINE)
    assert not one["holds"]
    own = {"source": ["b"] * N, "source_seed": [1] * N}
    for none in (own, {"norm": ["none"] * N}, {"predicted_unaimed": np.zeros(N)}):
        assert run_checks({"transferred": pa.table({**fooled, **none})}, BASELINE) == []
    (one,) = run_checks({"transferred": pa.table({**fooled, "predicted_clean": rare[::-1].copy()})}, BASELINE)
    assert one["n"] == N - N // 10


def test_paths_must_beat_a_pixel_blend():
    """Three frames a pair: a third class in the middle of every blend, of few paths; and the longer step in blends."""
    rows = [
        {"interpolation": "walk", "model": "m", "seed": 2, "pair": pair, "frame": frame, "label_from": 7, "label_to": 1}
        | {"judged": (7, 4 if pair < 20 else 7, 1)[frame], "judged_blend": (7, 4, 1)[frame]}
        | {"change": (np.nan, 0.5, 0.5)[frame], "change_blend": (np.nan, 0.4, 0.6)[frame]}
        for pair in range(N)
        for frame in range(3)
    ]
    third, smooth = run_checks({"interpolation": pa.Table.from_pylist(rows)}, BASELINE)
    assert (third["subject"], third["n"]) == ("m seed 2 in walk", N)
    assert (third["kind"], third["holds"], third["estimate"]) == ("warning", True, pytest.approx(20 / N - 1))
    assert (smooth["holds"], smooth["estimate"]) == (True, pytest.approx(-0.1))
    swapped = {"judged": "judged_blend", "judged_blend": "judged", "change": "change_blend", "change_blend": "change"}
    turned = [{swapped.get(name, name): value for name, value in row.items()} for row in rows]
    assert [one["holds"] for one in run_checks({"interpolation": pa.Table.from_pylist(turned)}, BASELINE)] == [
        False,
        False,
    ]
