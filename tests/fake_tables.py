"""Random tables of every kind, made from the schemas, and specs of figures that fit them. Torch-free."""

from collections.abc import Iterator
from itertools import product
from typing import Any, Literal, get_args, get_origin

import numpy as np
import pyarrow as pa

from advgen.core.catalog import TABLES
from advgen.core.schema import Image
from advgen.io.tables import arrow_table
from advgen.specs.base import Reference
from advgen.specs.figures import FigureSpec

# The names of the definitions in all tables.
NAMES = {
    "datasets": ["digits"],
    "gans": ["gan-a", "gan-with-a-longer-name"],
    "autoencoders": ["autoencoder-a", "autoencoder-b"],
    "classifiers": ["net-a", "net-b"],
    "attacks": ["fgsm-1", "fgsm-2", "pgd-2", "deepfool", "noise"],
    "masks": ["square", "pepper"],
    "inversions": ["inversion"],
    "inpaintings": ["inpainting"],
    "interpolations": ["interpolation"],
    "transfers": ["transfer"],
    "truncations": ["truncation"],
    "linearities": ["linearity"],
    "convergences": ["convergence"],
    "certifications": ["certification"],
    "simulations": ["simulation-a", "simulation-b"],
    "comparisons": ["comparison-a", "comparison-with-a-longer-name"],
}
_SINGULAR = (
    *("dataset", "gan", "autoencoder", "classifier", "attack", "mask", "inversion", "inpainting", "interpolation"),
    *("truncation", "convergence", "certification", "simulation", "comparison"),
)
AXES: dict[str, list[Any]] = {
    **{name: NAMES[f"{name}s"] for name in _SINGULAR},
    "generator": NAMES["gans"],
    "model": [NAMES["autoencoders"][0], NAMES["gans"][0]],
    "source": NAMES["classifiers"],
    "target": NAMES["classifiers"],
    "method": ["full", "contextual", "contextual_prior", "harmonic", "poisson"],
    "measure": ["mse_whole"],
    "study": NAMES["transfers"],
    "linearity": NAMES["linearities"],
    "threshold": [0.5, 1.0, 2.0],
    "arm": ["plain", "trained on what fools it", "another one"],
    "series": ["plain", "robust at 0.25"],
    "x": [1.0, 10.0, 100.0],
    "restart": [0, 1, 2],
    "epoch": [1, 2, 3],
    "level": [0.05, 0.25, 0.5, 0.75, 0.95],
    "eps": [-0.5, -0.25, 0.0, 0.25, 0.5],
    "figure": ["beside-published"],
    "family": ["networks"],
    "preset": ["FC10"],
    "check": ["ball", "box"],
    "subject": ["fgsm on net-a"],
    "seed": [0, 1],
    "source_seed": [0, 1],
    "target_seed": [0, 1],
    "step": list(range(1, 61)),
    "index": list(range(20)),
    "start": [0, 1, 2],
    "starts": [1, 2, 3],
    "pair": [0, 1],
    "frame": list(range(9)),
}
OTHER_AXES: dict[str, dict[str, list[Any]]] = {
    "calibration": {"level": ["real train", "blur 3×3", "uniform noise"]},
    "gan_snapshots": {"step": [0, 1, 2, 4], "index": [0, 1, 2]},
    "inversion_steps": {"step": [0, 3, 6]},
}
"""Other values of the key columns of some tables."""
# Values of fields that are maps, for a minimal and a full spec.
MAPS: dict[str, tuple[Any, Any]] = {
    "panels": (
        {"decision": {"a line": ("net-a",)}},
        {
            "real or fake?": {"discriminators": ("net-a", "net-b"), "classifiers with PGD": ("net-b",)},
            "features": {"discriminators": ("net-a",), "classifiers": ("net-b",)},
        },
    ),
    "published_nets": ({}, {"net-a": "FC10(1e-4)", "net-b": "maxout net with dropout, MNIST"}),
    # The published table is the first one for a minimal spec, the last one for a full one.
    "names": (
        {"FC10(1e-4)": "net-a", "AE400-10": "net-b"},
        {"FC100-100-10": "net-a", "FC123-456-10": "net-b", "Gaussian sd 0.1": "noise"},
    ),
}
CLASSES, SHAPE, LENGTH = 10, (1, 14, 14), 10


def fake_tables(seed: int = 0, shape: tuple[int, int, int] = SHAPE) -> dict[str, pa.Table]:
    """Return a table of every kind with random numbers; fractions, labels and intervals are consistent."""
    return {kind: fake_table(kind, seed, shape) for kind in TABLES}


def fake_table(kind: str, seed: int = 0, shape: tuple[int, int, int] = SHAPE) -> pa.Table:
    """Return a table of one kind, with a row for each combination of its key columns."""
    rng = np.random.default_rng([seed, *kind.encode()])
    table = TABLES[kind]
    axes = {**AXES, **OTHER_AXES.get(kind, {})}
    keys = list(zip(*product(*(axes[column] for column in table.key)), strict=True))
    rows = len(keys[0])
    columns: dict[str, Any] = dict(zip(table.key, map(list, keys), strict=True))
    for name, type_ in table.columns.items():
        if name not in columns:
            columns[name] = _column(name, type_, rows, rng, shape)
    for name in columns:
        low, high = f"{name}_low", f"{name}_high"
        if low in columns:
            columns[low], columns[high] = 0.9 * columns[name], 1.1 * columns[name]
    if {"alpha", "frame"} <= set(columns):
        columns["alpha"] = [frame / 8 for frame in columns["frame"]]
    if "best" in columns:
        columns["best"] = [start == 1 for start in columns["start"]]
    if "epoch" in columns and "step" in columns:
        columns["epoch"] = [step / 20 for step in columns["step"]]
    if "class_share" in columns:
        columns["class_share"] = list(rng.dirichlet(np.ones(CLASSES), rows))
    if {"norm", "attack"} <= set(columns):
        threats = [THREATS.get(attack, ("linf", 0.25, "white-box")) for attack in columns["attack"]]
        columns["norm"], columns["eps"] = [norm for norm, *_ in threats], [eps for _, eps, _ in threats]
        if "access" in columns:
            columns["access"] = [access for *_, access in threats]
            columns["target"] = "none"
    if "index" in columns and "label" in columns:
        columns["label"] = [index % CLASSES for index in columns["index"]]
    if kind == "transferred":
        columns["predicted_clean"] = columns["label"]
    columns |= CONSTANT.get(kind, {})
    if kind in CONSISTENT:
        CONSISTENT[kind](columns, rng)
    return arrow_table(kind, columns)


THREATS: dict[str, tuple[str, float | None, str]] = {
    "fgsm-1": ("linf", 0.1, "white-box"),
    "fgsm-2": ("linf", 0.25, "white-box"),
    "pgd-2": ("linf", 0.25, "white-box"),
    "deepfool": ("l2", None, "white-box"),
    "noise": ("none", 0.25, "none"),
}


def _examples(columns: dict[str, Any], rng: np.random.Generator) -> None:
    """Models of two sizes; about one clean image in ten is misclassified, and half of the others under attack."""
    sources = columns["source"]
    columns["parameters"] = [1000 * (1 + NAMES["classifiers"].index(source)) for source in sources]
    columns["images"] = [500 * (1 + NAMES["classifiers"].index(source)) for source in sources]
    columns["kind"] = [attack.split("-")[0] for attack in columns["attack"]]
    effort = {"fgsm": (1, 1), "noise": (0, 1)}
    efforts = [effort.get(kind, (5, 2)) for kind in columns["kind"]]
    columns["steps"], columns["restarts"] = [steps for steps, _ in efforts], [restarts for _, restarts in efforts]
    columns["l2"] = rng.uniform(1, 3, len(sources))
    columns["l0"] = rng.integers(5, 100, len(sources))
    columns["gradient_calls"] = rng.integers(1, 100, len(sources)).astype(float)
    nets = list(zip(sources, columns["source_seed"], columns["index"], columns["label"], strict=True))
    columns["predicted_clean"] = [(label + (hash_(net, seed, index) == 0)) % 10 for net, seed, index, label in nets]
    fooled = rng.random(len(nets)) < 0.5
    columns["predicted"] = [(label + one) % 10 for (*_, label), one in zip(nets, fooled, strict=True)]
    lost = rng.random(len(nets)) < 0.2
    answers = zip(nets, columns["predicted"], lost, strict=True)
    columns["predicted_unaimed"] = [label for *_, label in nets]
    columns["predicted_rounded"] = [label if back else predicted for (*_, label), predicted, back in answers]


def hash_(net: str, seed: int, index: int) -> int:
    """Return a reproducible number below 10; Python's `hash` differs between processes."""
    return (len(net) + ord(net[-1]) + 3 * seed + 7 * index) % 10


def _inpainting(columns: dict[str, Any], rng: np.random.Generator) -> None:
    """Squares of 4×4 pixels inside the image, at the same place for every method."""
    columns["known"] = (rng.random((len(columns["index"]), 1, *columns["image"].shape[2:])) < 0.8).astype(np.uint8)
    columns["missing"] = 16
    columns["missing_top"] = [index % 4 for index in columns["index"]]
    columns["missing_left"] = [index % 3 for index in columns["index"]]
    columns["intensity_missing"] = [index % 7 / 2 for index in columns["index"]]


def _interpolation(columns: dict[str, Any], rng: np.random.Generator) -> None:
    """Fractions of a path that add up to 1; the first frame has none."""
    share = rng.dirichlet(np.ones(8), len(columns["frame"]))[:, 0]
    columns["change"] = [
        float("nan") if frame == 0 else one for frame, one in zip(columns["frame"], share, strict=True)
    ]
    columns["label_from"] = columns["pair"]
    columns["label_to"] = [pair + 1 for pair in columns["pair"]]


def _snapshots(columns: dict[str, Any], rng: np.random.Generator) -> None:
    """Quantiles that increase with their level."""
    pooled = 2 * np.array(columns["level"]) - 1
    columns["pooled"], columns["dimension_low"], columns["dimension_high"] = pooled, pooled - 0.4, pooled + 0.3


def _comparison(columns: dict[str, Any], rng: np.random.Generator) -> None:
    """The first arm is the baseline; effects of either sign."""
    columns["measure"], columns["baseline"], columns["seeds"] = "robust_accuracy", "plain", 5
    columns["at_chance"] = [5 if arm == "another one" else 0 for arm in columns["arm"]]
    columns["effects"] = list(rng.normal(0, 0.2, (len(columns["arm"]), 5)))
    columns["effect"] = np.array([one.mean() for one in columns["effects"]])
    columns["effect_low"], columns["effect_high"] = columns["effect"] - 0.15, columns["effect"] + 0.15
    columns["asks"] = "Does it help, or is it the steps that were added with it, as so often?"
    columns["besides"] = ["steps" if arm == "another one" else "" for arm in columns["arm"]]


def _convergence(columns: dict[str, Any], rng: np.random.Generator) -> None:
    """Ten steps; half of the starts never succeed."""
    columns["right_clean"] = [index > 1 for index in columns["index"]]
    steps = rng.integers(1, 20, len(columns["index"]))
    columns["fooled_step"] = [int(step) if step <= LENGTH else None for step in steps]


def _certification(columns: dict[str, Any], rng: np.random.Generator) -> None:
    """One model with bounds and one with noise; every tenth image is misclassified or without a prediction."""
    smoothed = [source == NAMES["classifiers"][-1] for source in columns["source"]]
    columns["smoothed"], columns["norm"] = smoothed, ["l2" if one else "linf" for one in smoothed]
    answers = zip(columns["index"], columns["label"], smoothed, strict=True)
    columns["predicted"] = [label if index % 10 else None if noisy else label + 1 for index, label, noisy in answers]
    columns["radius"] = 0.3 * rng.random(len(smoothed))


def _linearity(columns: dict[str, Any], rng: np.random.Generator) -> None:
    for name in ("logits", "logits_unaimed"):
        columns[name] = list(rng.normal(size=(len(columns["index"]), CLASSES)))


CONSTANT = {
    "transfer": {"amplified": False},
    "transferred": {"amplified": False},
    "simulation": {"x_name": "training examples", "y_name": "test error"},
}
CONSISTENT = {
    "examples": _examples,
    "inpainting": _inpainting,
    "interpolation": _interpolation,
    "latent_snapshots": _snapshots,
    "comparison": _comparison,
    "convergence": _convergence,
    "certification": _certification,
    "linearity": _linearity,
}
"""Functions that make the columns of a table consistent."""


def _column(name: str, type_: str | Image, rows: int, rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    if isinstance(type_, Image):
        images = rng.random((rows, *shape))
        return (255 * images).astype(np.uint8) if type_.dtype == "uint8" else images.astype(np.float32)
    if type_.startswith("list"):
        if "int" in type_:
            return [list(range(LENGTH))] * rows
        return list(np.sort(rng.uniform(0.01, 0.1, (rows, LENGTH)))[:, ::-1])
    if type_ == "bool":
        return rng.random(rows) < 0.5
    if type_.startswith("int"):
        return np.full(rows, 200) if name == "n" else rng.integers(0, CLASSES, rows)
    if type_.startswith("float"):
        return 300 * rng.random(rows) if name == "frechet_distance" else rng.random(rows)
    return ["text"] * rows


def fake_specs(cls: type[FigureSpec]) -> Iterator[tuple[str, FigureSpec]]:
    """Yield a spec with only the required fields of a figure, and one with all fields."""
    for label, full in (("minimal", False), ("full", True)):
        values: dict[str, Any] = {}
        for name, field in cls.model_fields.items():
            value = MAPS[name][full] if name in MAPS else _value(field.annotation, field.metadata, full)
            if value is not None and (field.is_required() or full):
                values[name] = value
            elif field.is_required():
                raise AssertionError(f"{cls.__name__}.{name}: no synthetic value; extend tests/fake_tables.py")
        yield label, cls(**values)


def _value(annotation: Any, metadata: list[Any], full: bool) -> Any:
    refs = [item for item in metadata if isinstance(item, Reference)]
    if refs:
        if refs[0].families[0] not in NAMES:
            raise LookupError(f"no synthetic names of {refs[0].families[0]}; extend NAMES in tests/fake_tables.py")
        return NAMES[refs[0].families[0]][0]
    if get_origin(annotation) is tuple and hasattr(get_args(annotation)[0], "__metadata__"):
        inner = [item for item in get_args(annotation)[0].__metadata__ if isinstance(item, Reference)]
        names = NAMES[inner[0].families[0]] if inner else []
        return tuple(names if full else names[:1]) or None
    if get_origin(annotation) is tuple and get_origin(get_args(annotation)[0]) is Literal:
        return get_args(get_args(annotation)[0]) if full else None
    arguments = get_args(annotation)
    if get_origin(annotation) is Literal:
        return arguments[-1 if full else 0]
    return None


def with_columns(table: pa.Table, **columns: np.ndarray) -> pa.Table:
    """A table with other values in some columns."""
    for name, values in columns.items():
        place = table.column_names.index(name)
        table = table.set_column(place, table.field(place), pa.array(values).cast(table.field(place).type))
    return table
