"""Published numbers for comparison. Imports neither torch nor numpy, since the plan checks the names in figures.

Each number has its source and its place there, a table cell or a section. A number is verified if it agrees with a
quotation by others. Other numbers are from memory: they are marked wherever they are shown, and no statistic uses them.
`docs/published.md` is generated from this module.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Published:
    """A published table of errors in percent.

    `targets` are its columns, and `place` is its place in `source`. `distortion` is the RMS of the perturbations.
    `verified` has the verified (row, column) pairs; the diagonal is 100 by definition.
    """

    title: str
    source: str
    place: str
    targets: tuple[str, ...]
    errors: Mapping[str, tuple[float, ...]]
    distortion: Mapping[str, float]
    verified: frozenset[tuple[str, str]]

    def error(self, row: str, column: str) -> float:
        """One cell, in percent."""
        return self.errors[row][self.targets.index(column)]

    def counts(self, row: str, column: str) -> bool:
        """Whether statistics may use a cell: it was measured and verified."""
        return (row, column) in self.verified

    @property
    def unverified(self) -> frozenset[tuple[str, str]]:
        """The measured cells that are from memory."""
        cells = {(row, column) for row in self.errors for column in self.targets if row != column}
        return frozenset(cells - self.verified)


class Value(NamedTuple):
    """A published number: its quantity, bibliography key, place in the source, and whether it is verified."""

    what: str
    value: float
    unit: str
    source: str
    place: str
    verified: bool


MODELS = ("FC10(1e-4)", "FC10(1e-2)", "FC10(1)", "FC100-100-10", "FC200-200-10", "AE400-10")

MINIMUM_DISTORTION = {
    "FC10(1e-4)": (7.4, 0.062),
    "FC10(1e-2)": (9.4, 0.1),
    "FC10(1)": (20.0, 0.14),
    "FC100-100-10": (1.64, 0.058),
    "FC200-200-10": (1.54, 0.065),
    "AE400-10": (1.9, 0.086),
}
"""Test error (%) and mean RMS of the minimum distortion of each model, MNIST [szegedy2014intriguing, table 1]."""

_TRANSFER = {
    "FC10(1e-4)": (100, 11.7, 22.7, 2, 3.9, 2.7),
    "FC10(1e-2)": (87.1, 100, 35.2, 35.9, 27.3, 9.8),
    "FC10(1)": (71.9, 76.2, 100, 48.1, 47, 34.4),
    "FC100-100-10": (28.9, 13.7, 21.1, 100, 6.6, 2),
    "FC200-200-10": (38.2, 14, 23.8, 20.3, 100, 2.7),
    "AE400-10": (23.4, 16, 24.8, 9.4, 6.6, 100),
    "Gaussian sd 0.1": (5.0, 10.1, 18.3, 0, 0, 0.8),
    "Gaussian sd 0.3": (15.6, 11.3, 22.7, 5, 4.3, 3.1),
}
_HALVES = ("FC100-100-10", "FC123-456-10", "FC100-100-10'")
_PLAIN = {
    "FC100-100-10": (100, 26.2, 5.9),
    "FC123-456-10": (6.25, 100, 5.1),
    "FC100-100-10'": (8.2, 8.2, 100),
    "Gaussian sd 0.06": (2.2, 2.6, 2.4),
}
_AMPLIFIED = {
    "FC100-100-10": (100, 98, 43),
    "FC123-456-10": (96, 100, 22),
    "FC100-100-10'": (27, 50, 100),
    "Gaussian sd 0.1": (2.6, 2.8, 2.7),
}


def _cells(rows: tuple[str, ...], columns: tuple[str, ...]) -> frozenset[tuple[str, str]]:
    return frozenset((row, column) for row in rows for column in columns if row != column)


_VERIFIED = tuple(row for row in _TRANSFER if row != "AE400-10"), ("FC10(1e-4)", "FC100-100-10", "AE400-10")
_VERIFIED_HALVES = _cells(("FC100-100-10",), _HALVES)

PUBLISHED = {
    "szegedy2014-table-2": Published(
        "Szegedy et al. 2014, table 2",
        "szegedy2014intriguing",
        "table 2",
        MODELS,
        _TRANSFER,
        {
            **{net: distortion for net, (_, distortion) in MINIMUM_DISTORTION.items()},
            "Gaussian sd 0.1": 0.1,
            "Gaussian sd 0.3": 0.3,
        },
        _cells(*_VERIFIED),
    ),
    "szegedy2014-table-4": Published(
        "Szegedy et al. 2014, table 4",
        "szegedy2014intriguing",
        "table 4, first half",
        _HALVES,
        _PLAIN,
        {"FC100-100-10": 0.062, "FC123-456-10": 0.059, "FC100-100-10'": 0.058, "Gaussian sd 0.06": 0.06},
        _VERIFIED_HALVES,
    ),
    "szegedy2014-table-4-amplified": Published(
        "Szegedy et al. 2014, table 4, amplified",
        "szegedy2014intriguing",
        "table 4, second half",
        _HALVES,
        _AMPLIFIED,
        dict.fromkeys(_AMPLIFIED, 0.1),
        _VERIFIED_HALVES,
    ),
}
"""Errors (%) of the model in the column on the examples of the row, or under noise; MNIST [szegedy2014intriguing].

In table 4 the last model (with a prime) was trained on the other half of the training images.
"""


_FAST = "goodfellow2015explaining"
_FGSM = "FGSM, MNIST, eps .25: "
_PGD = "PGD-trained CNN, MNIST, eps .3: "
_POSES = "CNN, MNIST, ±30°, ±3 px: "
VALUES = (
    *(
        Value(f"{net}, {what}", value, unit, "szegedy2014intriguing", f"table 1, row {net}", True)
        for net, measured in MINIMUM_DISTORTION.items()
        for what, value, unit in zip(("test error", "least distortion, mean RMS"), measured, ("%", ""), strict=True)
    ),
    Value("FC100-100-10 with a pool, test error, below", 1.2, "%", "szegedy2014intriguing", "section 4.2", True),
    Value("the same with weight decay alone", 1.6, "%", "szegedy2014intriguing", "section 4.2", True),
    Value("the same with dropout, around", 1.3, "%", "szegedy2014intriguing", "section 4.2", True),
    Value(f"{_FGSM}error of a softmax regression", 99.9, "%", _FAST, "section 4", True),
    Value(f"{_FGSM}its mean confidence", 79.3, "%", _FAST, "section 4", True),
    Value(f"{_FGSM}error of a maxout network", 89.4, "%", _FAST, "section 4", True),
    Value(f"{_FGSM}its mean confidence", 97.6, "%", _FAST, "section 4", True),
    Value(f"{_FGSM}error of a maxout network trained on FGSM", 17.9, "%", _FAST, "section 6", True),
    Value(f"{_FGSM}its mean confidence on mistakes", 81.4, "%", _FAST, "section 6", True),
    Value(f"{_FGSM}error of the trained network on the plain one's examples", 19.6, "%", _FAST, "section 6", True),
    Value(f"{_FGSM}error of the plain network on the trained one's examples", 40.9, "%", _FAST, "section 6", True),
    Value("maxout network with dropout, MNIST, test error", 0.94, "%", _FAST, "section 6", True),
    Value("the same trained on FGSM, the first of two figures", 0.84, "%", _FAST, "section 6", False),
    Value(f"{_FGSM}error when trained on random signs", 86.2, "%", _FAST, "section 6", False),
    Value(f"{_FGSM}error when trained on uniform noise", 90.4, "%", _FAST, "section 6", False),
    Value(f"{_PGD}clean accuracy", 98.8, "%", "madry2018towards", "table 1", False),
    Value(f"{_PGD}accuracy under FGSM", 95.6, "%", "madry2018towards", "table 1", False),
    Value(f"{_PGD}accuracy under PGD-40, 1 start", 93.2, "%", "madry2018towards", "table 1", False),
    Value(f"{_PGD}accuracy under PGD-100, 1 start", 91.8, "%", "madry2018towards", "table 1", False),
    Value(f"{_PGD}accuracy under PGD-40, 20 starts", 90.4, "%", "madry2018towards", "table 1", False),
    Value(f"{_PGD}accuracy under PGD-100, 20 starts", 89.3, "%", "madry2018towards", "table 1", False),
    Value(
        "the model released later, accuracy under PGD-100, 50 starts",
        89.62,
        "%",
        "madry2018towards",
        "leaderboard of MadryLab/mnist_challenge",
        True,
    ),
    Value(f"{_POSES}clean accuracy", 99.3, "%", "engstrom2019exploring", "table of MNIST", False),
    Value(f"{_POSES}accuracy, one pose at random", 94.2, "%", "engstrom2019exploring", "table of MNIST", False),
    Value(f"{_POSES}accuracy, worst of a grid", 26.0, "%", "engstrom2019exploring", "table of MNIST", False),
    Value("DeepFool, LeNet on MNIST, relative L2", 0.20, "", "moosavi2016deepfool", "table 1", False),
    Value("DeepFool, FC500-150-10 on MNIST, relative L2", 0.11, "", "moosavi2016deepfool", "table 1", False),
    Value("robust set, CIFAR-10, accuracy at L2 .25", 48.0, "%", "ilyas2019adversarial", "results", False),
    Value("D_rand, CIFAR-10, clean accuracy", 63.0, "%", "ilyas2019adversarial", "results", False),
    Value("D_det, CIFAR-10, clean accuracy", 44.0, "%", "ilyas2019adversarial", "results", False),
)
"""Single numbers; `unit` is % or empty."""

TEST_ERRORS = {
    one.what.removesuffix(", test error"): one
    for one in VALUES
    if one.unit == "%" and one.what.endswith(", test error")
}
"""Published test errors (%) by model."""
TEST_ERRORS["maxout net with dropout, MNIST"] = TEST_ERRORS["maxout network with dropout, MNIST"]  # its former name
