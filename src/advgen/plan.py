"""The plan: every job of a study with its inputs, outputs, spec and code digest. The single source for rules, tables
and figures. Torch-free.

Jobs are planned on demand: what a study's own definitions need is planned, nothing else.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from advgen import paths, references, registry, tasks
from advgen.config import ConfigError, CvDefinition, CvVariant, Loaded, Study
from advgen.provenance import code_digest, package_folder, sha256_text, write_bytes
from advgen.specs import DerivedDataset, FigureSpec, Need, RawDataset, canonical_json

Files = str | tuple[str, ...]
LONGEST_LINE = 60_000


@dataclass(frozen=True)
class Job:
    """One run of one rule."""

    rule: str
    wildcards: Mapping[str, str]
    task: tasks.Task
    inputs: Mapping[str, Files]
    outputs: Mapping[str, str]

    @cached_property
    def spec(self) -> str:
        """The canonical JSON given to the command."""
        return self.task.canonical()

    @cached_property
    def code(self) -> str:
        """Digest of the code that the job's result depends on."""
        return code_digest(*sorted(self.task.code()))


class Plan:
    """All jobs of a study, by rule and wildcards."""

    def __init__(self, jobs: Iterable[Job], study: str = ""):
        self.jobs, self.study = list(jobs), study
        self._by_key = {_key(job.rule, job.wildcards): job for job in self.jobs}
        assert len(self._by_key) == len(self.jobs)

    def job(self, rule: str, wildcards: Any) -> Job:
        """The job of a rule for Snakemake's wildcards (or a mapping)."""
        return self._by_key[_key(rule, dict(wildcards.items()))]

    def of(self, rule: str) -> list[Job]:
        """All jobs of a rule."""
        return [job for job in self.jobs if job.rule == rule]

    def inputs(self, rule: str, wildcards: Any) -> dict[str, Files]:
        """Named input files, for `unpack`."""
        return dict(self.job(rule, wildcards).inputs)

    def spec(self, rule: str, wildcards: Any) -> str:
        """Canonical JSON spec."""
        return self.job(rule, wildcards).spec

    def code(self, rule: str, wildcards: Any) -> str:
        """Code digest."""
        return self.job(rule, wildcards).code

    def outputs(self, *rules: str) -> list[str]:
        """Every file that the plan makes, or that some rules make."""
        return [path for job in self.jobs if not rules or job.rule in rules for path in job.outputs.values()]

    def has(self, rule: str) -> bool:
        """Whether any job of a rule is planned."""
        return bool(self.of(rule))

    def farewell(self) -> str:
        """Where to look when everything is made."""
        shown = {
            "report_page": "the page with all figures, tables and checks",
            "cv_render": "the CV",
            "summarise": "tables (Parquet)",
        }
        places = []
        for rule, what in shown.items():
            made = self.outputs(rule)
            if made:
                places.append((made[0] if len(made) == 1 else f"{Path(made[0]).parent}/", what))
        trace = "python -m advgen trace FILE"
        width = max(len(where) for where, _ in [*places, (trace, "")]) + 2
        lines = [f"  {where:<{width}}{what}" for where, what in [*places, (trace, "where a file comes from")]]
        return "\n".join(["Done. Look at", *lines])

    def constraint(self, wildcard: str) -> str:
        """A regular expression that matches exactly the planned values of a wildcard."""
        values = sorted({job.wildcards[wildcard] for job in self.jobs if wildcard in job.wildcards})
        return "|".join(map(re.escape, values)) or r"(?!)"

    def wildcards(self) -> list[str]:
        """The names of all wildcards."""
        return sorted(
            {name for pattern in paths.PATTERNS.values() for path in pattern.values() for name in _names(path)}
        )


def _names(pattern: str) -> list[str]:
    return re.findall(r"{(\w+)}", pattern)


def _key(rule: str, wildcards: Mapping[str, str]) -> tuple[str, frozenset[tuple[str, str]]]:
    return rule, frozenset(wildcards.items())


def build(loaded: Loaded) -> Plan:
    """Plan a checked study; ConfigError if its CV refers to something that the study does not make."""
    study = loaded.files[0] if loaded.files else ""
    planner = _Planner(loaded.study)
    planner.all(loaded.roots)
    if study:  # a study given to Snakemake as a whole has no file that `advgen verify` could read
        planner.verify(study)
    return Plan(planner.jobs.values(), study)


class _Planner:
    """Plans jobs on demand, each once. Methods named after a family give the jobs of one definition, one per seed."""

    def __init__(self, study: Study):
        self.study = study
        self.jobs: dict[tuple[str, frozenset[tuple[str, str]]], Job] = {}

    def add(self, rule: str, wildcards: Mapping[str, str], task: tasks.Task, inputs: Mapping[str, Files]) -> Job:
        key = _key(rule, wildcards)
        if key not in self.jobs:
            outputs = paths.outputs(rule, wildcards) if rule in paths.PATTERNS else {}
            self.jobs[key] = Job(rule, dict(wildcards), task, inputs, outputs)
        return self.jobs[key]

    def all(self, roots: Mapping[str, tuple[str, ...]]) -> None:
        """Every job that the roots need, then summaries, figures, CV, laws and report of all that."""
        for family, names in roots.items():
            if family in ("attacks", "masks"):
                continue
            for name in names:
                getattr(self, family)(name)
        tables, figures = self.living_values()
        self.summaries()
        if self.study.cv is not None:
            self.cv(self.study.cv, tables, figures)
        self.report()

    # families: name -> jobs, one per seed

    def datasets(self, name: str) -> list[Job]:
        dataset = self.study.datasets[name]
        if isinstance(dataset, DerivedDataset):
            return [self.derived(name, dataset)]
        assert isinstance(dataset, RawDataset)
        raw = tuple(paths.raw(name, file) for file in dataset.raw)
        key = _key("fetch", {"dataset": name})
        outputs = dict(zip(dataset.raw, raw, strict=True))
        bare = type(dataset)(kind=dataset.kind)  # type: ignore[attr-defined, call-arg]
        self.jobs.setdefault(key, Job("fetch", {"dataset": name}, tasks.Fetch(dataset=bare), {}, outputs))
        part = dataset.train is not None or dataset.test is not None
        task = tasks.MakeDataset(dataset=dataset, seed=self.study.evaluation.seed if part else 0)
        return [self.add("make_dataset", {"raw": name}, task, {"raw": raw})]

    def derived(self, name: str, dataset: DerivedDataset) -> Job:
        [base] = self.datasets(dataset.base)
        inputs: dict[str, Files] = {
            "train": base.outputs["train"],
            "test": base.outputs["test"],
            "model": tuple(path for need in dataset.needs() for path in self.needed(need)),
        }
        task = tasks.DeriveDataset(dataset=dataset, name=name, seed=self.study.evaluation.seed)
        return self.add("derive_dataset", {"derived": name}, task, inputs)

    def judges(self, dataset: str) -> list[Job]:
        judge, kind = self.study.judge, self.study.facts(dataset)
        [data] = self.datasets(dataset)
        task = tasks.TrainClassifier(
            name="judge",
            seed=judge.seed,
            model=judge.model.fit(kind.shape),
            classes=kind.classes,
            images=None,
            defence=None,
            training=judge.training,
            validation=self.study.evaluation.validation,
        )
        return [self.add("train_judge", {"dataset": dataset}, task, {"data": data.outputs["train"]})]

    def ladder(self, dataset: str) -> Job:
        [data], [judge] = self.datasets(dataset), self.judges(dataset)
        evaluation = self.study.evaluation
        task = tasks.CalibrateJudge(dataset=dataset, n=evaluation.gan_samples, seed=evaluation.seed)
        inputs = {"judge": judge.outputs["model"], "train": data.outputs["train"], "test": data.outputs["test"]}
        return self.add("calibrate_judge", {"dataset": dataset}, task, inputs)

    def gans(self, name: str) -> list[Job]:
        gan = self.study.gans[name]
        kind = self.study.facts(gan.dataset)
        [data] = self.datasets(gan.dataset)
        jobs = []
        for seed in gan.seeds or self.study.seeds:
            task = tasks.TrainGan(
                name=name,
                seed=seed,
                generator=gan.generator,
                discriminator=gan.discriminator.fit(kind.shape),
                training=gan.training,
                validation=self.study.evaluation.validation,
            )
            wildcards = {"gan": name, "seed": str(seed)}
            judges = self.judges(gan.dataset) if task.judged else []
            inputs: dict[str, Files] = {
                "data": data.outputs["train"],
                "judge": tuple(job.outputs["model"] for job in judges),
            }
            jobs.append(self.add("train_gan", wildcards, task, inputs))
        for job in jobs:
            self.evaluated_gan(name, job)
        return jobs

    def evaluated_gan(self, name: str, trained: Job) -> Job:
        dataset = self.study.gans[name].dataset
        [data], [judge] = self.datasets(dataset), self.judges(dataset)
        self.ladder(dataset)
        seed = int(trained.wildcards["seed"])
        task = tasks.EvaluateGan(
            name=name, seed=seed, training=self.study.gans[name].training, n=self.study.evaluation.gan_samples
        )
        inputs = {
            "generator": trained.outputs["generator"],
            "discriminator": trained.outputs["discriminator"],
            "history": trained.outputs["history"],
            "judge": judge.outputs["model"],
            "data": data.outputs["test"],
        }
        return self.add("evaluate_gan", trained.wildcards, task, inputs)

    def autoencoders(self, name: str) -> list[Job]:
        definition = self.study.autoencoders[name]
        kind = self.study.facts(definition.dataset)
        [data], [judge] = self.datasets(definition.dataset), self.judges(definition.dataset)
        jobs = []
        for seed in definition.seeds or self.study.seeds:
            task = tasks.TrainAutoencoder(
                name=name,
                seed=seed,
                model=definition.model.fit(kind.shape),
                training=definition.training,
                validation=self.study.evaluation.validation,
            )
            wildcards = {"autoencoder": name, "seed": str(seed)}
            jobs.append(self.add("train_autoencoder", wildcards, task, {"data": data.outputs["train"]}))
            inputs = {
                "model": jobs[-1].outputs["model"],
                "judge": judge.outputs["model"],
                "data": data.outputs["test"],
            }
            evaluate = tasks.EvaluateAutoencoder(
                name=name, seed=seed, moments=definition.training.moments, n=self.study.evaluation.gan_samples
            )
            self.add("evaluate_autoencoder", wildcards, evaluate, inputs)
        return jobs

    def classifiers(self, name: str) -> list[Job]:
        definition = self.study.classifiers[name]
        kind = self.study.facts(definition.dataset)
        [data] = self.datasets(definition.dataset)
        jobs = []
        for seed in definition.seeds or self.study.seeds:
            task = tasks.TrainClassifier(
                name=name,
                seed=seed,
                model=definition.model.fit(kind.shape),
                classes=kind.classes,
                images=definition.images,
                defence=definition.defence,
                training=definition.training,
                validation=self.study.evaluation.validation,
            )
            wildcards = {"classifier": name, "seed": str(seed)}
            jobs.append(self.add("train_classifier", wildcards, task, {"data": data.outputs["train"]}))
        return jobs

    def probes(self, name: str) -> list[Job]:
        definition = self.study.probes[name]
        [data] = self.datasets(definition.dataset)
        jobs = []
        is_gan = definition.of in self.study.gans
        for trained in self.gans(definition.of) if is_gan else self.autoencoders(definition.of):
            if int(trained.wildcards["seed"]) not in self.study.seeds_of(name):
                continue
            task = tasks.TrainProbe(
                name=name,
                seed=int(trained.wildcards["seed"]),
                part=definition.part,
                classes=self.study.facts(definition.dataset).classes,
                training=definition.training,
                validation=self.study.evaluation.validation,
            )
            wildcards = {"probe": name, "seed": trained.wildcards["seed"]}
            model = trained.outputs["discriminator" if is_gan else "model"]
            jobs.append(self.add("train_probe", wildcards, task, {"model": model, "data": data.outputs["train"]}))
        return jobs

    def sources(self, name: str) -> list[Job]:
        """What can be attacked: a classifier or a probe."""
        return self.classifiers(name) if name in self.study.classifiers else self.probes(name)

    def origin(self, source: str) -> tasks.Origin:
        """What tables say of a classifier or probe beside its name."""
        dataset = self.study.dataset_of(source)
        definition = self.study.classifiers.get(source)
        defence = definition.defence if definition else None
        images = definition.images if definition else None
        return tasks.Origin(
            dataset=dataset,
            images=images or self.study.facts(dataset).train - self.study.evaluation.validation,
            defence=defence.label() if defence else "none",
        )

    def encoders(self, name: str) -> list[Job]:
        definition = self.study.encoders[name]
        shape = self.study.facts(self.study.dataset_of(definition.generator)).shape
        jobs = []
        for generator, seed in self.generator_files(definition.generator):
            task = tasks.TrainEncoder(
                name=name, seed=seed, model=definition.model.fit(shape), training=definition.training
            )
            wildcards = {"encoder": name, "seed": str(seed)}
            jobs.append(self.add("train_encoder", wildcards, task, {"generator": generator}))
        return jobs

    def generators(self, name: str) -> list[Job]:
        """Nothing is made for a generator from a file."""
        path = self.study.generators[name].file
        if not Path(path).is_file():
            raise ConfigError(f"generators.{name}.file = {path!r}: no such file; name a generator.safetensors")
        return []

    def generator_files(self, name: str) -> list[tuple[str, int]]:
        """The checkpoints of a GAN's generator, or the file of a given one, with their seeds."""
        if name in self.study.generators:
            self.generators(name)
            return [(self.study.generators[name].file, 0)]
        return [(job.outputs["generator"], int(job.wildcards["seed"])) for job in self.gans(name)]

    def inversions(self, name: str) -> list[Job]:
        definition = self.study.inversions[name]
        encoders = self.encoders(definition.encoder) if definition.encoder else []
        jobs = []
        for generator, seed, inputs in self.searched(definition.generators):
            task = tasks.Invert(
                name=name,
                generator_name=generator,
                seed=seed,
                images=definition.images,
                choice=self.study.evaluation.seed,
                search=definition.search,
            )
            encoder = tuple(job.outputs["model"] for job in encoders if job.wildcards["seed"] == str(seed))
            wildcards = {"inversion": name, "generator": generator, "seed": str(seed)}
            jobs.append(self.add("invert", wildcards, task, {**inputs, "encoder": encoder}))
        return jobs

    def inpaintings(self, name: str) -> list[Job]:
        definition = self.study.inpaintings[name]
        jobs = []
        for generator, seed, inputs in self.searched(definition.generators):
            task = tasks.Inpaint(
                name=name,
                generator_name=generator,
                seed=seed,
                images=definition.images,
                choice=self.study.evaluation.seed,
                masks={mask: self.study.masks[mask] for mask in definition.masks},
                methods=definition.methods,
                search=definition.search,
            )
            discriminators = []
            if "prior" in definition.methods:
                trained = [job for job in self.gans(generator) if job.wildcards["seed"] == str(seed)]
                discriminators = [job.outputs["discriminator"] for job in trained]
            wildcards = {"inpainting": name, "generator": generator, "seed": str(seed)}
            jobs.append(self.add("inpaint", wildcards, task, {**inputs, "discriminator": tuple(discriminators)}))
        return jobs

    def truncations(self, name: str) -> list[Job]:
        definition = self.study.truncations[name]
        jobs = []
        for generator, seed, inputs in self.searched(definition.generators):
            task = tasks.Truncate(
                name=name,
                generator_name=generator,
                seed=seed,
                n=self.study.evaluation.gan_samples,
                thresholds=definition.thresholds,
            )
            wildcards = {"truncation": name, "generator": generator, "seed": str(seed)}
            jobs.append(self.add("truncate", wildcards, task, inputs))
        return jobs

    def searched(self, names: tuple[str, ...]) -> Iterator[tuple[str, int, dict[str, Files]]]:
        """Each generator and seed with what a search in its latent space reads."""
        for name in names:
            dataset = self.study.dataset_of(name)
            [data], [judge] = self.datasets(dataset), self.judges(dataset)
            for path, seed in self.generator_files(name):
                yield name, seed, {"generator": path, "judge": judge.outputs["model"], "data": data.outputs["test"]}

    def interpolations(self, name: str) -> list[Job]:
        definition = self.study.interpolations[name]
        jobs = []
        for model in definition.models:
            is_gan = model in self.study.gans
            dataset = self.study.dataset_of(model)
            [data], [judge] = self.datasets(dataset), self.judges(dataset)
            for trained in self.gans(model) if is_gan else self.autoencoders(model):
                task = tasks.Interpolate(
                    name=name,
                    model_name=model,
                    seed=int(trained.wildcards["seed"]),
                    pairs=definition.pairs,
                    choice=self.study.evaluation.seed,
                    frames=definition.frames,
                    search=definition.search if is_gan else None,
                )
                wildcards = {"interpolation": name, "model": model, "seed": trained.wildcards["seed"]}
                inputs = {
                    "model": trained.outputs["generator" if is_gan else "model"],
                    "judge": judge.outputs["model"],
                    "data": data.outputs["test"],
                }
                jobs.append(self.add("interpolate", wildcards, task, inputs))
        return jobs

    def attacked(self, source: str, attack: str) -> list[Job]:
        jobs = []
        for trained, inputs in self.victims(source):
            task = tasks.Craft(
                source=source,
                source_seed=int(trained.wildcards["seed"]),
                attack_name=attack,
                attack=self.study.attacks[attack],
                origin=self.origin(source),
                examples=self.study.evaluation.attack_examples,
                choice=self.study.evaluation.seed,
            )
            wildcards = {"source": source, "seed": trained.wildcards["seed"], "attack": attack}
            jobs.append(self.add("craft", wildcards, task, inputs))
        return jobs

    def victims(self, source: str) -> Iterator[tuple[Job, dict[str, Files]]]:
        """Each trained classifier or probe of a name with what an attack on it reads."""
        [data] = self.datasets(self.study.dataset_of(source))
        for trained in self.sources(source):
            yield trained, {"model": trained.outputs["model"], "data": data.outputs["test"]}

    def linearities(self, name: str) -> list[Job]:
        definition = self.study.linearities[name]
        jobs = []
        for source in definition.sources:
            for trained, inputs in self.victims(source):
                task = tasks.Linearity(
                    name=name,
                    source=source,
                    seed=int(trained.wildcards["seed"]),
                    eps=definition.eps,
                    points=definition.points,
                    images=definition.images,
                    choice=self.study.evaluation.seed,
                )
                wildcards = {"linearity": name, "source": source, "seed": trained.wildcards["seed"]}
                jobs.append(self.add("linearity", wildcards, task, inputs))
        return jobs

    def convergences(self, name: str) -> list[Job]:
        definition = self.study.convergences[name]
        jobs = []
        for source in definition.sources:
            for trained, inputs in self.victims(source):
                task = tasks.Converge(
                    name=name,
                    source=source,
                    seed=int(trained.wildcards["seed"]),
                    attack_name=definition.attack,
                    attack=self.study.attacks[definition.attack],
                    restarts=definition.restarts,
                    images=definition.images,
                    choice=self.study.evaluation.seed,
                )
                wildcards = {"convergence": name, "source": source, "seed": trained.wildcards["seed"]}
                jobs.append(self.add("converge", wildcards, task, inputs))
        return jobs

    def simulations(self, name: str) -> list[Job]:
        task = tasks.Simulate(name=name, seeds=self.study.seeds, simulation=self.study.simulations[name])
        return [self.add("simulate", {"simulation": name}, task, {})]

    def transfers(self, name: str) -> list[Job]:
        definition = self.study.transfers[name]
        targets = [(target, job) for target in definition.targets for job in self.sources(target)]
        jobs = []
        for source in definition.sources:
            for attack in definition.attacks:
                for crafted in self.attacked(source, attack):
                    task = tasks.Transfer(
                        study=name,
                        targets=tuple(target for target, _ in targets),
                        seeds=tuple(int(job.wildcards["seed"]) for _, job in targets),
                        rms=definition.rms,
                    )
                    inputs: dict[str, Files] = {
                        "examples": crafted.outputs["examples"],
                        "targets": tuple(job.outputs["model"] for _, job in targets),
                    }
                    jobs.append(self.add("transfer", {"study": name, **crafted.wildcards}, task, inputs))
        rows = tuple(job.outputs["row"] for job in jobs)
        self.add("summarise", {"table": name}, tasks.Summarise(table="transfer"), {"tables": rows})
        return jobs

    def figures(self, name: str) -> list[Job]:
        figure = self.study.figures[name]
        inputs: dict[str, Files] = {
            "tables": tuple(path for need in figure.needs() for path in self.needed(need)),
            "style": package_file("figures/advgen.mplstyle"),
        }
        return [self.add("draw", {"figure": name}, tasks.Draw(figure=figure), inputs)]

    def needed(self, need: Need) -> list[str]:
        """The files behind one need of a figure, over all seeds."""
        jobs: list[Job]
        if need.family == "attacks":
            jobs = self.attacked(*need.names)
        elif (need.family, need.role) == ("judges", "ladder"):
            jobs = [self.ladder(*need.names)]
        elif (need.family, need.role) == ("transfers", "table"):
            self.transfers(*need.names)
            jobs = [self.jobs[_key("summarise", {"table": need.names[0]})]]
        else:
            jobs = getattr(self, need.family)(*need.names)
            if need.role not in jobs[0].outputs:
                evaluated = jobs[0].rule.replace("train", "evaluate")
                jobs = [self.jobs[_key(evaluated, job.wildcards)] for job in jobs]
        return [job.outputs[need.role] for job in jobs if need.seed is None or job.wildcards["seed"] == str(need.seed)]

    # what is made of everything planned

    def made(self, rule: str, role: str) -> tuple[str, ...]:
        return tuple(job.outputs[role] for job in self.jobs.values() if job.rule == rule)

    def summaries(self) -> None:
        """One tidy table per family over all runs, and the laws."""
        for name, summary in tasks.SUMMARIES.items():
            files = tuple(path for rule, role in summary.made for path in self.made(rule, role))
            if files:
                self.add("summarise", {"table": name}, tasks.Summarise(table=summary.kind), {"tables": files})
        trained = [job for job in self.jobs.values() if job.rule in ("train_classifier", "train_probe")]
        if trained:
            self.evaluate(trained)
        if any(job.rule in ("train_gan", "train_autoencoder") for job in self.jobs.values()):
            presets = [(name, spec.canonical()) for named in registry.PRESETS.values() for name, spec in named.items()]
            task = tasks.CountParameters(presets=sha256_text(canonical_json(presets)))
            self.add("count_parameters", {}, task, {})
        judged = (
            *self.made("craft", "examples"),
            *self.made("transfer", "row"),
            *self.made("inpaint", "inpainting"),
            *self.made("evaluate_gan", "quality"),
            *self.made("calibrate_judge", "ladder"),
        )
        if judged:
            families = (self.study.classifiers, self.study.probes)
            masked = tuple(name for family in families for name, one in family.items() if one.masked)
            crafted = [job.task for job in self.jobs.values() if isinstance(job.task, tasks.Craft)]
            attacked = tuple(sorted({task.origin.dataset for task in crafted}))
            data = tuple(self.datasets(name)[0].outputs["test"] for name in attacked)
            laws = tasks.CheckLaws(masked=masked, datasets=attacked)
            self.add("check_laws", {}, laws, {"tables": judged, "data": data})
            self.add("qa", {}, tasks.Qa(), {"laws": self.made("check_laws", "laws")})

    def evaluate(self, trained: list[Job]) -> None:
        """The test errors of all classifiers and probes."""
        tested, data = [], []
        for job in trained:
            name = job.wildcards["classifier" if job.rule == "train_classifier" else "probe"]
            origin = self.origin(name).model_dump()
            tested.append(tasks.Tested(classifier=name, seed=int(job.wildcards["seed"]), **origin))
            data.append(self.datasets(self.study.dataset_of(name))[0].outputs["test"])
        inputs: dict[str, Files] = {
            "models": tuple(job.outputs["model"] for job in trained),
            "histories": tuple(job.outputs["history"] for job in trained),
            "data": tuple(data),
        }
        self.add("evaluate_classifiers", {}, tasks.EvaluateClassifiers(tested=tuple(tested)), inputs)

    def report(self) -> None:
        """The page that shows everything."""
        figures = [(job, job.task.figure) for job in self.jobs.values() if isinstance(job.task, tasks.Draw)]
        shown = tuple(
            tasks.ReportFigure(name=job.wildcards["figure"], kind=kind_of(spec), group=spec.group)
            for job, spec in figures
        )
        summaries = (
            *self.made("summarise", "table"),
            *self.made("evaluate_classifiers", "table"),
            *self.made("count_parameters", "table"),
            *self.made("calibrate_judge", "ladder"),
            *self.made("check_laws", "laws"),
        )
        if not figures:
            return
        inputs: dict[str, Files] = {
            "figures": tuple(job.outputs["png"] for job, _ in figures),
            "tables": summaries,
            "captions": tuple(f"workflow/report/{kind}.rst" for kind in sorted({one.kind for one in shown})),
            "templates": (package_file("templates/report.html.j2"), package_file("templates/report.css")),
        }
        self.add("report_page", {}, tasks.Report(title=self.study.title, figures=shown), inputs)

    def verify(self, study: str) -> None:
        """The comparison of all artefacts with this plan."""
        artefacts = tuple(path for job in self.jobs.values() if job.rule != "qa" for path in job.outputs.values())
        self.add("verify", {}, tasks.Verify(study=study), {"artefacts": artefacts})

    def living_values(self) -> tuple[list[references.Reference], list[str]]:
        """The table cells and figures that the CV names, with what makes them planned."""
        cv = self.study.cv
        if cv is None:
            return [], []
        files = {f"cv.{key}": getattr(cv, key) for key in ("profile", "bibliography", "metrics", "overlay")}
        files |= {f"cv.variants.{name}.overlay": variant.overlay for name, variant in cv.variants.items()}
        for key, path in files.items():
            if path is not None and not Path(path).is_file():
                raise ConfigError(f"{key} = {path!r}: no such file; name one, or set cv: null for no CV")
        cells, figures = dict[references.Reference, None](), dict[str, None]()
        for overlay in dict.fromkeys([cv.overlay, *(variant.overlay for variant in cv.variants.values())]):
            try:
                found, named = references.scan(Path(cv.profile), Path(overlay) if overlay else None)
            except ValueError as error:
                raise ConfigError(str(error)) from None
            cells |= dict.fromkeys(found)
            figures |= dict.fromkeys(named)
        for figure in figures:
            if figure not in self.study.figures:
                known = ", ".join(self.study.figures) or "none"
                raise ConfigError(f"{cv.profile}: figure {figure!r} is none of the study's figures ({known})")
            self.figures(figure)
        for cell in cells:
            if cell.table in self.study.transfers:
                self.transfers(cell.table)
        return list(cells), list(figures)

    def cv(self, cv: CvDefinition, cells: list[references.Reference], figures: list[str]) -> None:
        """The CV and its variants, with the tables and figures that its profile names."""
        tables = {job.outputs["table"]: None for job in self.jobs.values() if "table" in job.outputs}
        used = []
        for cell in cells:
            path = f"results/tables/{cell.table}.parquet"
            if path not in tables:
                known = ", ".join(sorted(Path(table).stem for table in tables)) or "none"
                message = f"result('{cell.table}', …): no such table (tables of the study: {known})"
                raise ConfigError(f"{cell.file}:{cell.line}: {message}")
            used.append(path)
        drawn = tuple(paths.outputs("draw", {"figure": figure})["png"] for figure in figures)
        for name, variant in {"cv": CvVariant(), **cv.variants}.items():
            overlay = variant.overlay or cv.overlay
            inputs: dict[str, Files] = {
                "profile": cv.profile,
                "overlay": (overlay,) if overlay else (),
                "bibliography": cv.bibliography,
                "metrics": (cv.metrics,) if cv.metrics else (),
                "tables": tuple(dict.fromkeys(used)),
            }
            chosen = tasks.CvData(selected=variant.selected, tags=variant.tags, sections=variant.sections)
            data = self.add("cv_data", {"variant": name}, chosen, inputs)
            for format_ in variant.formats or cv.formats or tasks.cv_formats():
                rendered: dict[str, Files] = {
                    "cv": data.outputs["cv"],
                    "figures": drawn,
                    "templates": tuple(package_file(f"cv/templates/{file}") for file in CV_TEMPLATES[format_]),
                }
                task = tasks.CvRender(format=format_, figures=tuple(figures))
                self.add("cv_render", {"variant": name, "format": format_}, task, rendered)


CV_TEMPLATES: dict[str, tuple[str, ...]] = {
    "pdf": ("cv.typ",),
    "html": ("cv.html.j2", "cv.css"),
    "md": ("cv.md.j2",),
    "tex": ("cv.tex.j2",),
    "resume.json": (),
    "latex.pdf": ("cv.tex.j2",),
}


def kind_of(spec: FigureSpec) -> str:
    """The `kind` of a figure."""
    kind: str = spec.kind  # type: ignore[attr-defined]
    return kind


def listed(files: Iterable[str]) -> str:
    """Files as the words of a shell line; if they are too many for one, the name of a file that lists them.

    A line of the shell holds 128 KB, and argparse reads `@file` as one argument per line.
    """
    words = shlex.join(files)
    if len(words) < LONGEST_LINE:
        return words
    text = "\n".join(files) + "\n"
    path = Path(paths.RESULTS) / "state" / "lists" / sha256_text(text)[:16]
    if not path.exists():
        write_bytes(path, text.encode())
    return f"@{path}"


def package_file(name: str) -> str:
    """A file of the package, relative to the working folder where it lies below it."""
    path = package_folder() / name
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
