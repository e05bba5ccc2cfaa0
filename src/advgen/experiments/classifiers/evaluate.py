"""Measure the test errors of all classifiers."""

from functools import cache

from advgen.data.images import load_images
from advgen.experiments.classifiers.experiment import EvaluateClassifiers
from advgen.io.checkpoints import load_model
from advgen.io.tables import add_swept_columns, arrow_table, read_table, write_table
from advgen.jobs.job import Job
from advgen.metrics.intervals import wilson
from advgen.models.layers import count_parameters
from advgen.models.predict import predict


def run(job: Job[EvaluateClassifiers]) -> None:
    """Write the error of each classifier on the test images of its data set."""
    load_once = cache(load_images)
    rows = []
    files = zip(job.spec.tested, *(job.inputs[key] for key in job.spec.reads), strict=True)
    for tested, path, history, data in files:
        images, labels = load_once(data)
        model = load_model(path).to(job.device)
        predicted, _ = predict(model, images)
        wrong, n = int((predicted != labels).sum()), len(labels)
        low, high = wilson(wrong, n)
        measured = [value for value in read_table(history).column("accuracy").to_pylist() if value == value]
        rows.append(
            {
                **tested.model_dump(),
                "parameters": count_parameters(model),
                "n": n,
                "error": wrong / n,
                "error_low": low,
                "error_high": high,
                "validation_error": 1 - measured[-1],
            }
        )
    columns = {column: [row[column] for row in rows] for column in rows[0]}
    table = arrow_table("classifier_quality", columns)
    write_table(job.output(), add_swept_columns(table, job.spec.varied), job.stamp)
