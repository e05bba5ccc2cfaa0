"""Checks against trivial baselines: held where those are beaten, a warning where they are not."""

import numpy as np
import pyarrow as pa
import pytest

from advgen.metrics.baselines import check_baselines

N = 240
RANDOM = np.random.default_rng(0)


def inpainting(n=N, **errors):
    rows = [
        {"inpainting": "i", "generator": "g", "seed": 0, "mask": "m", "method": method, "index": k}
        | {"mse_missing": one, "mse_blended": one - 0.5 * (method != "harmonic")}
        for method, values in errors.items()
        for k, one in enumerate(values[:n])
    ]
    return {"inpainting": pa.Table.from_pylist([rows[k] for k in RANDOM.permutation(len(rows))])}


def test_a_generator_must_fill_better_than_a_membrane():
    hard = RANDOM.random(N)
    better, same = hard - 0.01 + 0.05 * RANDOM.random(N) * 0.1, hard + 0.01 * RANDOM.standard_normal(N)
    first, blended, second, better_blended = check_baselines(inpainting(harmonic=hard, full=same, contextual=better))
    assert first["subject"] == "contextual behind m with g seed 0 in i"
    assert first["estimate"] == pytest.approx((better - hard).mean())
    assert (first["kind"], first["holds"], first["n"]) == ("warning", True, N)
    assert (second["kind"], second["holds"]) == ("warning", False)  # whatever the sign: its interval has the 0
    assert (blended["check"], better_blended["holds"]) == ("inpainting beats harmonic fill, blended in", True)
    few, _ = check_baselines(inpainting(10, harmonic=hard, contextual=better))
    assert few["holds"]
    assert few["detail"].endswith("too few to judge")
    assert check_baselines(inpainting(contextual=better)) == []
