"""Calibrate the reference classifier: Fréchet distances of images of known quality."""

from advgen.data.images import load_images
from advgen.experiments.judges.experiment import CalibrateJudge
from advgen.io.checkpoints import load_model
from advgen.io.tables import arrow_table, write_table
from advgen.jobs.job import Job
from advgen.metrics.calibration import calibrate
from advgen.metrics.judging import judge_digest


def run(job: Job[CalibrateJudge]) -> None:
    """Evaluate each level of the calibration."""
    spec = job.spec
    judge, second = (load_model(job.input(name)).to(job.device) for name in ("judge", "second"))
    train, test = load_images(job.input("train")), load_images(job.input("test"))
    levels = calibrate(judge, second, *train, *test, n=spec.n, seed=spec.seed, device=job.device)
    measured = {column: [level[column] for level in levels] for column in levels[0]}
    columns = {"dataset": spec.dataset, **measured, "judge": judge_digest(job.input("judge"))}
    write_table(job.output(), arrow_table("calibration", columns), job.stamp)
