"""Parameter counts of all named models."""

from advgen.io.checkpoints import build
from advgen.io.tables import arrow_table, write_table
from advgen.jobs.job import Job
from advgen.models.layers import count_parameters
from advgen.outcomes.models.outcome import CountParameters
from advgen.presets import PRESETS
from advgen.specs.base import format_shape

SHAPE = (1, 28, 28)
"""Of the images for models that are made for no shape of their own."""


def run(job: Job[CountParameters]) -> None:
    """Build each preset once; a network is counted with ten outputs, or one if it is named as a discriminator."""
    rows = []
    for family, presets in PRESETS.items():
        for preset, spec in presets.items():
            shape = (spec.image_shape() if family == "generators" else spec.image) or SHAPE
            fitted = spec.fit(shape)
            one = preset.startswith("M") or preset.endswith("discriminator")
            outputs = (1 if one else 10,) if family == "networks" else ()
            model = build(family, fitted, *outputs)
            rows.append(
                {
                    "family": family,
                    "preset": preset,
                    "kind": spec.kind,
                    "image": format_shape(shape),
                    "parameters": count_parameters(model),
                }
            )
    columns = {column: [row[column] for row in rows] for column in rows[0]}
    write_table(job.output(), arrow_table("model", columns), job.stamp)
