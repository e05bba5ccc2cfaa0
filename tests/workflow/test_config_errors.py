"""Mistakes in a study end before the DAG, in one or two lines that name key, value and remedy."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.project import ROOT, Project

from advgen.core.errors import ConfigError
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
    "unknown attack name": ("    attacks: [fgsm, pgd]\n", "    attacks: [fgsm, pdg]\n", ["transfers.transfer.attacks.1", "did you mean 'pgd'"]),
    "unknown dataset": ("  fc100:\n    dataset: mnist", "  fc100:\n    dataset: minst", ["classifiers.fc100.dataset", "did you mean 'mnist'"]),
    "impossible pair": ("latent: 16}\n    discriminator", "latent: 16, start: [64, 16, 16]}\n    discriminator", ["gans.tiny-gan.generator", "1×64×64", "1×28×28"]),
    "discriminator for other images": ("discriminator: dcgan-discriminator", "discriminator: {preset: M3, image: [3, 64, 64]}", ["gans.tiny-gan.discriminator", "3×64×64"]),
    "negative eps": ("fgsm, eps: 0.1}", "fgsm, eps: -0.1}", ["attacks.fgsm.eps", "-0.1", "greater than or equal to 0"]),
    "empty sweep": ("sources: [fc100]\n    targets", "sources: []\n    targets", ["transfers.transfer.sources", "at least 1"]),
    "malformed YAML": ("fgsm, eps: 0.1}", "fgsm, eps: 0.1", ["smoke.yaml:", "not valid YAML"]),
    "key twice": ("  pgd: {kind", "  fgsm: {kind", ["attacks.fgsm", "twice"]),
    "name taken": ("  restore:\n    gen", "  pepper:\n    gen", ["inpaintings.pepper", "taken"]),
    "bad name": ("  walk:\n", "  Walk It:\n", ["interpolations.Walk It", "small letters"]),
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
def test_an_old_word_names_the_new_one(word: str) -> None:
    study: dict[str, Any] = yaml.safe_load((ROOT / "config/smoke.yaml").read_text())
    path, keys = OLD[word]
    holder = study
    for key in path.split("."):
        holder = holder[key]
    holder |= keys
    with pytest.raises(ConfigError) as caught:
        load_study(study)
    assert f"it is now called {RENAMED[word]}" in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 2


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
    assert "there: study.yaml" in message(tmp_path / "nowhere.yaml")
    assert "the usual one is config/config.yaml" in message(tmp_path / "empty" / "nowhere.yaml")


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


def test_base_study_lends_definitions(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(TEXT)
    path = tmp_path / "study.yaml"
    path.write_text(
        "base: base.yaml\ncv: null\nattacks:\n  fgsm: {kind: fgsm, eps: 0.5}\nfigures:\n  own: {kind: robustness, sources: [cnn], attacks: [fgsm]}\n"
    )
    loaded = load_file(path)
    assert loaded.study.attacks["fgsm"].eps == 0.5  # type: ignore[attr-defined]
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


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, item in inner for found in _paths(item, (*path, key)))]


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**6), 10**6),
    st.floats(),
    st.text(max_size=20),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=8), st.integers(), max_size=3),
    st.sampled_from(["mnist", "pgd", "tiny-gan", "M1", "M3", {"kind": "fgsm"}, {"preset": "M1"}, "../../etc/passwd"]),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(path=st.sampled_from(_paths(BASE)[1:]), junk=JUNK, action=st.sampled_from(["replace", "delete", "rename"]))
def test_any_mutation_is_accepted_or_explained(path: tuple[Any, ...], junk: Any, action: str) -> None:
    study = yaml.safe_load(TEXT)
    holder = study
    for key in path[:-1]:
        holder = holder[key]
    if action == "replace":
        holder[path[-1]] = junk
    elif action == "delete":
        del holder[path[-1]]
    elif isinstance(holder, dict):
        holder[str(junk)] = holder.pop(path[-1])
    try:
        load_study(study)
    except ConfigError as error:
        assert 1 <= len(str(error).splitlines()) <= 2, str(error)
        assert len(str(error)) < 1200


MORE_MISTAKES = {
    "mask larger than the image": ("square: {kind: square}", "square: {kind: square, size: 40}", ["inpaintings.restore.masks", "square"]),
    "seed too large": ("seeds: [0]", "seeds: [3000000000]", ["seeds.0", "3000000000"]),
    "seed twice": ("seeds: [0]", "seeds: [1, 1]", ["seeds", "twice"]),
    "target twice": ("targets: [fc100, cnn]", "targets: [cnn, cnn]", ["transfers.transfer.targets", "'cnn' stands twice"]),
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
