"""Kinds of experiments: unique names, effects of all keys, and checks of definitions."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from tests.project import ROOT, Project

from advgen.core import catalog
from advgen.core.errors import ConfigError
from advgen.core.kinds import Experiment
from advgen.core.paths import wildcards_of
from advgen.driver.plan import build
from advgen.io.tables import add_swept_columns, arrow_table
from advgen.study.load import load_file

READ = {"inversions": {"encoder"}}
"""Keys that select an input file and are not part of the spec."""


def test_each_key_of_a_definition_reaches_the_task() -> None:
    kinds = [kind for kind in catalog.KINDS if isinstance(kind, Experiment)]
    assert len(kinds) > 5
    for kind in kinds:
        [task] = kind.tasks
        keys = set(kind.definition.model_fields) - {kind.subjects_key}
        assert keys - set(task.model_fields) == READ.get(kind.name, set()), kind.name
        for pattern in task.outputs.values():
            assert {kind.wildcard, "seed"} < set(wildcards_of(pattern))


def test_every_summary_and_check_reads_a_file_that_some_job_writes() -> None:
    named = [(one.rule, one.role) for one in catalog.SUMMARIES.values()]
    named += [one for kind in catalog.KINDS for one in kind.sanity_inputs]
    for rule, role in named:
        assert role in catalog.RULES[rule].outputs
    assert {one.table for one in catalog.SUMMARIES.values()} <= catalog.TABLES.keys()


@pytest.mark.parametrize(
    ("old", "new", "taken"),
    [
        (
            'command = "corrupt"',
            'command = "linearity"',
            "rule 'linearity' is already used by advgen.experiments.linearities",
        ),
        ('["corruption"]', '["linearity"]', "figure 'linearity' is already used by advgen.experiments.linearities"),
        ('"corruptions": Summary', '"gans": Summary', "summary 'gans' is already used by advgen.experiments.gans"),
        (
            "corruption:\n  key",
            "linearity:\n  key",
            "table 'linearity' is already used by advgen.experiments.linearities",
        ),
    ],
)
def test_a_duplicate_name_is_an_error(old: str, new: str, taken: str, tmp_path: Path) -> None:
    copy = Project(tmp_path / "copy")
    room = copy.folder / "src/advgen/experiments/linearities2"
    room.mkdir()
    files = {name: (ROOT / "tests/kinds/corruptions" / name).read_text() for name in ("experiment.py", "tables.yaml")}
    assert any(old in text for text in files.values())
    for name, text in files.items():
        (room / name).write_text(text.replace(old, new))
    result = copy.advgen("plan")
    assert result.returncode == 1
    assert taken in result.stderr or taken.replace("advgen.experiments.linearities", "") in result.stderr


SWEPT = """
seeds: [0]
evaluation: {attack_examples: 20}
datasets: {mnist: {kind: mnist}}
classifiers:
  net:
    dataset: mnist
    model: FC10
    sweep: {training.lr: {slow: 1e-4, fast: 1e-3}, defence: {none: null, noise: {kind: noise}}}
attacks:
  push: {kind: pgd, sweep: {eps: {small: 0.1, large: 0.3}}}
transfers:
  all: {sources: [net], targets: [net], attacks: [push]}
"""


def test_swept_keys_are_columns_of_the_tidy_tables(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(SWEPT)
    plan = build(load_file(tmp_path / "study.yaml"))
    tables = {job.outputs["table"]: json.loads(job.spec)["varied"] for job in plan.jobs if "table" in job.outputs}
    net = {"net-slow-none", "net-slow-noise", "net-fast-none", "net-fast-noise"}
    assert set(tables["results/tables/classifiers.parquet"]) == net
    assert set(tables["results/tables/robustness.parquet"]) == {*net, "push-small", "push-large"}
    assert tables["results/tables/all.parquet"]["push-small"] == {"eps": 0.1}
    varied = tables["results/tables/classifiers.parquet"]
    assert varied["net-fast-noise"] == {"training.lr": 1e-3, "defence": "noise"}
    columns = {
        name: 0 if "int" in str(kind) else 0.5 for name, kind in catalog.TABLES["classifier_quality"].columns.items()
    }
    columns |= {"classifier": ["net-slow-none", "net-fast-noise", "other"], "defence": "none"}
    columns |= {"dataset": "mnist", "tested_on": "mnist"}
    table = add_swept_columns(arrow_table("classifier_quality", columns), varied)
    assert table.column("classifier").to_pylist() == ["net-fast-noise", "net-slow-none", "other"]
    assert table.column("classifier.training.lr").to_pylist() == [1e-3, 1e-4, None]
    assert table.schema.field("classifier.training.lr").type == pa.float64()
    assert table.column("classifier.defence").to_pylist() == ["noise", "none", None]


MADE_WRONGLY = """
seeds: [0]
datasets:
  mnist: {kind: mnist}
%s
gans:
  net: {dataset: %s, generator: dcgan-generator, discriminator: dcgan-discriminator}
probes:
  features: {of: net, part: features, dataset: mnist}
"""


@pytest.mark.parametrize(
    ("dataset", "of", "key"),
    [
        ("  fake: {kind: real_fake, base: mnist, gan: net, seed: 7}", "mnist", "datasets.fake.seed = 7"),
        (
            "  moved: {kind: adversarial_labels, base: mnist, classifier: features}",
            "moved",
            "datasets.moved.classifier = 'features'",
        ),
    ],
)
def test_a_data_set_that_cannot_be_made_is_an_error(dataset: str, of: str, key: str, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(MADE_WRONGLY % (dataset, of))
    with pytest.raises(ConfigError) as caught:
        load_file(tmp_path / "study.yaml")
    assert key in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


PROBES = """
seeds: [0]
datasets:
  mnist: {kind: mnist}
  fake: {kind: real_fake, base: mnist, gan: net}
gans:
  net: {dataset: mnist, generator: dcgan-generator, discriminator: dcgan-discriminator}
classifiers:
  digits: {dataset: mnist, model: FC10}
  many: {dataset: mnist, model: {kind: ensemble, member: FC10}, defence: {kind: bayesian}}
autoencoders:
  flat: {dataset: mnist, model: AE400}
  conv: {dataset: mnist, model: conv-autoencoder}
probes:
  seen: {%s}
"""


@pytest.mark.parametrize(
    ("probe", "message"),
    [
        ("of: net, part: decision, dataset: fake", ""),
        ("of: net, part: decision, dataset: fake, threshold: zero", ""),
        ("of: net, part: features, body: random, dataset: mnist", ""),
        ("of: net, part: whole, dataset: mnist", ""),
        ("of: digits, part: features, dataset: mnist", ""),
        ("of: digits, part: whole, dataset: fake", ""),
        ("of: flat, part: whole, dataset: mnist", ""),
        ("of: digits, part: decision, dataset: fake", "probes.seen.of = 'digits': must be a GAN, or for features or"),
        ("of: many, part: features, dataset: mnist", "probes.seen.of = 'many': must be a GAN, or for features or"),
        ("of: conv, part: features, dataset: mnist", "probes.seen.of = 'conv': must be a GAN, or for features or"),
        ("of: net, part: decision, body: random, dataset: fake", "probes.seen.body = 'random': a decision always"),
        (
            "of: net, part: features, dataset: mnist, threshold: zero",
            "probes.seen.threshold = 'zero': only a decision has a threshold, not 'features'; remove it",
        ),
        ("of: net, part: whole, dataset: mnist, threshold: fitted", "probes.seen.threshold = 'fitted': only a"),
        ("of: net, part: decision, dataset: fake, threshold: 0.5", "probes.seen.threshold = 0.5"),
    ],
)
def test_the_models_that_a_probe_supports(probe: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(PROBES % probe)
    if not message:
        load_file(tmp_path / "study.yaml")
        return
    with pytest.raises(ConfigError, match=message) as caught:
        load_file(tmp_path / "study.yaml")
    assert len(str(caught.value).splitlines()) == 1


def test_the_catalog_needs_no_torch() -> None:
    code = "import sys, advgen.core.catalog; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


PAIRS = """
seeds: [0, 3]
datasets:
  mnist: {kind: mnist}
  faces: {kind: celeba}
  fake: {kind: real_fake, base: mnist, gan: net}
gans:
  net: {dataset: mnist, generator: dcgan-generator, discriminator: dcgan-discriminator}
classifiers:
  digits: {dataset: mnist, model: FC10}
  again: {dataset: mnist, model: FC10}
  smiles: {dataset: faces, model: FC10}
  real: {dataset: fake, model: FC10}
attacks: {push: {kind: pgd}}
transfers:
  all: {sources: [digits], targets: [%s], attacks: [push]}
probes:
  seen: {of: net, part: decision, dataset: fake, seeds: [%s]}
linearities:
  lines: {sources: [digits], images: %s}
"""


@pytest.mark.parametrize(
    ("targets", "seeds", "images", "message"),
    [
        ("again", "3", "10000", ""),
        ("smiles", "3", "1", "transfers.all: sources and targets have images of different shapes or classes"),
        ("real", "3", "1", "transfers.all: sources and targets have images of different shapes or classes"),
        ("again", "5, 7", "1", "probes.seen.seeds: 5 is no seed of 'net' (trained with 0, 3)"),
        ("again", "3", "10001", "linearities.lines.images = 10001: there are only 10000 test images"),
    ],
)
def test_pairs_that_do_not_fit_are_an_error(
    targets: str, seeds: str, images: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "study.yaml").write_text(PAIRS % (targets, seeds, images))
    if not message:
        load_file(tmp_path / "study.yaml")
        return
    with pytest.raises(ConfigError) as caught:
        load_file(tmp_path / "study.yaml")
    assert str(caught.value).endswith(message)


def test_a_command_has_the_paths_that_snakemake_gives() -> None:
    """They can differ from those of the plan, because a module may add a prefix."""
    plan = build(load_file(ROOT / "config/smoke.yaml"))
    given = {"models": ["b.safetensors", "c.safetensors"], "histories": "sub dir/a.parquet", "data": "d.parquet"}
    words = plan.files("evaluate_classifiers", {}, given, {"table": "sub/table.parquet"})
    expected = "--models b.safetensors c.safetensors --histories 'sub dir/a.parquet' --data d.parquet"
    assert words == f"{expected} --out sub/table.parquet"
    searched = next(job for job in plan.jobs if job.rule == "invert")
    made = {role: f"{role}.parquet" for role in searched.outputs}
    assert plan.files("invert", searched.wildcards, {"data": "d", "judge": "j"}, made).startswith(
        "--generator --judge j --data d --train --encoder --out"
    )
    with pytest.raises(ValueError, match="rule invert: this study plans no such job"):
        plan.job("invert", {"inversion": "none"})
