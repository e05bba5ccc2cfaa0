"""The reference classifier ("judge") for Fréchet distances and class counts, and a second one to check it."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from advgen.core.definitions import Mistake, Study, check_batch, check_fits
from advgen.core.kinds import Files, Kind, PlannedJob, Planner
from advgen.core.tasks import DeviceTask
from advgen.experiments.classifiers.experiment import TrainClassifier
from advgen.registry import AnyNetwork
from advgen.specs.base import DatasetName, GanName, Need, Spec
from advgen.specs.figures import FigureSpec

JUDGED = (
    "frechet_distance",
    "frechet_distance_real",
    "classifier_score",
    "precision",
    "recall",
    "density",
    "coverage",
    "variety",
    "classes",
    "classes_both",
    "agreement",
    "total_variation",
    "entropy_bits",
    "class_share",
)
"""The columns that measure samples with the reference classifier."""


class TrainJudge(TrainClassifier):
    """Train the reference classifier of one data set, and a second one to check it."""

    command = "train-judge"
    run = "train"
    outputs = {
        "model": "results/judges/{dataset}/judge.safetensors",
        "history": "results/judges/{dataset}/history.parquet",
        "second": "results/judges/{dataset}/second.safetensors",
    }
    second: AnyNetwork


class CalibrateJudge(DeviceTask):
    """Evaluate the reference classifier on images of known quality."""

    command = "calibrate-judge"
    run = "calibrate"
    reads = ("judge", "second", "train", "test")
    outputs = {"calibration": "results/judges/{dataset}/calibration.parquet"}
    dataset: str
    n: int
    seed: int


class JudgeCalibrationFigure(FigureSpec):
    """The Fréchet distance of images of known quality, and the generators on that scale."""

    group = "Data and judge"
    reads = {"gans": ("quality",)}
    kind: Literal["judge_calibration"] = Field(description="calibration of the Fréchet distance")
    dataset: DatasetName = Field(description="data set of the reference classifier")
    gans: tuple[GanName, ...] = Field((), description="GANs to place on the calibration scale")

    def needs(self) -> Iterator[Need]:
        yield Need("judges", (self.dataset,), "calibration")
        yield from super().needs()


class Judges(Kind[Spec]):
    """Reference classifiers. They have no key in a study; one is planned for each data set that needs it."""

    order = 35
    tasks = (TrainJudge, CalibrateJudge)
    sanity_inputs = (("calibrate_judge", "calibration"),)
    figures = (JudgeCalibrationFigure,)

    def plan_jobs(self, planner: Planner, name: str) -> list[PlannedJob]:
        """Plan the reference classifiers of one data set."""
        study, judge = planner.study, planner.study.judge
        facts = study.facts(name)
        [data] = planner.jobs_of("datasets", name)
        task = TrainJudge(
            name="judge",
            seed=judge.seed,
            model=judge.model.fit(facts.shape),
            second=judge.second.fit(facts.shape),
            classes=facts.classes,
            images=None,
            defence=None,
            training=judge.training,
            validation=study.validation_images(name),
        )
        return [planner.add(task, {"dataset": name}, {"data": data.outputs["train"]})]

    def plan_calibration(self, planner: Planner, dataset: str) -> PlannedJob:
        """Plan the calibration of the reference classifier of one data set."""
        [data], [judge] = planner.jobs_of("datasets", dataset), self.plan_jobs(planner, dataset)
        evaluation = planner.study.evaluation
        task = CalibrateJudge(dataset=dataset, n=evaluation.gan_samples, seed=evaluation.seed)
        inputs = {"judge": judge.outputs["model"], "second": judge.outputs["second"]}
        inputs |= {"train": data.outputs["train"], "test": data.outputs["test"]}
        return planner.add(task, {"dataset": dataset}, inputs)

    def evaluation_inputs(self, planner: Planner, dataset: str) -> dict[str, Files]:
        """Return the inputs of jobs that count classes of samples and measure their Fréchet distance."""
        [judge] = self.plan_jobs(planner, dataset)
        calibration = self.plan_calibration(planner, dataset).outputs["calibration"]
        return {"judge": judge.outputs["model"], "second": judge.outputs["second"], "calibration": calibration}

    def jobs_for(self, planner: Planner, need: Need) -> list[PlannedJob]:
        return (
            [self.plan_calibration(planner, *need.names)]
            if need.role == "calibration"
            else super().jobs_for(planner, need)
        )

    def check(self, study: Study) -> Iterator[Mistake]:
        for dataset in study.datasets:
            for key in ("model", "second"):
                yield from check_fits(("judge", key), getattr(study.judge, key), study.facts(dataset).shape)
            yield from check_batch(("judge", "training"), study.judge.training, study.training_images(dataset))
        for name, figure in study.figures.items():
            for index, gan in enumerate(figure.gans if isinstance(figure, JudgeCalibrationFigure) else ()):
                trained_on = study.dataset_of(gan)
                if trained_on != figure.dataset:
                    message = f" = {gan!r}: is trained on {trained_on!r}, not on {figure.dataset!r}"
                    yield ("figures", name, "gans", index), message


KIND = Judges()
