"""One spec class per command: what it reads, writes and must be told. Torch-free; shared by the plan and the CLI.

A task's docstring is its help. `science` names the modules whose code its result depends on, and what they import,
besides the registry targets in its spec: the command's, which also chooses the images.
"""

from __future__ import annotations

import shutil
from typing import ClassVar, Literal, NamedTuple

from pydantic import Field

from advgen.references import Section
from advgen.registry import (
    PRESETS,
    AnyAttack,
    AnyAutoencoder,
    AnyDataset,
    AnyDefence,
    AnyFigure,
    AnyGenerator,
    AnyMask,
    AnyNetwork,
    AnySimulation,
    modules,
)
from advgen.specs import (
    AutoencoderTraining,
    ClassifierTraining,
    EncoderTraining,
    GanTraining,
    LatentSearch,
    MomentMatching,
    Spec,
)

CvFormat = Literal["pdf", "html", "md", "tex", "resume.json", "latex.pdf"]


def cv_formats() -> tuple[CvFormat, ...]:
    """The formats of a CV where none are named: all that this machine can write."""
    latex: tuple[CvFormat, ...] = ("latex.pdf",) if shutil.which("latexmk") else ()
    return ("pdf", "html", "md", "tex", "resume.json", *latex)


TORCH = ("numpy", "pyarrow", "scipy", "torch")


class Task(Spec):
    """Base of all tasks. `reads` and `writes` are flags; `torch` tasks lease a device."""

    reads: ClassVar[tuple[str, ...]] = ()
    writes: ClassVar[tuple[str, ...]] = ("out",)
    science: ClassVar[tuple[str, ...]]
    torch: ClassVar[bool] = False
    private: ClassVar[bool] = False
    packages: ClassVar[tuple[str, ...]] = ("numpy", "pyarrow")

    def code(self) -> set[str]:
        """Modules that the result depends on: the science, and the registry targets in the spec."""
        return {*self.science, *modules(self)}


class Fetch(Task):
    """Download the raw files of a data set and check their checksums."""

    science = ("advgen.commands.fetch",)
    dataset: AnyDataset = Field(description="data set to download")


class MakeDataset(Task):
    """Turn raw files into train.parquet and test.parquet."""

    reads = ("raw",)
    writes = ("out-train", "out-test")
    science = ("advgen.commands.make_dataset",)
    dataset: AnyDataset = Field(description="data set to make")
    seed: int = Field(0, description="seed of the choice where only a part is used")

    def code(self) -> set[str]:
        """Where the files came from does not matter, only how they are read."""
        return {*self.science, self.dataset.reader.split(":")[0]}  # type: ignore[attr-defined]


class DeriveDataset(Task):
    """Make a data set from another one, with a trained model if it needs one."""

    reads = ("train", "test", "model")
    writes = ("out-train", "out-test")
    science = ("advgen.commands.derive_dataset",)
    torch = True
    packages = TORCH
    dataset: AnyDataset = Field(description="data set to make")
    name: str
    seed: int


class TrainClassifier(Task):
    """Train a network to name the class."""

    reads = ("data",)
    writes = ("out-model", "out-history")
    science = ("advgen.commands.train_classifier",)
    torch = True
    packages = TORCH
    name: str
    seed: int
    model: AnyNetwork
    classes: int
    images: int | None
    defence: AnyDefence | None
    training: ClassifierTraining
    validation: int


class TrainProbe(Task):
    """Make a classifier from a discriminator's decision, or train a linear head on frozen features."""

    reads = ("model", "data")
    writes = ("out-model", "out-history")
    science = ("advgen.commands.train_probe",)
    torch = True
    packages = TORCH
    name: str
    seed: int
    part: Literal["decision", "features"]
    classes: int
    training: ClassifierTraining
    validation: int


class Origin(Spec):
    """What tables say of a classifier beside its name."""

    dataset: str
    images: int = Field(description="training images")
    defence: str


class Tested(Origin):
    """One classifier of the table."""

    classifier: str
    seed: int


class EvaluateClassifiers(Task):
    """Measure the test error of classifiers."""

    reads = ("models", "histories", "data")
    science = ("advgen.commands.evaluate_classifiers",)
    torch = True
    packages = TORCH
    tested: tuple[Tested, ...]


class CalibrateJudge(Task):
    """Measure the judge's Fréchet distance on images of known quality."""

    reads = ("judge", "train", "test")
    science = ("advgen.commands.calibrate_judge",)
    torch = True
    packages = TORCH
    dataset: str
    n: int
    seed: int


class TrainGan(Task):
    """Train a generator against a discriminator."""

    reads = ("data", "judge")
    writes = ("out-generator", "out-discriminator", "out-history")
    science = ("advgen.commands.train_gan",)
    # named, not imported, so that it is no part of the digest of a GAN that nobody judges
    scorer: ClassVar[str] = "advgen.metrics.score:scorer"
    torch = True
    packages = TORCH
    name: str
    seed: int
    generator: AnyGenerator
    discriminator: AnyNetwork
    training: GanTraining
    validation: int

    @property
    def judged(self) -> bool:
        """Whether training chooses the generator by the judge, which it then reads."""
        return self.training.best_of > 0

    def code(self) -> set[str]:
        """The scoring too, where the judge chooses."""
        return super().code() | ({self.scorer.split(":")[0]} if self.judged else set())


class EvaluateGan(Task):
    """Draw samples from a generator and judge them."""

    reads = ("generator", "discriminator", "history", "judge", "data")
    writes = ("out-samples", "out-quality")
    science = ("advgen.commands.evaluate_gan",)
    torch = True
    packages = TORCH
    name: str
    seed: int
    training: GanTraining
    n: int
    shown: int = 200


class TrainAutoencoder(Task):
    """Train an autoencoder."""

    reads = ("data",)
    writes = ("out-model", "out-history", "out-snapshots")
    science = ("advgen.commands.train_autoencoder",)
    torch = True
    packages = TORCH
    name: str
    seed: int
    model: AnyAutoencoder
    training: AutoencoderTraining
    validation: int


class EvaluateAutoencoder(Task):
    """Reconstruct the test images with an autoencoder and judge them."""

    reads = ("model", "judge", "data")
    writes = ("out-reconstructions", "out-decoded", "out-quality")
    science = ("advgen.commands.evaluate_autoencoder",)
    torch = True
    packages = TORCH
    name: str
    seed: int
    moments: MomentMatching | None
    n: int
    shown: int = 200


class TrainEncoder(Task):
    """Train a network to find z from a generator's image."""

    reads = ("generator",)
    writes = ("out-model", "out-history")
    science = ("advgen.commands.train_encoder",)
    torch = True
    packages = TORCH
    name: str
    seed: int
    model: AnyNetwork
    training: EncoderTraining


class Truncate(Task):
    """Judge a generator's samples from truncated latent vectors."""

    reads = ("generator", "judge", "data")
    science = ("advgen.commands.truncate",)
    torch = True
    packages = TORCH
    name: str
    generator_name: str
    seed: int
    n: int
    thresholds: tuple[float, ...]


class Invert(Task):
    """Search the latent vectors whose images are nearest to test images."""

    reads = ("generator", "judge", "data", "encoder")
    science = ("advgen.commands.invert",)
    torch = True
    packages = TORCH
    name: str
    generator_name: str
    seed: int
    images: int
    choice: int
    search: LatentSearch


class Inpaint(Task):
    """Restore test images from behind masks with a generator."""

    reads = ("generator", "judge", "data", "discriminator")
    science = ("advgen.commands.inpaint",)
    torch = True
    packages = TORCH
    name: str
    generator_name: str
    seed: int
    images: int
    choice: int
    masks: dict[str, AnyMask]
    methods: tuple[str, ...]
    search: LatentSearch


class Interpolate(Task):
    """Walk between pairs of test images in a model's latent space."""

    reads = ("model", "judge", "data")
    science = ("advgen.commands.interpolate",)
    torch = True
    packages = TORCH
    name: str
    model_name: str
    seed: int
    pairs: int
    choice: int
    frames: int
    search: LatentSearch | None


class Craft(Task):
    """Attack one source model with one attack."""

    reads = ("model", "data")
    science = ("advgen.commands.craft",)
    torch = True
    packages = TORCH
    source: str
    source_seed: int
    attack_name: str
    attack: AnyAttack
    origin: Origin
    examples: int
    choice: int


class Transfer(Task):
    """Show every target the adversarial examples of one source."""

    reads = ("examples", "targets")
    science = ("advgen.commands.transfer",)
    torch = True
    packages = TORCH
    study: str
    targets: tuple[str, ...]
    seeds: tuple[int, ...]
    rms: float | None


class Linearity(Task):
    """Follow the logits along the sign of the input gradient."""

    reads = ("model", "data")
    science = ("advgen.commands.linearity",)
    torch = True
    packages = TORCH
    name: str
    source: str
    seed: int
    eps: float
    points: int
    images: int
    choice: int


class Converge(Task):
    """Attack step by step from many starts."""

    reads = ("model", "data")
    science = ("advgen.commands.converge", "advgen.attacks.pgd")
    torch = True
    packages = TORCH
    name: str
    source: str
    seed: int
    attack_name: str
    attack: AnyAttack
    restarts: int
    images: int
    choice: int


class Simulate(Task):
    """Run one simulation on a made-up distribution."""

    science = ("advgen.commands.simulate",)
    torch = True
    packages = TORCH
    name: str
    seeds: tuple[int, ...]
    simulation: AnySimulation


class CountParameters(Task):
    """Count the parameters of every named model."""

    science = ("advgen.commands.count_parameters",)
    torch = True
    packages = ("pyarrow", "torch")
    presets: str = Field(description="digest of all presets, so that a changed one counts them again")

    def code(self) -> set[str]:
        """The architectures too."""
        return super().code() | set(modules(PRESETS))


class Summarise(Task):
    """Gather per-run tables into one tidy table with intervals."""

    reads = ("tables",)
    science = ("advgen.commands.summarise",)
    packages = ("numpy", "pandas", "pyarrow", "scipy")
    table: str


class Draw(Task):
    """Draw one figure as PDF and PNG."""

    reads = ("tables", "style")
    writes = ("out-pdf", "out-png")
    science = ("advgen.commands.draw",)
    packages = ("matplotlib", "numpy", "pandas", "pyarrow", "scipy")
    figure: AnyFigure


class CvData(Task):
    """Read profile, publications and metrics, look up living values, and write the CV as JSON."""

    reads = ("profile", "overlay", "bibliography", "metrics", "tables")
    science = ("advgen.commands.cv_data",)
    private = True
    selected: bool = False
    tags: tuple[str, ...] = ()
    sections: tuple[Section, ...] = ()


class CvRender(Task):
    """Write the CV in one format."""

    reads = ("cv", "figures", "templates")
    science = ("advgen.commands.cv_render",)
    private = True
    format: CvFormat
    figures: tuple[str, ...]


class CheckLaws(Task):
    """Test the laws of honest evaluation on the tables; broken statistical ones of `masked` classifiers are flags."""

    reads = ("tables", "data")
    science = ("advgen.commands.check_laws",)
    packages = ("numpy", "pandas", "pyarrow", "scipy")
    masked: tuple[str, ...]
    datasets: tuple[str, ...] = Field((), description="those whose test images were attacked, in the order of --data")


class Qa(Task):
    """Fail if a law is broken; write the verdict."""

    reads = ("laws",)
    science = ("advgen.commands.qa",)


class Verify(Task):
    """Compare every artefact with the plan. It reads the plan itself, so its spec only names the study."""

    reads = ("artefacts",)
    science = ("advgen.commands.verify",)
    study: str


class ReportFigure(Spec):
    """One figure of the report."""

    name: str
    kind: str
    group: str


class Report(Task):
    """Write the page that shows all figures, tables and laws."""

    reads = ("figures", "tables", "captions", "templates")
    science = ("advgen.commands.report",)
    title: str
    figures: tuple[ReportFigure, ...]


TASKS: dict[str, type[Task]] = {
    "fetch": Fetch,
    "make-dataset": MakeDataset,
    "derive-dataset": DeriveDataset,
    "train-classifier": TrainClassifier,
    "train-probe": TrainProbe,
    "evaluate-classifiers": EvaluateClassifiers,
    "calibrate-judge": CalibrateJudge,
    "train-gan": TrainGan,
    "evaluate-gan": EvaluateGan,
    "train-autoencoder": TrainAutoencoder,
    "evaluate-autoencoder": EvaluateAutoencoder,
    "train-encoder": TrainEncoder,
    "truncate": Truncate,
    "invert": Invert,
    "inpaint": Inpaint,
    "interpolate": Interpolate,
    "craft": Craft,
    "transfer": Transfer,
    "linearity": Linearity,
    "converge": Converge,
    "simulate": Simulate,
    "count-parameters": CountParameters,
    "summarise": Summarise,
    "draw": Draw,
    "cv-data": CvData,
    "cv-render": CvRender,
    "check-laws": CheckLaws,
    "qa": Qa,
    "report": Report,
}


class Summary(NamedTuple):
    """One tidy table over all runs: the kind of its rows, and the outputs that they are gathered from."""

    kind: str
    made: tuple[tuple[str, str], ...]


SUMMARIES: dict[str, Summary] = {
    "gans": Summary("gan_quality", (("evaluate_gan", "quality"),)),
    "autoencoders": Summary("autoencoder_quality", (("evaluate_autoencoder", "quality"),)),
    "classifiers": Summary("classifier_quality", ()),
    "inversions": Summary("inversion_summary", (("invert", "inversion"),)),
    "inpaintings": Summary("inpainting_summary", (("inpaint", "inpainting"),)),
    "interpolations": Summary("interpolation_summary", (("interpolate", "interpolation"),)),
    "truncations": Summary("truncation", (("truncate", "quality"),)),
    "robustness": Summary("robustness", (("craft", "examples"),)),
    "linearity": Summary("linearity_summary", (("linearity", "logits"),)),
    "simulations": Summary("simulation", (("simulate", "series"),)),
    "models": Summary("model", ()),
    "laws": Summary("laws", ()),
}
"""The names of the tables in results/tables/ besides those of the transfers; some have rules of their own."""
