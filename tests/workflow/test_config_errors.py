"""Mistakes in a study end before the DAG, in one or two lines that name key, value and remedy."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.project import ROOT, Project

from advgen.cli import main
from advgen.core.errors import ConfigError
from advgen.driver.plan import build
from advgen.study.errors import RENAMED
from advgen.study.load import load_file, load_study

TEXT = (ROOT / "tests/slice.yaml").read_text()
BASE: dict[str, Any] = yaml.safe_load(TEXT)

# (old text, new text, what the message must hold)
MISTAKES = {
    "unknown key": ("fgsm, eps: 0.1}", "fgsm, epss: 0.1}", ["attacks.fgsm.epss", "did you mean 'eps'"]),
    "unknown top key": ("classifiers:\n", "clasifiers:\n", ["clasifiers", "did you mean 'classifiers'"]),
    "wrong type": ("fgsm, eps: 0.1}", "fgsm, eps: much}", ["attacks.fgsm.eps", "'much'", "number"]),
    "wrong type of a map": ("attacks:\n  fgsm: {kind: fgsm, eps: 0.1}", "attacks:\n  fgsm: 3", ["attacks.fgsm", "3"]),
    "unknown preset": ("FC100-100-10", "FC100-10-10", ["classifiers.fc100.model", "did you mean 'FC100-100-10'"]),
    "unknown attack kind": ("{kind: fgsm", "{kind: fgms", ["attacks.fgsm.kind", "'fgms'", "did you mean 'fgsm'"]),
    "unknown attack name": ("    attacks: [fgsm, pgd, quick]\n", "    attacks: [fgsm, pdg, quick]\n", ["transfers.transfer.attacks.1", "did you mean 'pgd'"]),
    "unknown dataset": ("  fc100:\n    dataset: mnist", "  fc100:\n    dataset: minst", ["classifiers.fc100.dataset", "did you mean 'mnist'"]),
    "impossible pair": ("latent: 16}\n    discriminator", "latent: 16, start: [64, 16, 16]}\n    discriminator", ["gans.tiny-gan.generator", "1×64×64", "1×28×28"]),
    "generator of other images": ("{preset: dcgan-generator, latent: 16}", "M11", ["gans.tiny-gan.generator: makes 3×64×64 images, not 1×28×28"]),
    "generator that cannot fit": ("latent: 16}\n    discriminator", "latent: 16, channels: [8, 4]}\n    discriminator", ["gans.tiny-gan.generator: cannot make 1×28×28 images: 3", "sides of 8, 16, 24, … pixels"]),
    "key of a generator": ("latent: 16}\n    discriminator", "latent: 16, kernel: x}\n    discriminator", ["gans.tiny-gan.generator.kernel = 'x': must be an integer"]),
    "one of two types": ("latent: 16}\n    discriminator", "latent: 16, start: [8, 7]}\n    discriminator", ["gans.tiny-gan.generator.start = [8, 7]: must be an integer or a list (3 items"]),
    "discriminator for other images": ("discriminator: dcgan-discriminator", "discriminator: {preset: M3, image: [3, 64, 64]}", ["gans.tiny-gan.discriminator", "3×64×64"]),
    "negative eps": ("fgsm, eps: 0.1}", "fgsm, eps: -0.1}", ["attacks.fgsm.eps", "-0.1", "must be greater than 0"]),
    "empty sweep": ("sources: [fc100]\n    targets", "sources: []\n    targets", ["transfers.transfer.sources", "1 or more items"]),
    "malformed YAML": ("fgsm, eps: 0.1}", "fgsm, eps: 0.1", ["smoke.yaml:", "not valid YAML"]),
    "key twice": ("  pgd: {kind", "  fgsm: {kind", ["attacks.fgsm", "duplicate key (first in line 64)"]),
    "name taken": ("  restore:\n    gen", "  pepper:\n    gen", ["inpaintings.pepper", "already used"]),
    "bad name": ("  walk:\n", "  Walk It:\n", ["interpolations.Walk It", "lower-case letters"]),
    "missing key": ("    model: {preset: conv-autoencoder, latent: 16}\n", "", ["autoencoders.tiny-ae.model", "missing"]),
    "too many images": ("attack_examples: 40", "attack_examples: 4000", ["evaluation.attack_examples", "4000", "400"]),
    "not finite": ("fgsm, eps: 0.1}", "fgsm, eps: .inf}", ["attacks.fgsm.eps", "inf"]),
}  # fmt: skip


# an old word of a study, and the keys where it could stand
OLD = {
    "active_set": ("attacks.pgd", {"active_set": True}),
    "average": ("gans.tiny-gan.training", {"average": 0.9}),
    "best_of": ("gans.tiny-gan.training", {"best_of": 2}),
    "deconv": ("gans.tiny-gan", {"generator": {"kind": "deconv"}}),
    "fid": ("figures.measures", {"measures": ["fid"]}),
    "inception_score": ("figures.measures", {"measures": ["inception_score"]}),
    "judge_ladder": ("figures.calibration", {"kind": "judge_ladder"}),
    "masked": ("classifiers.fc100", {"masked": True}),
    "non_saturated": ("gans.tiny-gan.training", {"loss": "non_saturated"}),
    "prior": ("inpaintings.restore", {"methods": ["full", "prior"]}),
    "ramp": ("classifiers.hardened.defence", {"ramp": 1}),
}


@pytest.mark.parametrize("word", RENAMED)
def test_an_old_word_still_works_and_names_the_new_one(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = (yaml.safe_load((ROOT / "config/smoke.yaml").read_text()) for _ in range(2))
    path, keys = OLD[word]
    for study, words in ((old, keys), (new, json.loads(json.dumps(keys).replace(word, RENAMED[word])))):
        holder: dict[str, Any] = study
        for key in path.split("."):
            holder = holder[key]
        holder.pop(RENAMED[word], None)
        holder |= words
    if word == "masked":  # it has two meanings
        with pytest.raises(ConfigError, match=re.escape(f"it is now called {RENAMED[word]}")):
            load_study(old)
        return
    assert load_study(old).study == load_study(new).study
    warning = f": {word} is now called {RENAMED[word]}; the next release refuses the old name\n"
    assert capsys.readouterr().err.endswith(warning)


def message(path: Path) -> str:
    """The message that a study's mistake gets."""
    with pytest.raises(ConfigError) as caught:
        load_file(path)
    return str(caught.value)


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_is_explained(name: str, tmp_path: Path) -> None:
    old, new, expected = MISTAKES[name]
    assert TEXT.count(old) >= 1
    path = tmp_path / "smoke.yaml"
    path.write_text(TEXT.replace(old, new, 1))
    text = message(path)
    assert len(text.splitlines()) <= 2
    for part in expected:
        assert part in text, text


def test_message_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(TEXT.replace("fgsm, eps: 0.1}", "fgsm, epss: 0.1}"))
    line = next(number for number, line in enumerate(path.read_text().splitlines(), 1) if "epss" in line)
    assert message(path).startswith(f"{path}:{line}: attacks.fgsm.epss")


def test_missing_file(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(TEXT)
    text = message(tmp_path / "studdy.yaml")
    assert "no such study" in text
    assert "did you mean 'study.yaml'" in text
    assert "studies in this folder: study.yaml" in message(tmp_path / "nowhere.yaml")
    assert "the default is config/config.yaml" in message(tmp_path / "empty" / "nowhere.yaml")


def test_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text("")
    assert "is empty" in message(path)


def test_endless_anchor(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text("a: &a\n  b: *a\n")
    assert "endless" in message(path)


def test_whole_study_from_configfile_is_checked_alike() -> None:
    assert load_study(BASE).study == load_file(ROOT / "tests/slice.yaml").study
    with pytest.raises(ConfigError, match=r"attacks\.fgsm\.eps = -1"):
        load_study({**BASE, "attacks": {**BASE["attacks"], "fgsm": {"kind": "fgsm", "eps": -1}}})


def test_a_whole_study_is_that_of_the_file_that_holds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.yaml").write_text("a: [")
    (tmp_path / "mine.yaml").write_text(TEXT)
    study = yaml.safe_load(TEXT)
    assert load_study(study, ["broken.yaml", tmp_path / "mine.yaml"]).files == ("mine.yaml",)
    assert load_study(study, ["broken.yaml"]).files == ()
    assert load_study({**study, "title": "edited"}, ["mine.yaml"]).files == ()
    (tmp_path / "other.yaml").write_text(TEXT)
    assert load_study({**study, "study": "other.yaml"}, ["mine.yaml"]).files == ("other.yaml",)
    with pytest.raises(ConfigError, match="not allowed together with study="):
        load_study({**study, "study": "other.yaml", "title": "edited"}, ["mine.yaml"])


def test_base_study_lends_definitions(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(TEXT)
    path = tmp_path / "study.yaml"
    path.write_text(
        "base: base.yaml\ncv: null\nattacks:\n  deepfool: {kind: deepfool, steps: 7}\nfigures:\n  own: {kind: robustness, sources: [cnn], attacks: [deepfool]}\n"
    )
    loaded = load_file(path)
    assert loaded.study.attacks["deepfool"].steps == 7  # type: ignore[attr-defined]
    assert "pgd" in loaded.study.attacks
    assert loaded.roots["figures"] == ("own",)
    assert loaded.roots["gans"] == ()


def test_snakemake_says_it_in_two_lines(project: Callable[..., Project]) -> None:
    copy = project(stubs=True)
    copy.edit("config/smoke.yaml", "fgsm, eps: 0.1}", "fgsm, epss: 0.1}")
    result = copy.snakemake("config/smoke.yaml", "-n")
    assert result.returncode == 1
    said = [line for line in result.stderr.splitlines() if "epss" in line]
    assert len(said) == 1
    assert "did you mean 'eps'" in said[0]
    assert "Traceback" not in result.stderr
    assert "Building DAG" not in result.stderr
    missing = copy.snakemake("config/nothing.yaml", "-n")
    assert "config/nothing.yaml: no such study" in missing.stderr
    assert "Traceback" not in missing.stderr


def test_impossible_living_value_is_told(project: Callable[..., Project]) -> None:
    copy = project(stubs=True)
    copy.edit("config/cv/profile.yaml", "{{ result('transfer', 'error'", "{{ result('transfr', 'error'")
    result = copy.run(sys.executable, "-m", "advgen", "plan", "config/smoke.yaml")
    assert result.returncode == 1
    assert "profile.yaml:" in result.stderr
    assert "no such table" in result.stderr
    assert len(result.stderr.splitlines()) == 1


MORE_MISTAKES = {
    "mask larger than the image": ("square: {kind: square}", "square: {kind: square, size: 40}", ["inpaintings.restore.masks", "square"]),
    "seed too large": ("seeds: [0]", "seeds: [3000000000]", ["seeds.0", "3000000000"]),
    "seed twice": ("seeds: [0]", "seeds: [1, 1]", ["seeds", "twice"]),
    "target twice": ("targets: [fc100, cnn]", "targets: [cnn, cnn]", ["transfers.transfer.targets", "'cnn' is listed twice"]),
    "too many pairs": ("pairs: 4\n", "pairs: 400\n", ["interpolations.walk.pairs", "400"]),
    "useless restarts": ("eps: 0.1, steps: 5}", "eps: 0.1, steps: 5, restarts: 3, random_start: false}", ["attacks.pgd", "random_start"]),
}  # fmt: skip


@pytest.mark.parametrize("name", MORE_MISTAKES)
def test_what_would_fail_hours_later_is_told_at_once(name: str, tmp_path: Path) -> None:
    old, new, expected = MORE_MISTAKES[name]
    path = tmp_path / "smoke.yaml"
    path.write_text(TEXT.replace(old, new, 1))
    text = message(path)
    assert len(text.splitlines()) <= 2
    for part in expected:
        assert part in text, text


def test_studies_that_are_each_others_base(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("base: b.yaml\n")
    (tmp_path / "b.yaml").write_text("base: ./a.yaml\n")
    assert "each other's base" in message(tmp_path / "a.yaml")


def test_a_study_does_not_inherit_the_cv(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(TEXT)
    (tmp_path / "study.yaml").write_text("base: base.yaml\nfigures:\n  own: {kind: dataset_samples, dataset: mnist}\n")
    assert load_file(tmp_path / "study.yaml").study.cv is None


def test_a_key_that_cannot_be_printed_stays_in_one_line() -> None:
    with pytest.raises(ConfigError) as caught:
        load_study({**BASE, "\r\r": 1})
    assert len(str(caught.value).splitlines()) <= 2


SMOKE = (ROOT / "config/smoke.yaml").read_text()
PGD, FC100 = "{kind: pgd, eps: 0.1, steps: 5}", "    training: {epochs: 2, batch: 50, lr: 3e-3}\n"
HARDENED = "defence: {kind: pgd, eps: 0.1, steps: 2}"
BOX = "must be at most 1, since pixels are from 0 to 1; for 8 of 255 grey levels write 0.0314"
ALONE = "'fgsm' is a single-step attack, to which a model can overfit; add an ensemble of eps = 0.1"
IMPOSSIBLE = {
    "true for a number": (PGD, "{kind: pgd, eps: true}", "attacks.pgd.eps = true: must be a number"),
    "true for a count": ("images: 1000", "images: true", "classifiers.hardened.images = true: must be an integer or null"),
    "quoted number": (PGD, "{kind: pgd, eps: '0.1'}", "attacks.pgd.eps = '0.1': must be a number; remove the quotes"),
    "quoted count": ("restarts: 2", 'restarts: "2"', "convergences.paths.restarts = '2': must be an integer; remove the quotes"),
    "half a seed": ("seeds: [0]", "seeds: [0.5]", "seeds.0 = 0.5: must be an integer"),
    "one for true": (PGD, "{kind: pgd, random_start: 1}", "attacks.pgd.random_start = 1: must be true or false"),
    "word for true": (PGD, "{kind: pgd, random_start: no}", "attacks.pgd.random_start = 'no': must be true or false"),
    "octal": ("images: 1000", "images: 010", "classifiers.hardened.images = '010': must be an integer"),
    "no list": ("seeds: [0]", "seeds: 0", "seeds = 0: must be a list (each an integer); write [0]"),
    "list of names alone": ("masks: [pepper, square]", "masks: pepper", "inpaintings.restore.masks = 'pepper': must be a list (each text); write [pepper]"),
    "eps of an attack": (PGD, "{kind: pgd, eps: 8}", f"attacks.pgd.eps = 8.0: {BOX}"),
    "eps of FGSM": ("{kind: fgsm, eps: 0.1}", "{kind: fgsm, eps: 8}", f"attacks.fgsm.eps = 8: {BOX}"),
    "eps of squares": (PGD, "{kind: square, eps: 8}", f"attacks.pgd.eps = 8.0: {BOX}"),
    "deviation of noise": (PGD, "{kind: gaussian_noise, sd: 8}", f"attacks.pgd.sd = 8: {BOX}"),
    "L2 radius": (PGD, "{kind: pgd, norm: l2, eps: 80}", "attacks.pgd.eps = 80.0: no two 1×28×28 images are farther apart than 28"),
    "step in grey levels": (PGD, "{kind: pgd, eps: 0.03, step_size: 2}", "attacks.pgd.step_size = 2.0: is longer than the diameter of a ball of eps = 0.03"),
    "eps of a defence": (HARDENED, "defence: {kind: pgd, eps: 8}", f"classifiers.hardened.defence.eps = 8.0: {BOX}"),
    "eps of FGSM training": (HARDENED, "defence: {kind: fgsm, eps: 8}", f"classifiers.hardened.defence.eps = 8: {BOX}"),
    "eps of noisy training": (HARDENED, "defence: {kind: noise, eps: 8}", f"classifiers.hardened.defence.eps = 8: {BOX}"),
    "eps of fast training": (HARDENED, "defence: {kind: fast, eps: 8}", f"classifiers.hardened.defence.eps = 8: {BOX}"),
    "L2 radius of a defence": (HARDENED, "defence: {kind: pgd, norm: l2, eps: 80}", "classifiers.hardened.defence.eps = 80.0: no two"),
    "L2 radius of labels": ("{kind: adversarial_labels,", "{kind: adversarial_labels, eps: 80,", "datasets.wrong.eps = 80.0: no two"),
    "training images": ("train: 2000", "train: 70000", "datasets.mnist.train = 70000: there are only 60000 images"),
    "test images": ("test: 400", "test: 10001", "datasets.mnist.test = 10001: there are only 10000 images"),
    "attacked images": ("attack_examples: 40", "attack_examples: 401", "evaluation.attack_examples = 401: data set 'mnist' has only 400"),
    "batch": (FC100, "    training: {batch: 1801}\n", "classifiers.fc100.training.batch = 1801: there are only 1800 images to train on"),
    "pool": (HARDENED, "defence: {kind: pool, size: 1001}", "classifiers.hardened.defence.size = 1001: there are only 1000 images"),
    "endless training": (FC100, f"    training: {{epochs: {10**12}}}\n", "classifiers.fc100.training.epochs = 1000000000000: must be at most 1,000,000"),
    "huge batch": (FC100, f"    training: {{batch: {10**12}}}\n", "classifiers.fc100.training.batch = 1000000000000: must be at most 1,000,000"),
    "huge sample": ("gan_samples: 200", f"gan_samples: {10**12}", "evaluation.gan_samples = 1000000000000: must be at most 1,000,000"),
    "images of a figure": ("attacks: [fgsm, pgd, quick], images: 3", "attacks: [fgsm, pgd, quick], images: 41", "figures.adversarial.images = 41: there are only 40"),
    "curves of a figure": ("short-search, images: 2", "short-search, images: 9", "figures.curves.images = 9: there are only 8"),
    "gallery of a figure": ("short-search, images: 4", "short-search, images: 9", "figures.nearest.images = 9: there are only 8"),
    "restorations of a figure": ("restore, images: 2", "restore, images: 9", "figures.restored.images = 9: there are only 8"),
    "strips of a figure": ("interpolation_strips, interpolation: walk, pairs: 2", "interpolation_strips, interpolation: walk, pairs: 5", "figures.strips.pairs = 5: there are only 4"),
    "third classes of a figure": ("third_class, interpolation: walk, pairs: 2", "third_class, interpolation: walk, pairs: 5", "figures.thirds.pairs = 5: there are only 4"),
    "samples of a figure": ("samples: 40}", "samples: 201}", "figures.samples.samples = 201: there are only 200"),
    "draws of a figure": ("latent_spectrum, autoencoders: [tiny-ae], samples: 8", "latent_spectrum, autoencoders: [tiny-ae], samples: 201", "figures.spectrum.samples = 201: there are only 200"),
    "reconstructions of a figure": ("reconstructions, autoencoders: [tiny-ae], images: 8", "reconstructions, autoencoders: [tiny-ae], images: 201", "figures.reconstructions.images = 201: there are only 200"),
    "images of each class": ("{kind: dataset_samples, dataset: mnist}", "{kind: dataset_samples, dataset: mnist, per_class: 41}", "figures.images.per_class = 41: there are only 40"),
    "target class": ("{kind: fgsm, eps: 0.1}", "{kind: fgsm, target: 10}", "attacks.fgsm.target = 10: does not exist; there are classes 0 to 9; it attacks 'fc100'"),
    "images to learn from": ("{kind: fgsm, eps: 0.1}", "{kind: universal, images: 361}", "attacks.fgsm.images = 361: 'mnist' has only 360 test images that are not attacked; lower it"),
    "wide L1 ball": ("{kind: fgsm, eps: 0.1}", "{kind: apgd, norm: l1, eps: 785}", "attacks.fgsm.eps = 785.0: no two 1×28×28 images are farther apart than 784"),
    "target of two classes": (PGD, "{kind: pgd, target: 2}", "attacks.pgd.target = 2: does not exist; there are classes 0 to 1; it attacks 'decision'"),
    "DLR": (PGD, "{kind: pgd, loss: dlr}", "attacks.pgd.loss = 'dlr': without a target needs 3 classes, and there are 2"),
    "targeted DLR": (PGD, "{kind: pgd, loss: dlr, target: random}", "attacks.pgd.loss = 'dlr': with a target needs 4 classes, and there are 2"),
    "word as target": (PGD, "{kind: pgd, target: any}", "attacks.pgd.target = 'any': must be an integer or random or nearest or null"),
    "out of sight": (PGD, "{kind: spatial, pixels: 28}", "attacks.pgd.pixels = 28.0: shifts 1×28×28 images out of the frame"),
    "region of nothing": (PGD, "{kind: region, region: {kind: square, size: 29}}", "attacks.pgd.region = 'square': has no pixel or all pixels"),
    "seed of fakes": ("gan: tiny-gan}", "gan: tiny-gan, seed: 3}", "datasets.real-fake.seed = 3: is not a seed of 'tiny-gan' (trained with 0)"),
    "part of a data set": ("part: 1}", "part: 2}", "datasets.half.part = 2: does not exist; the 2 parts are numbered from 0"),
    "mask of another figure": ("mask: square}", "mask: pepper}", "figures.position.mask = 'pepper': is not a square mask of inpainting 'restore' (square)"),
    "empty line of a panel": ("discriminator: [decision]", "discriminator: []", "figures.headline.panels.real or fake.discriminator = []: must have 1 or more items"),
    "stranger in a published table": ("AE400-10: cnn", "AE400-10: con", "figures.published.names.AE400-10 = 'con': is no classifier or attack of transfer 'transfer'"),
    "row of no published table": ("AE400-10: cnn", "AE400-11: cnn", "figures.published.names.AE400-11: is no row of 'szegedy2014-table-2'; name one of them (FC10(1e-4)"),
    "published net that is none": ("{fc100: FC100-100-10}", "{fc100: FC101}", "figures.test-errors.published_nets.fc100 = 'FC101': no test error of it is known; name one of FC10(1e-4)"),
    "published net of no classifier shown": ("{fc100: FC100-100-10}", "{cnn: FC100-100-10}", "figures.test-errors.published_nets.cnn: is none of the figure's classifiers (fc100, little-none, little-some)"),
    "order of seeds": ("seeds: [0]", "seeds: [1, 0]", "seeds: 0 follows 1; list numbers in ascending order: [0, 1]"),
    "order of thresholds": ("[0.5, 2.0]", "[2.0, 0.5]", "truncations.narrow.thresholds: 0.5 follows 2.0"),
    "threshold twice": ("[0.5, 2.0]", "[2.0, 2.0]", "truncations.narrow.thresholds: 2.0 is listed twice"),
    "order of sizes": ("sizes: [1, 10]", "sizes: [10, 1]", "simulations.gaussian.sizes: 1 follows 10"),
    "swept value twice": (FC100, "    sweep: {training.batch: [50, 60, 50]}\n", "classifiers.fc100.sweep.training.batch: the label '50' is listed twice"),
    "swept value under two labels": (FC100, "    sweep: {training.lr: {a: 0.1, b: 1e-1}}\n", "classifiers.fc100.sweep.training.lr: the value 0.1 is listed twice"),
    "sweep of a part of a sweep": (FC100, "    sweep: {training: {a: {}}, training.batch: [50]}\n", "classifiers.fc100.sweep.training.batch: overlaps with 'training'"),
    "swept value": (FC100, "    sweep: {training.batch: [50, 0]}\n", "classifiers.fc100-0.training.batch = 0: must be at least 1"),
    "generator's file": ("cv: {}\n", "generators: {mine: {dataset: mnist, file: mine.pt}}\n", "generators.mine.file = 'mine.pt': no such file"),
    "CV's file": ("cv: {}\n", "cv: {profile: mine.yaml}\n", "cv.profile = 'mine.yaml': no such file"),
    "key that is no word": ("cv: {}\n", "true: {}\n", "true: is not read as text; put the key in quotes"),
    "letter that is none": ("title: advgen, smoke test", "title: \x07", "not valid YAML: the character '\\x07' is not allowed"),
    "FGSM alone in a figure": ("{kind: robustness, sources: [fc100], attacks: [fgsm, pgd, quick]}", "{kind: robustness, sources: [fc100], attacks: [fgsm]}", f"figures.robustness.attacks: {ALONE}"),
    "FGSM alone in a shown transfer": ("attacks: [fgsm, pgd, quick]\n\nlinearities", "attacks: [fgsm]\n\nlinearities", f"transfers.transfer.attacks: {ALONE}; figures.transfer shows it"),
    "FGSM beside PGD alone": ("attacks: [fgsm, pgd, quick], images: 3", "attacks: [fgsm, pgd], images: 3", f"figures.adversarial.attacks: {ALONE}"),
    "FGSM beside another eps": ("{kind: attack_gallery, sources: [fc100], attacks: [fgsm, pgd, quick], images: 3}", "{kind: attack_gallery, sources: [fc100], attacks: [fgsm, deepfool], images: 3}", f"figures.adversarial.attacks: {ALONE}"),
    "a net that is not certified": ("{kind: certified_accuracy, sources: [fc100],", "{kind: certified_accuracy, sources: [hardened],", "figures.certified.sources: 'hardened' is no source of proven, smoothed; add it there"),
    "radius of nothing": ("{kind: interval_bounds}", "{kind: interval_bounds, sigma: 1}", "certifications.proven.certificate.sigma: unknown key (allowed: kind)"),
    "tag of another type": ("images: 1000", "images: !!int many", "not valid YAML: int: invalid literal"),
}  # fmt: skip


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_cannot_run_as_written_is_refused_with_its_line(name: str, tmp_path: Path) -> None:
    old, new, expected = IMPOSSIBLE[name]
    assert old in SMOKE
    path = tmp_path / "smoke.yaml"
    path.write_text(SMOKE.replace(old, new, 1))
    line = SMOKE[: SMOKE.index(old)].count("\n") + 1
    with pytest.raises(ConfigError) as caught:
        build(load_file(path))
    assert str(caught.value).startswith(f"{path}:{line}: {expected}"), str(caught.value)


def test_a_huge_sweep_is_counted_before_it_is_made(tmp_path: Path) -> None:
    values = ", ".join(map(str, range(1, 1001)))
    sweep = f"    sweep: {{training.batch: [{values}], images: [{values}], training.epochs: [{values}]}}\n"
    path = tmp_path / "smoke.yaml"
    path.write_text(SMOKE.replace(FC100, sweep, 1))
    assert "classifiers.fc100.sweep: makes 1000 × 1000 × 1000 definitions" in message(path)
    assert "10,000" in message(path)


def test_sweeps_are_counted_together(tmp_path: Path) -> None:
    study = "datasets: {mnist: {kind: mnist}}\nclassifiers:\n"
    for name in ("one", "two"):
        batches = ", ".join(map(str, range(1, 5002)))
        study += f"  {name}: {{dataset: mnist, model: FC10, sweep: {{training.batch: [{batches}]}}}}\n"
    path = tmp_path / "study.yaml"
    path.write_text(study)
    assert message(path).startswith(f"{path}:4: classifiers.two.sweep: makes 5001 definitions")


def test_too_many_cells_of_a_transfer_are_refused(tmp_path: Path) -> None:
    sizes = ", ".join(map(str, range(1, 1002)))
    path = tmp_path / "study.yaml"
    path.write_text(
        "datasets: {mnist: {kind: mnist}}\n"
        f"classifiers: {{fc: {{dataset: mnist, model: FC10, sweep: {{images: [{sizes}]}}}}}}\n"
        "attacks: {fgsm: {kind: fgsm}}\n"
        "transfers: {all: {sources: [fc], targets: [fc], attacks: [fgsm]}}\n"
    )
    assert message(path).startswith(f"{path}:4: transfers.all: sources × targets × attacks make 1,002,001 cells")


def test_numbers_that_snakemake_reads_as_words_are_numbers() -> None:
    assert (
        load_study({**BASE, "attacks": {**BASE["attacks"], "fgsm": {"kind": "fgsm", "eps": "1e-1"}}})
        .study.attacks["fgsm"]
        .eps
        == 0.1
    )


def test_a_mistake_in_a_job_is_told_in_our_words() -> None:
    for spec, expected in (
        ("{", "--spec: is not valid JSON: "),
        ("3", "--spec: = 3: must be a map of keys to values"),
        ('{"name":"a","seeds":["0"],"simulation":{"kind":"spheres"}}', "--spec: seeds.0 = '0': must be an integer"),
    ):
        with pytest.raises(SystemExit, match=re.escape(f"advgen simulate: {expected}")):
            main(["simulate", "--spec", spec, "--out", "x"])


def test_a_job_that_no_command_line_can_start_is_refused(tmp_path: Path) -> None:
    epochs = ", ".join(map(str, range(1, 2001)))
    path = tmp_path / "study.yaml"
    path.write_text(
        "datasets: {mnist: {kind: mnist}}\n"
        f"classifiers: {{fc: {{dataset: mnist, model: FC10, sweep: {{training.epochs: [{epochs}]}}}}}}\n"
    )
    with pytest.raises(
        ConfigError, match=r"study.yaml: results/tables/classifiers.parquet needs a spec of [0-9,]+ characters"
    ):
        build(load_file(path))


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (
            {"stduy": "a.yaml"},
            "--config stduy=…: unknown key; name a study: --config study=config/config.yaml; did you mean 'study'?",
        ),
        (
            {"Study": "a.yaml"},
            "--config Study=…: unknown key; name a study: --config study=config/config.yaml; did you mean 'study'?",
        ),
        (
            {"datsets": {}},
            "--config datsets=…: unknown key; name a study: --config study=config/config.yaml; did you mean 'datasets'?",
        ),
        (
            {"study": "config/smoke.yaml", "stduy": 1},
            "--config stduy=…: unknown key; name a study: --config study=config/config.yaml; did you mean 'study'?",
        ),
        ({"seeds": [3]}, "--config seeds=…: datasets is missing; edit a study file and name"),
        ({"study": "config/smoke.yaml", "seeds": [3]}, "--config seeds=…: not allowed together with study="),
        ({"study": ["a"]}, "--config study=['a']: must be the path of a study"),
        ({"study": ""}, "--config study='': must be the path of a study"),
    ],
)
def test_keys_given_to_snakemake(config: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_study(config)
    assert str(caught.value).startswith(told)
    assert "\n" not in str(caught.value)


GAN = "gans: {{g: {{dataset: d, generator: dcgan-generator, discriminator: dcgan-discriminator, training: {{{}}}}}}}"


@pytest.mark.parametrize(
    ("definition", "told"),
    [
        (GAN.format("lr_generator: 1e30"), "lr_generator = 1e+30: must be at most 100"),
        ("classifiers: {c: {dataset: d, model: cnn, training: {lr: 1e30}}}", "lr = 1e+30: must be at most 100"),
        ("attacks: {a: {kind: pgd, norm: l2, eps: 1e308}}", "eps = 1e+308: must be at most 1,000,000"),
        ("attacks: {a: {kind: carlini_wagner, lr: 1e30}}", "lr = 1e+30: must be at most 100"),
        (GAN.format("r1: 1e308"), "r1 = 1e+308: must be at most 1,000,000"),
    ],
)
def test_numbers_beyond_all_reason(definition: str, told: str, tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(f"datasets: {{d: {{kind: mnist}}}}\n{definition}\ncv: null\n")
    with pytest.raises(ConfigError, match=re.escape(told)):
        load_file(study)


@pytest.mark.parametrize(
    ("definition", "told"),
    [
        (
            "training: {lr: -1}, sweep: {training.lr: {a: 0.1}}",
            "study.yaml:2: classifiers.c.training.lr = -1: must be g",
        ),
        ("training: {lr: x}, sweep: {training.lr: {a: 0.1}}", "classifiers.c.training.lr = 'x': must be a number"),
        ("training: 5, sweep: {training.lr: {a: 0.1}}", "classifiers.c.training = 5: must be"),
        (
            "training: {lr: 0.1, epochs: 0}, sweep: {training.lr: {a: 0.1}, training.epochs: [1, 2]}",
            "classifiers.c.training.epochs = 0: must be greater than 0",
        ),
        ("sweep: {model: {a: cnn, b: cnm}}", "classifiers.c-b.model"),
    ],
)
def test_a_value_that_a_sweep_replaces_is_checked(definition: str, told: str, tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(
        f"datasets: {{d: {{kind: mnist}}}}\nclassifiers: {{c: {{dataset: d, model: cnn, {definition}}}}}\n"
    )
    with pytest.raises(ConfigError, match=re.escape(told)):
        load_file(study)


def test_a_replaced_value_need_not_go_with_the_swept_ones(tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    sweep = "{eps: {small: 0.2, large: 0.3}, step_size: {small: 0.4, large: 0.5}}"
    attack = f"{{kind: pgd, eps: 0.1, step_size: 0.1, sweep: {sweep}}}"
    study.write_text(f"datasets: {{d: {{kind: mnist}}}}\nattacks: {{a: {attack}}}\n")
    assert len(load_file(study).study.attacks) == 4
