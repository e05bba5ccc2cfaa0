"""Count the parameters of all presets."""

from advgen.io.checkpoints import build
from advgen.io.tables import arrow_table, write_table
from advgen.jobs.job import Job
from advgen.models.layers import count_parameters
from advgen.outcomes.models.outcome import CountParameters
from advgen.presets import PRESETS
from advgen.specs.base import format_shape

SHAPE = (1, 28, 28)
"""Image shape for presets that do not have one."""


def run(job: Job[CountParameters]) -> None:
    """Build each preset and count its parameters; networks have ten outputs, discriminators one."""
    rows = []
    for family, presets in PRESETS.items():
        for preset, spec in presets.items():
            shape = (spec.image_shape() if family == "generators" else spec.image) or SHAPE
            fitted = spec.fit(shape)
            is_discriminator = preset.startswith("M") or preset.endswith("discriminator")
            outputs = (1 if is_discriminator else 10,) if family == "networks" else ()
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
