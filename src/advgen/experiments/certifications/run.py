"""Certify radii for one classifier."""

import numpy as np

from advgen.certificates.bounds import certified_radii
from advgen.certificates.smoothing import ABSTAIN, certify
from advgen.data.images import load_subset
from advgen.experiments.certifications.experiment import Certify, IntervalBounds
from advgen.io.checkpoints import load_model
from advgen.io.tables import arrow_table, write_table
from advgen.jobs.job import Job
from advgen.models.predict import predict


def run(job: Job[Certify]) -> None:
    """Certify a seeded choice of test images, the same as for attacks."""
    spec, certificate = job.spec, job.spec.certificate
    model = load_model(job.input("model")).to(job.device)
    images, labels, indices = load_subset(job.input("data"), spec.images, spec.choice)
    if isinstance(certificate, IntervalBounds):
        predicted, _ = predict(model, images)
        radii = certified_radii(model, images, predicted)
        facts = {"norm": "linf", "smoothed": False, "sigma": None, "samples": None, "alpha": None}
    else:
        keys = certificate.model_dump(exclude={"kind"})
        predicted, radii = certify(model, images, **keys, seed=spec.seed, indices=indices)
        facts = {"norm": "l2", "smoothed": True, "sigma": certificate.sigma}
        facts |= {"samples": certificate.n, "alpha": certificate.alpha}
    columns = {
        "certification": spec.name,
        "source": spec.source,
        "seed": spec.seed,
        "method": certificate.kind,
        **facts,
        "index": indices,
        "label": labels.numpy(),
        "predicted": [None if label == ABSTAIN else label for label in predicted.tolist()],
        "radius": radii.numpy(),
        "radii": np.tile(spec.radii, (len(indices), 1)),
    }
    write_table(job.output(), arrow_table("certification", columns), job.stamp)
