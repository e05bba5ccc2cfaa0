"""Sweeps are declared once; data sets are made from data sets; what cannot be is told with its key."""

import shlex
from pathlib import Path

import pytest

from advgen.core.errors import ConfigError
from advgen.driver import plan as planning
from advgen.driver.plan import build, quote_files
from advgen.study.load import LoadedStudy, load_file

STUDY = """
datasets:
  mnist: {kind: mnist, train: 2000, test: 400}
  half: {kind: part, base: mnist, sweep: {part: [0, 1]}}
evaluation: {attack_examples: 40, gan_samples: 200, validation: 200}
gans:
  gan:
    dataset: mnist
    generator: dcgan-generator
    discriminator: dcgan-discriminator
    sweep: {training.loss: [non_saturating, mse], training.unroll: [0, 4]}
classifiers:
  fc:
    dataset: mnist
    model: FC100-100-10
    sweep: {model.hidden: {small: [32], large: [64, 64]}}
  halved: {dataset: half-1, model: FC10}
probes:
  inside: {of: gan-mse-0, part: features, dataset: mnist}
attacks:
  pgd: {kind: pgd, sweep: {eps: {low: 0.1, high: 0.3}}}
transfers:
  matrix: {sources: [fc, inside], targets: [halved, fc], attacks: [pgd]}
figures:
  fc: {kind: transfer_matrix, transfer: matrix}
"""


def load(tmp_path: Path, text: str = STUDY) -> LoadedStudy:
    """A study from a text."""
    path = tmp_path / "study.yaml"
    path.write_text(text)
    return load_file(path)


def test_every_combination_becomes_a_definition(tmp_path: Path) -> None:
    study = load(tmp_path).study
    assert list(study.gans) == ["gan-non-saturating-0", "gan-non-saturating-4", "gan-mse-0", "gan-mse-4"]
    assert (study.gans["gan-mse-4"].training.loss, study.gans["gan-mse-4"].training.unroll) == ("mse", 4)
    assert study.classifiers["fc-large"].model.hidden == (64, 64)  # type: ignore[attr-defined]
    assert study.classifiers["fc-large"].model.activation == "sigmoid"  # type: ignore[attr-defined]
    assert [study.datasets[f"half-{part}"].part for part in (0, 1)] == [0, 1]  # type: ignore[attr-defined]
    assert study.facts("half-1").train == 1000


def test_a_list_that_selects_a_sweep_selects_its_members(tmp_path: Path) -> None:
    transfer = load(tmp_path).study.transfers["matrix"]
    assert transfer.sources == ("fc-small", "fc-large", "inside")
    assert transfer.targets == ("halved", "fc-small", "fc-large")
    assert transfer.attacks == ("pgd-low", "pgd-high")


def test_members_are_planned_each_once(tmp_path: Path) -> None:
    plan = build(load(tmp_path))
    assert len(plan.jobs_of("craft")) == 3 * 2
    assert {job.wildcards["gan"] for job in plan.jobs_of("train_gan")} == {
        "gan-non-saturating-0",
        "gan-non-saturating-4",
        "gan-mse-0",
        "gan-mse-4",
    }
    [probe] = plan.jobs_of("train_probe")
    assert probe.inputs["model"] == "results/gans/gan-mse-0/seed0/discriminator.safetensors"
    [half] = [job for job in plan.jobs_of("derive_dataset") if job.wildcards["derived"] == "half-1"]
    assert half.inputs["train"] == "results/datasets/mnist/train.parquet"
    trained = {job.wildcards["classifier"]: job for job in plan.jobs_of("train_classifier")}
    assert trained["halved"].inputs["data"] == half.outputs["train"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("sweep: {part: [0, 1]}", "sweep: {part: [0, 2]}", ["datasets.half-2", "does not exist"]),
        ("sweep: {part: [0, 1]}", "sweep: [0, 1]", ["datasets.half.sweep", "must map keys"]),
        ("sweep: {part: [0, 1]}", "sweep: {part: 1}", ["datasets.half.sweep.part", "must be a list"]),
        ("sweep: {part: [0, 1]}", "sweep: {part: []}", ["datasets.half.sweep.part", "no values"]),
        ("{low: 0.1, high: 0.3}", "[0.1, 0.3]", ["attacks.pgd.sweep.eps", "0.1", "needs a label"]),
        ("{low: 0.1, high: 0.3}", "{Low: 0.1}", ["attacks.pgd-Low", "lower-case letters"]),
        ("training.unroll: [0, 4]", "training.unrol: [0, 4]", ["training.unrol", "did you mean 'unroll'"]),
        ("part: [0, 1]}}\n", "part: [0, 1]}}\n  half-0: {kind: mnist}\n", ["datasets.half.sweep", "'half-0'"]),
        ("{kind: part, base: mnist, sweep: {part: [0, 1]}}", "{kind: robust_features, base: mnist, classifier: halved}\n  half-1: {kind: shuffled_labels, base: half}", ["is itself made from"]),
        ("base: mnist", "base: half-1", ["datasets.half-1.base", "is itself made from"]),
        ("of: gan-mse-0, part: features", "of: gan-mse-0, part: decision", ["probes.inside.dataset", "real_fake"]),
        ("halved: {dataset: half-1", "halved: {images: 1000, dataset: half-1", ["classifiers.halved.images", "only 800"]),
    ],
)  # fmt: skip
def test_mistakes_name_their_key(tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    assert STUDY.count(old) == 1
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, STUDY.replace(old, new))
    assert len(str(caught.value).splitlines()) <= 2
    for word in words:
        assert word in str(caught.value)


def test_a_generator_from_a_file_needs_no_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = """
datasets: {mnist: {kind: mnist, train: 2000, test: 400}}
evaluation: {attack_examples: 40, gan_samples: 200, validation: 200}
generators: {mine: {dataset: mnist, file: mine.safetensors}}
inversions: {search: {generators: [mine], images: 8}}
"""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="no such file"):
        build(load(tmp_path, text))
    (tmp_path / "mine.safetensors").touch()
    plan = build(load(tmp_path, text))
    assert not plan.has("train_gan")
    [job] = plan.jobs_of("invert")
    assert job.inputs["generator"] == "mine.safetensors"
    assert job.wildcards == {"inversion": "search", "generator": "mine", "seed": "0"}


def test_many_files_are_listed_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    few = ["results/a b.parquet", "results/c.parquet"]
    assert shlex.split(quote_files(few)) == few
    many = [f"results/attacks/source-{number}/seed0/pgd.parquet" for number in range(5000)]
    word = quote_files(many)
    assert len(word) < 100
    assert Path(word.removeprefix("@")).read_text().splitlines() == many
    assert quote_files(many) == word
    assert len(shlex.join(many)) > planning.MAX_LINE
