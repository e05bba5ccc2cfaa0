"""Who reads what: a table written apart from the plan, for every job of every study that is shipped."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.project import ROOT

from advgen.core.code import package_file
from advgen.core.errors import ConfigError
from advgen.core.kinds import PlannedJob
from advgen.driver.plan import MAX_LINE, Plan, build, quote_files
from advgen.specs.datasets import DerivedDataset
from advgen.study.load import load_file, load_study
from advgen.study.tree import Study

STUDIES = sorted([*(ROOT / "config").glob("*.yaml"), *(ROOT / "tests").glob("*.yaml")])

TRAIN, TEST = "results/datasets/{dataset}/train.parquet", "results/datasets/{dataset}/test.parquet"
JUDGE = "results/judges/{dataset}/judge.safetensors"
SECOND = "results/judges/{dataset}/second.safetensors"
CALIBRATION = "results/judges/{dataset}/calibration.parquet"
CLASSIFIER = "results/classifiers/{source}/seed{seed}/classifier.safetensors"
PROBE = "results/probes/{source}/seed{seed}/classifier.safetensors"
GENERATOR = "results/gans/{generator}/seed{seed}/generator.safetensors"
DISCRIMINATOR = "results/gans/{generator}/seed{seed}/discriminator.safetensors"
AUTOENCODER = "results/autoencoders/{autoencoder}/seed{seed}/autoencoder.safetensors"

READS: dict[str, dict[str, str]] = {
    "train_judge": {"data": TRAIN},
    "calibrate_judge": {"judge": JUDGE, "second": SECOND, "train": TRAIN, "test": TEST},
    "train_gan": {"data": TRAIN, "judge": "{scored}"},
    "evaluate_gan": {
        "generator": GENERATOR,
        "discriminator": DISCRIMINATOR,
        "history": "results/gans/{generator}/seed{seed}/history.parquet",
        "judge": JUDGE,
        "second": SECOND,
        "calibration": CALIBRATION,
        "data": TEST,
    },
    "train_autoencoder": {"data": TRAIN},
    "evaluate_autoencoder": {
        "model": AUTOENCODER,
        "judge": JUDGE,
        "calibration": CALIBRATION,
        "data": TEST,
        "train": TRAIN,
    },
    "train_classifier": {"data": TRAIN},
    "train_probe": {"model": "{probed}", "data": TRAIN},
    "train_encoder": {"generator": GENERATOR},
    "invert": {"generator": GENERATOR, "judge": JUDGE, "data": TEST, "train": TRAIN, "encoder": "{encoder}"},
    "inpaint": {"generator": GENERATOR, "judge": JUDGE, "data": TEST, "train": TRAIN, "discriminator": "{prior}"},
    "truncate": {"generator": GENERATOR, "judge": JUDGE, "second": SECOND, "calibration": CALIBRATION, "data": TEST},
    "interpolate": {"model": "{interpolated}", "judge": JUDGE, "data": TEST},
    "craft": {"model": "{victim}", "data": TEST},
    "linearity": {"model": "{victim}", "data": TEST},
    "converge": {"model": "{victim}", "data": TEST},
    "simulate": {},
    "count_parameters": {},
}
"""What one job reads of its data set and models; an empty name is nothing."""


def planned(study: Path) -> tuple[Study, Plan]:
    loaded = load_file(study)
    return loaded.study, build(loaded)


def names(study: Study, job: PlannedJob) -> dict[str, str]:
    """What stands in the braces of READS for a job."""
    given: dict[str, Any] = dict(job.wildcards)
    seed = given.get("seed", "")

    def trained(pattern: str, **more: str) -> str:
        return pattern.format(**{"seed": seed, **more})

    match job.rule:
        case "train_gan" | "evaluate_gan":
            given["generator"], given["dataset"] = given["gan"], study.gans[given["gan"]].dataset
            judged = study.gans[given["gan"]].training.checkpoint_selection > 0
            given["scored"] = JUDGE.format(dataset=given["dataset"]) if judged else ""
        case "train_autoencoder" | "evaluate_autoencoder":
            given["dataset"] = study.autoencoders[given["autoencoder"]].dataset
        case "train_classifier":
            given["dataset"] = study.classifiers[given["classifier"]].dataset
        case "train_probe":
            probe = study.probes[given["probe"]]
            given["dataset"] = probe.dataset
            if probe.of in study.gans:
                given["probed"] = trained(DISCRIMINATOR, generator=probe.of)
            elif probe.of in study.classifiers:
                given["probed"] = trained(CLASSIFIER, source=probe.of)
            else:
                given["probed"] = trained(AUTOENCODER, autoencoder=probe.of)
        case "train_encoder":
            given["generator"] = study.encoders[given["encoder"]].generator
        case "craft" | "linearity" | "converge":
            source = given["source"]
            is_classifier = source in study.classifiers
            given["dataset"] = study.tested_on(source)
            given["victim"] = trained(CLASSIFIER if is_classifier else PROBE, source=source)
        case "invert" | "inpaint" | "truncate":
            given["dataset"] = study.gans[given["generator"]].dataset
            if job.rule == "invert":
                encoder = study.inversions[given["inversion"]].encoder
                given["encoder"] = f"results/encoders/{encoder}/seed{seed}/encoder.safetensors" if encoder else ""
            if job.rule == "inpaint":
                prior = "contextual_prior" in study.inpaintings[given["inpainting"]].methods
                given["prior"] = trained(DISCRIMINATOR, generator=given["generator"]) if prior else ""
        case "interpolate":
            model = given["model"]
            of_gan, of_autoencoder = trained(GENERATOR, generator=model), trained(AUTOENCODER, autoencoder=model)
            given["dataset"] = (study.gans if model in study.gans else study.autoencoders)[model].dataset
            given["interpolated"] = of_gan if model in study.gans else of_autoencoder
    return given


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.stem)
def test_every_job_reads_its_own_models_and_the_right_split(study: Path) -> None:
    defined, plan = planned(study)
    seen = Counter(job.rule for job in plan.jobs)
    assert seen["craft"] > 0
    for job in plan.jobs:
        if job.rule in READS:
            expected = {role: pattern.format(**names(defined, job)) for role, pattern in READS[job.rule].items()}
            read = {role: files if isinstance(files, str) else " ".join(files) for role, files in job.inputs.items()}
            assert read == expected, job.wildcards


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.stem)
def test_every_attack_reads_the_test_split(study: Path) -> None:
    """And no training does."""
    defined, plan = planned(study)
    for job in plan.jobs:
        if job.rule in ("craft", "linearity", "converge"):
            source = job.wildcards["source"]
            assert job.inputs["data"] == f"results/datasets/{defined.tested_on(source)}/test.parquet"
        if job.rule.startswith("train_") and "data" in job.inputs:
            assert str(job.inputs["data"]).endswith("/train.parquet")


GATHERED: dict[str, tuple[str, str]] = {
    "gans": ("evaluate_gan", "quality"),
    "autoencoders": ("evaluate_autoencoder", "quality"),
    "inversions": ("invert", "inversion"),
    "inpaintings": ("inpaint", "inpainting"),
    "interpolations": ("interpolate", "interpolation"),
    "truncations": ("truncate", "quality"),
    "robustness": ("craft", "examples"),
    "linearity": ("linearity", "logits"),
    "certified": ("certify", "radii"),
    "simulations": ("simulate", "series"),
    "comparisons": ("compare", "effects"),
}
"""From which rule's output each table is gathered; the others are of transfers."""
BESIDE = {"robustness": ("transfer", "examples")}
"""What a table counts, too."""


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.stem)
def test_what_gathers_misses_nothing(study: Path) -> None:
    defined, plan = planned(study)

    def made(rule: str, role: str) -> tuple[str, ...]:
        return tuple(job.outputs[role] for job in plan.jobs if job.rule == rule)

    tables = {job.wildcards["table"]: job.inputs["tables"] for job in plan.jobs_of("summarise")}
    for name, (rule, role) in GATHERED.items():
        beside = made(*BESIDE[name]) if name in BESIDE else ()
        assert tables.pop(name, ()) == made(rule, role) + beside, name
    for name, rows in tables.items():
        transfer = defined.transfers[name]
        assert rows == tuple(f for f in made("transfer", "row") if f.startswith(f"results/transfers/{name}/"))
        sources = sum(len(defined.seeds_of(source)) for source in transfer.sources)
        assert len(rows) == sources * len(transfer.attacks)
    trained = [job for job in plan.jobs if job.rule in ("train_classifier", "train_probe")]
    [tested] = plan.jobs_of("evaluate_classifiers")
    assert tested.inputs["models"] == tuple(job.outputs["model"] for job in trained)
    assert tested.inputs["histories"] == tuple(job.outputs["history"] for job in trained)
    of = [job.wildcards.get("classifier") or job.wildcards["probe"] for job in trained]
    assert tested.inputs["data"] == tuple(TEST.format(dataset=defined.tested_on(name)) for name in of)
    [checks] = plan.jobs_of("sanity_checks")
    judged = [("evaluate_gan", "quality"), ("evaluate_autoencoder", "quality")]
    judged += [("evaluate_autoencoder", "reconstructions"), ("craft", "examples"), ("calibrate_judge", "calibration")]
    judged += [
        ("invert", "inversion"),
        ("inpaint", "inpainting"),
        ("interpolate", "interpolation"),
        ("transfer", "row"),
        ("transfer", "examples"),
        ("linearity", "logits"),
        ("converge", "steps"),
        ("certify", "radii"),
    ]
    judged += [("evaluate_classifiers", "table")] if plan.has("craft") else []
    assert checks.inputs["tables"] == tuple(path for rule, role in judged for path in made(rule, role))
    assert checks.inputs["models"] == tuple(job.inputs["model"] for job in plan.jobs_of("craft"))
    attacked = sorted({defined.tested_on(job.wildcards["source"]) for job in plan.jobs_of("craft")})
    assert checks.inputs["data"] == tuple(TEST.format(dataset=name) for name in attacked)
    [qa] = plan.jobs_of("qa")
    assert qa.inputs == {"checks": ("results/tables/sanity_checks.parquet",)}
    [verify] = plan.jobs_of("verify")
    everything = {path for job in plan.jobs if job.rule not in ("verify", "qa") for path in job.outputs.values()}
    assert sorted(verify.inputs["artefacts"]) == sorted(everything)
    assert plan.has("count_parameters") == (plan.has("train_gan") or plan.has("train_autoencoder"))
    for report in plan.jobs_of("report_page"):
        assert report.inputs["figures"] == made("draw", "png")
        roles = [("summarise", "table"), ("evaluate_classifiers", "table"), ("agree", "table")]
        roles += [("count_parameters", "table"), ("calibrate_judge", "calibration"), ("sanity_checks", "checks")]
        assert report.inputs["tables"] == tuple(path for rule, role in roles for path in made(rule, role))
        kinds = {one.kind for one in defined.figures.values()}
        assert {Path(path).stem for path in report.inputs["captions"]} <= kinds
        assert report.inputs["templates"] == tuple(
            package_file(f"report/report.{end}") for end in ("html.j2", "css", "js")
        )
    assert plan.has("report_page") == plan.has("draw")


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.stem)
def test_models_are_trained_with_their_own_seeds_alone(study: Path) -> None:
    defined, plan = planned(study)
    for family in ("gan", "autoencoder", "classifier", "probe"):
        seeds: dict[str, list[int]] = {}
        for job in plan.jobs_of(f"train_{family}"):
            seeds.setdefault(job.wildcards[family], []).append(int(job.wildcards["seed"]))
        assert seeds == {name: list(defined.seeds_of(name)) for name in seeds}
    for job in plan.jobs:
        task = job.task.model_dump()
        for key in ("seed", "source_seed"):
            if key in task and "seed" in job.wildcards:
                assert task[key] == int(job.wildcards["seed"]), job
        assert task.get("choice", defined.evaluation.seed) == defined.evaluation.seed
    for job in plan.jobs_of("transfer"):
        transfer = defined.transfers[job.wildcards["study"]]
        targets = [(name, seed) for name in transfer.targets for seed in defined.seeds_of(name)]
        assert list(zip(job.task.targets, job.task.seeds, strict=True)) == targets
        names = ["classifiers" if name in defined.classifiers else "probes" for name, _ in targets]
        models = [f"results/{f}/{n}/seed{s}/classifier.safetensors" for f, (n, s) in zip(names, targets, strict=True)]
        assert job.inputs["targets"] == tuple(models)


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.stem)
def test_data_sets_are_made_of_both_splits_of_their_base(study: Path) -> None:
    defined, plan = planned(study)
    for job in plan.jobs_of("derive_dataset"):
        dataset = defined.datasets[job.wildcards["derived"]]
        assert isinstance(dataset, DerivedDataset)
        assert job.inputs["train"] == TRAIN.format(dataset=dataset.base)
        assert job.inputs["test"] == TEST.format(dataset=dataset.base)
        [need] = [*dataset.needs()] or [None]
        model = job.inputs["model"]
        if need is None:
            assert model == ()
        elif need.family == "gans":
            assert model == (GENERATOR.format(generator=need.names[0], seed=need.seed),)
        else:
            folder = CLASSIFIER if need.names[0] in defined.classifiers else PROBE
            assert model == (folder.format(source=need.names[0], seed=need.seed),)
    for job in plan.jobs_of("make_dataset"):
        files = list(defined.datasets[job.wildcards["raw"]].files())
        assert job.inputs["raw"] == tuple(f"results/datasets/{job.wildcards['raw']}/raw/{file}" for file in files)
        part = defined.datasets[job.wildcards["raw"]]
        whole = part.train is None and part.test is None
        assert job.task.seed == (0 if whole else defined.evaluation.seed)
        [fetch] = [one for one in plan.jobs_of("fetch") if one.wildcards["dataset"] == job.wildcards["raw"]]
        assert fetch.outputs == dict(zip(files, job.inputs["raw"], strict=True))
        assert fetch.inputs == {}


def test_validation_takes_a_third_of_a_small_data_set_at_most() -> None:
    defined, plan = planned(ROOT / "config/evening.yaml")
    apart = {job.wildcards["classifier"]: job.task.validation for job in plan.jobs_of("train_classifier")}
    assert apart["cnn-plain"] == defined.evaluation.validation == 5000
    assert apart["small-plain"] == 15_000 // 3
    assert apart["symbol-net-google"] == 3_154 // 3
    assert defined.training_images("symbols-google") == 3_154 - 3_154 // 3


def test_figures_read_the_tables_that_they_name() -> None:
    _, plan = planned(ROOT / "config/config.yaml")
    tables = {job.wildcards["figure"]: job.inputs["tables"] for job in plan.jobs_of("draw")}
    read = {path for files in tables.values() for path in files}
    made = set(plan.outputs())
    assert read <= made
    assert all(files and len(set(files)) == len(files) for files in tables.values())
    assert {job.inputs["style"] for job in plan.jobs_of("draw")} == {"src/advgen/figures/advgen.mplstyle"}


def test_what_the_cv_is_made_of() -> None:
    study, plan = planned(ROOT / "config/config.yaml")
    assert study.cv is not None
    [data] = [job for job in plan.jobs_of("cv_data") if job.wildcards["variant"] == "cv"]
    assert data.inputs["profile"] == study.cv.profile
    assert data.inputs["bibliography"] == (study.cv.bibliography,)
    assert data.inputs["metrics"] == ((study.cv.metrics,) if study.cv.metrics else ())
    assert data.inputs["overlay"] == ((study.cv.overlay,) if study.cv.overlay else ())
    named = re.findall(r"result\('(\w+)'", (ROOT / study.cv.profile).read_text(encoding="utf-8"))
    assert set(data.inputs["tables"]) == {f"results/tables/{name}.parquet" for name in named}
    assert len(data.inputs["tables"]) == len(set(named))
    for job in plan.jobs_of("cv_render"):
        assert job.inputs["cv"] == f"results/cv/{job.wildcards['variant']}.json"
        assert set(job.inputs["figures"]) <= {one.outputs["png"] for one in plan.jobs_of("draw")}
        assert [Path(path).stem for path in job.inputs["figures"]] == list(job.task.figures)
        assert job.task.format == job.wildcards["format"]


def test_questions_to_a_plan() -> None:
    _, plan = planned(ROOT / "tests/spine.yaml")
    given = {"source": "fc100", "seed": "0", "attack": "pgd"}
    craft = plan.job("craft", given)
    assert plan.jobs_of("craft") == [craft]
    assert plan.inputs("craft", given) == dict(craft.inputs)
    assert plan.spec("craft", given) == craft.spec == craft.task.canonical()
    assert plan.code("craft", given) == craft.code
    assert re.fullmatch("[0-9a-f]+", craft.code)
    assert plan.outputs("craft", "qa") == ["results/attacks/fc100/seed0/pgd.parquet", "results/report/qa.md"]
    assert len(plan.outputs()) == sum(len(job.outputs) for job in plan.jobs) > 12
    assert plan.has("craft") is True
    assert plan.has("train_gan") is False
    assert plan.constraint("classifier") == "cnn|fc100"
    assert re.fullmatch(plan.constraint("gan"), "anything") is None
    assert {"attack", "seed", "variant"} <= set(plan.wildcards())
    assert plan.wildcards() == sorted(plan.wildcards())
    assert plan.study == str(ROOT / "tests/spine.yaml")
    with pytest.raises(AssertionError):
        Plan([craft, craft])


def test_a_run_ends_with_the_places_of_its_results() -> None:
    trace = "prints where a file comes from"
    spine = planned(ROOT / "tests/spine.yaml")[1]
    assert planned(ROOT / "config/config.yaml")[1].describe_results().splitlines() == [
        "Results:",
        "  results/report/index.html    report with all figures, tables and checks",
        "  results/cv/                  CV",
        "  results/tables/              tables (Parquet)",
        f"  python -m advgen trace FILE  {trace}",
    ]
    assert spine.describe_results([str(Path.cwd() / "a/very/long/name.log")]).splitlines()[1:] == [
        "  results/tables/              tables (Parquet)",
        f"  python -m advgen trace FILE  {trace}",
        "  a/very/long/name.log         full log with all commands",
    ]
    assert Plan([spine.jobs_of("summarise")[0]]).describe_results().splitlines()[1:] == [
        "  results/tables/matrix.parquet  tables (Parquet)",
        f"  python -m advgen trace FILE    {trace}",
    ]


def test_lists_begin_where_a_line_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert quote_files(["x" * (MAX_LINE - 1)]) == "x" * (MAX_LINE - 1)
    assert quote_files(["x" * MAX_LINE]).startswith("@results/state/lists/")
    assert MAX_LINE < 128 * 1024 / 2  # what one argument of the shell holds, with room for the rest


def test_a_generator_that_is_not_there_is_told(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(
        "datasets: {mnist: {kind: mnist}}\n"
        "generators: {mine: {dataset: mnist, file: nowhere.safetensors}}\n"
        "inversions: {search: {generators: [mine]}}\n"
    )
    with pytest.raises(ConfigError, match=r"generators\.mine\.file = 'nowhere.safetensors': no such file"):
        build(load_file(path))


SMALL = """\
datasets: {mnist: {kind: mnist, train: 3000, test: 300}}
evaluation: {attack_examples: 50, validation: 200}
classifiers: {net: {dataset: mnist, model: FC100-100-10, seeds: [1, 2]}}
attacks: {pgd: {kind: pgd}}
figures: {robust: {kind: robustness, sources: [net], attacks: [pgd]}}
cv:
  profile: profile.yaml
  bibliography: papers.bib
  metrics: null
  formats: [md, html]
  variants:
    short: {selected: true, formats: [tex]}
    private: {overlay: private.yaml}
"""
PROFILE = "name: A\norder: [experiments]\nexperiments: [\"{{ result('robustness', 'accuracy', source='net') }}\"]\n"


def small(folder: Path, text: str = SMALL, profile: str = PROFILE) -> Plan:
    files = {"study.yaml": text, "profile.yaml": profile, "papers.bib": "", "private.yaml": "headline: Private\n"}
    for name, content in files.items():
        (folder / name).write_text(content)
    return build(load_file(Path("study.yaml")))


def test_variants_take_their_own_overlay_and_formats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for whole, other in (("", ()), ("  overlay: private.yaml\n", ("private.yaml",))):
        plan = small(tmp_path, SMALL.replace("  metrics: null\n", f"  metrics: null\n{whole}"))
        data = {job.wildcards["variant"]: job for job in plan.jobs_of("cv_data")}
        overlays = {name: job.inputs["overlay"] for name, job in data.items()}
        assert overlays == {"cv": other, "short": other, "private": ("private.yaml",)}
        assert {job.inputs["metrics"] for job in data.values()} == {()}
        assert {job.inputs["tables"] for job in data.values()} == {("results/tables/robustness.parquet",)}
        assert [data[name].task.selected for name in ("cv", "short", "private")] == [False, True, False]
        rendered = sorted((job.wildcards["variant"], job.wildcards["format"]) for job in plan.jobs_of("cv_render"))
        both = [(name, format_) for name in ("cv", "private") for format_ in ("html", "md")]
        assert rendered == [*both, ("short", "tex")]
    both = SMALL.replace("private.yaml}", "own.yaml}").replace(
        "  metrics: null\n", "  metrics: null\n  overlay: private.yaml\n"
    )
    (tmp_path / "own.yaml").write_text("headline: Own\n")
    overlays = {job.wildcards["variant"]: job.inputs["overlay"] for job in small(tmp_path, both).jobs_of("cv_data")}
    assert overlays == {"cv": ("private.yaml",), "short": ("private.yaml",), "private": ("own.yaml",)}


def test_what_the_cv_lacks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        small(tmp_path, profile=PROFILE.replace("robustness", "robustnes"))
    assert str(caught.value) == (
        "profile.yaml:3: result('robustnes', …): no such table (tables of the study: classifiers, robustness)"
    )
    with pytest.raises(ConfigError) as caught:
        small(tmp_path, SMALL.replace("figures: {robust: {kind: robustness, sources: [net], attacks: [pgd]}}\n", ""),
              PROFILE + "figures: [{name: robust, caption: x}]\n")  # fmt: skip
    assert str(caught.value) == "profile.yaml: figure 'robust' is none of the study's figures (none)"
    with pytest.raises(ConfigError) as caught:
        small(tmp_path, profile=PROFILE + "figures: [{name: other, caption: x}]\n")
    assert str(caught.value) == "profile.yaml: figure 'other' is none of the study's figures (robust)"
    with pytest.raises(ConfigError, match=r"cv.bibliography = 'nowhere.bib': no such file; name one, or set cv: null"):
        small(tmp_path, SMALL.replace("papers.bib", "nowhere.bib"))
    with pytest.raises(ConfigError, match=r"cv.variants.private.overlay = 'nowhere.yaml': no such file"):
        small(tmp_path, SMALL.replace("overlay: private.yaml", "overlay: nowhere.yaml"))


def test_figures_of_the_cv_are_drawn_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan = small(tmp_path, profile=PROFILE + "figures: [{name: robust, caption: x}]\n")
    assert {job.inputs["figures"] for job in plan.jobs_of("cv_render")} == {("results/figures/robust.png",)}
    [draw] = plan.jobs_of("draw")
    crafted = tuple(f"results/attacks/net/seed{seed}/pgd.parquet" for seed in (1, 2))
    assert draw.inputs["tables"] == crafted
    [report] = plan.jobs_of("report_page")
    assert report.inputs["captions"] == (package_file("experiments/attacks/robustness.rst"),)
    assert report.task.figures[0].name == "robust"


def test_a_study_without_figures_or_models_has_no_page_and_no_laws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.yaml").write_text("datasets: {mnist: {kind: mnist}}\n")
    plan = build(load_file(Path("study.yaml")))
    assert {job.rule for job in plan.jobs} <= {"fetch", "make_dataset", "verify"}
    assert plan.study == "study.yaml"
    assert plan.has("verify")
    whole = build(load_study({"datasets": {"mnist": {"kind": "mnist"}}}))
    assert not whole.has("verify")  # there is no file that it could read
    assert whole.study == ""


def test_parts_of_a_data_set_are_drawn_by_the_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a whole one by none, so that another seed does not make it again."""
    monkeypatch.chdir(tmp_path)
    for part, seed in (("", 0), (", train: 3000", 7), (", test: 300", 7), (", train: 3000, test: 300", 7)):
        text = SMALL.replace(", train: 3000, test: 300", part).replace("validation: 200", "validation: 200, seed: 7")
        [job] = small(tmp_path, text).jobs_of("make_dataset")
        assert job.task.seed == seed


def test_a_study_with_a_base_is_verified_by_its_own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.yaml").write_text("datasets: {mnist: {kind: mnist}}\n")
    (tmp_path / "study.yaml").write_text("base: base.yaml\ntitle: Mine\ncv: null\n")
    loaded = load_file(Path("study.yaml"))
    assert loaded.files == ("study.yaml", "base.yaml")
    plan = build(loaded)
    assert plan.study == "study.yaml"
    assert plan.jobs_of("verify")[0].task.study == "study.yaml"


def test_tables_say_how_many_images_a_net_was_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """3000, less the 200 that are held out, or as many as its definition takes."""
    monkeypatch.chdir(tmp_path)
    for more, images in (("", 2800), (", images: 500", 500)):
        plan = small(tmp_path, SMALL.replace("seeds: [1, 2]", f"seeds: [1, 2]{more}"))
        assert {job.task.origin.images for job in plan.jobs_of("craft")} == {images}
        assert {one.images for one in plan.jobs_of("evaluate_classifiers")[0].task.tested} == {images}
        assert {job.task.origin.defence for job in plan.jobs_of("craft")} == {"none"}
