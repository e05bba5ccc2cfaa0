"""`advgen audit`: the robustness of a custom classifier, and whether the evaluation is sound."""

from __future__ import annotations

import argparse
import io
import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advgen.files.provenance import Stamp, sha256_file, write_bytes
from advgen.files.user_files import factory_files

if TYPE_CHECKING:
    from advgen.api.result import Evaluation

EPILOG = """\
MODEL is read without unpickling anything:
  net.pt2           torch.export.save(torch.export.export(model.eval(), (images,),
                    dynamic_shapes=({0: torch.export.Dim('batch')},)), 'net.pt2')
  net.pt            TorchScript, as torch.jit.save writes it
  net.safetensors   weights, with --factory net.py:make, a function without arguments that returns the torch.nn.Module
  results/...       a checkpoint of a study
It maps images (B, C, H, W) to logits (B, K). Use --mean, --std and --bounds for its input normalisation.

DATA are images that the model was not trained on:
  photos/           a folder with one folder of images per class, labelled like torchvision's ImageFolder: in sorted
                    order, or as --classes says; if it has train/ and test/ (or val/) folders, test is read
  data.npz          arrays images (N, H, W), (N, H, W, C) or (N, C, H, W), uint8 or floats in --bounds, and labels (N,)
  test.parquet      a table of a study
  mnist             or fashion_mnist, cifar10, ...: the test split, downloaded or from $ADVGEN_DATA

--eps is on the scale on which pixels are 0 to 1: for 8 of 255 grey levels write 8/255.

The exit status is 0 if the evaluation is sound, 3 if it is unsound (a check fails), 4 if the images are insufficient,
1 if there was an error. The page is written in the first three cases.

  python -m advgen audit net.pt2 --data mnist --eps 0.1
  python -m advgen audit net.safetensors --factory net.py:make --data photos --eps 8/255 --mean 0.5 --std 0.25
"""
EXIT_STATUS = {"sound": 0, "unsound": 3, "insufficient": 4}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `advgen audit`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL", help="the file of a classifier; see below")
    add("--data", required=True, metavar="DATA", help="images with labels; see below")
    add("--classes", metavar="JSON", help="map from class folder to label, such as ImageFolder's class_to_idx")
    add("--eps", required=True, type=_number, metavar="E", help="radius, such as 0.1 or 8/255")
    add("--norm", choices=("linf", "l2"), default="linf", help="norm of the radius (default: linf)")
    add("--ensemble", choices=("quick", "standard"), default="quick", help="standard is ten times slower")
    add("--images", type=int, default=1000, metavar="N", help="size of the random sample of images (default: 1000)")
    add("--factory", metavar="CODE", help="net.py:make or package.net:make, for a file with weights only")
    add("--mean", type=_numbers, metavar="M", help="subtracted from the pixels: one number, or one per channel: a,b,c")
    add("--std", type=_numbers, metavar="S", help="divides the pixels afterwards")
    add("--bounds", type=_numbers, default=(0.0, 1.0), metavar="L,H", help="pixel range of the model (default: 0,1)")
    add("--seed", type=int, default=0, help="of the sample of images and of random starts (default: 0)")
    add("--out", type=Path, metavar="PAGE", help="default: MODEL-audit.html; the tables go to a folder of that name")


def _number(text: str) -> float:
    """A number, or a fraction such as 8/255."""
    above, _, below = text.partition("/")
    try:
        return float(above) / float(below or 1)
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number; write 0.1 or 8/255") from None


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(_number(part) for part in text.split(","))


def run(arguments: argparse.Namespace) -> None:
    """Evaluate the model, then write a page and a folder of tables. Exits with a status of its own if unsound."""
    page: Path = arguments.out or Path(f"{arguments.model.stem}-audit.html")
    if page.suffix != ".html":
        raise ValueError(f"--out {page}: must be an .html file")
    if arguments.images < 1:
        raise ValueError(f"--images {arguments.images}: must be at least 1")
    if len(arguments.bounds) != 2:
        raise ValueError("--bounds: must be the lowest and the highest pixel, such as 0,1 or -1,1")
    device = _prepare_device()

    from advgen.api.evaluation import evaluate
    from advgen.api.inputs import to_unit_pixels
    from advgen.data.custom import read_custom
    from advgen.jobs.progress import Progress
    from advgen.models.custom import load_custom_model

    normalisation = {"bounds": arguments.bounds, "mean": arguments.mean, "std": arguments.std}
    model = load_custom_model(arguments.model, arguments.factory, **normalisation).to(device)
    progress = Progress(f"read {arguments.data}", stream=sys.stderr)
    data = read_custom(arguments.data, arguments.images, arguments.seed, progress, arguments.classes)
    for note in data.notes:
        print(note, file=sys.stderr)
    images = _match_channels(model, to_unit_pixels(data.images, arguments.bounds), arguments.data)
    _check_classes(model, images, data.names, arguments.data)
    eps = arguments.eps
    radii = [eps / 4, eps / 2, *([2 * eps] if 2 * eps <= 1 or arguments.norm == "l2" else [])]
    settings = {name: getattr(arguments, name) for name in ("norm", "ensemble", "seed")}
    evaluation = evaluate(model, images, data.labels, eps=eps, radii=radii, **settings)
    evaluation = replace(evaluation, stamp=_stamp(evaluation.stamp, arguments))
    folder = page.with_suffix("")
    html = _page(evaluation, arguments, f"{len(data.labels):,} of {data.total:,} images", folder)
    evaluation.save(folder)
    write_bytes(page, html.encode())
    print(evaluation)
    print(f"{page}: the page; {folder}{os.sep}: its tables")
    if not evaluation.sound:
        sys.stdout.flush()
        sys.exit(EXIT_STATUS[evaluation.verdict])


def _prepare_device() -> str:
    """The device; torch uses one thread per core."""
    from advgen.io import devices

    device = devices.prepare("audit")
    import torch

    torch.set_deterministic_debug_mode("default")  # a custom model may use operations without a deterministic version
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    return device


def _predict_two(model: Any, images: Any) -> Any:
    """The logits of the first two images; None after any error, which `evaluate` reports."""
    from advgen.models.predict import predict

    try:
        return predict(model, images[:2])[1]
    except Exception:
        return None


def _match_channels(model: Any, images: Any, data: str) -> Any:
    """Grey images with the number of channels of the model, one or three equal ones; other images unchanged."""
    is_grey = bool((images == images[:, :1]).all())
    other = images.expand(-1, 3, -1, -1).contiguous() if images.shape[1] == 1 else images[:, :1].contiguous()
    if not is_grey or _predict_two(model, images) is not None or _predict_two(model, other) is None:
        return images
    print(f"{data}: the images are grey; passing them to the model with {other.shape[1]} channels", file=sys.stderr)
    return other


def _check_classes(model: Any, images: Any, names: tuple[str, ...], data: str) -> None:
    """Raise ValueError if a folder of class folders does not match the number of classes of the model."""
    logits = _predict_two(model, images) if Path(data).is_dir() else None
    if logits is not None and logits.ndim == 2 and logits.shape[1] != len(names):
        classes = f"{len(names)} classes ({', '.join(names[:5])}{', …' if len(names) > 5 else ''})"
        raise ValueError(f"{data} has {classes}, but the model has {logits.shape[1]}; add one folder per class")


def _stamp(stamp: Stamp, arguments: argparse.Namespace) -> Stamp:
    """The stamp with the command and the digests of its input files."""
    files = [arguments.model, *([Path(arguments.data)] if Path(arguments.data).is_file() else [])]
    files += [Path(arguments.classes)] if arguments.classes else []
    files += factory_files(arguments.factory)
    inputs = {os.path.relpath(path): sha256_file(path) for path in files}
    return replace(stamp, command=format_command(arguments), inputs=inputs)


def format_command(arguments: argparse.Namespace) -> str:
    """The command that creates the page again, with every argument that differs from its default."""
    words = ["python", "-m", "advgen", "audit", os.path.relpath(arguments.model)]
    data = os.path.relpath(arguments.data) if Path(arguments.data).exists() else arguments.data
    eps = f"{arguments.eps:g}" if float(f"{arguments.eps:g}") == arguments.eps else repr(arguments.eps)
    words += ["--data", data, "--eps", eps]
    defaults = {"norm": "linf", "ensemble": "quick", "images": 1000, "seed": 0, "bounds": (0.0, 1.0)}
    for name in ("classes", "norm", "ensemble", "images", "factory", "mean", "std", "bounds", "seed"):
        value = getattr(arguments, name)
        if value is not None and value != defaults.get(name):
            text = ",".join(f"{one:g}" for one in value) if isinstance(value, tuple) else str(value)
            words.append(f"--{name}={text}")
    return shlex.join(words)


def _page(evaluation: Evaluation, arguments: argparse.Namespace, sample: str, folder: Path) -> str:
    import pyarrow as pa

    from advgen.report.page import Figure, Section, Table, render

    columns = ["norm", "eps", "n", "accuracy", "accuracy_low", "accuracy_high", "success", "success_rounded"]
    columns += ["median_l2", "median_linf", "gradient_calls", "forward_calls"]
    attacks = pa.Table.from_pandas(evaluation.table[columns].reset_index(), preserve_index=False)
    command = format_command(arguments)
    text = f"{_verdict_text(evaluation)}\n\nEvaluated on {sample} with\n\n.. code-block::\n\n   {command}"
    figures = []
    for name, plot in (("attacks", evaluation.plot), ("radii", evaluation.curve), ("examples", evaluation.gallery)):
        png = io.BytesIO()
        plot().savefig(png, format="png", dpi=200, metadata={"Software": None})
        figures.append(Figure(name, CAPTIONS[name], png.getvalue(), pdf=""))
    tables = [Table("The attacks", attacks, f"{folder.name}/robustness.parquet", columns)]
    sections = [
        Section("Verdict", "Summary", text),
        Section("Robustness", "Accuracy under attack", figures=figures, tables=tables),
    ]
    stamp = evaluation.stamp
    facts = {"command": command, "code": stamp.code, "computed on": stamp.device}
    facts |= {f"digest of {name}": digest for name, digest in stamp.inputs.items()}
    title = f"Audit of {arguments.model.name} on {Path(arguments.data).name}"
    back = f"python -m advgen trace {folder.name}/examples.parquet"
    return render(title, sections, stamp.token(), checks=evaluation.check_table, provenance=facts, trace_command=back)


CAPTIONS = {
    "attacks": "Clean accuracy, accuracy under each attack, and worst-case accuracy. The worst case counts an image as "
    "correct only if no attack in it fools the model. Noise is the control: a working attack is stronger than noise.",
    "radii": "Robust accuracy against the radius of the attack. If it stays high at a large radius, the evaluation is "
    "more likely to be wrong than the model to be robust.",
    "examples": "The images that the smallest changes fool, each with its change. Above the change: the label and the "
    "clean prediction. Below it: the prediction afterwards and its confidence.",
}


def _verdict_text(evaluation: Evaluation) -> str:
    from advgen.figures.formatting import NORM_NAMES

    (low, high), (clean_low, clean_high) = evaluation.interval, evaluation.clean_interval
    accuracies = (
        f"The clean accuracy on {evaluation.n:,} images is {evaluation.clean_accuracy:.1%} [{clean_low:.1%}, "
        f"{clean_high:.1%}]. The robust accuracy is **{evaluation.robust_accuracy:.1%}** [{low:.1%}, {high:.1%}] for "
        f"{NORM_NAMES[evaluation.norm]} ≤ {evaluation.eps:g}, in the worst case over {evaluation.worst_case_attacks}. "
        "Intervals are Wilson intervals at 95 %. "
    )
    names = {status: ", ".join(rows["name"]) for status, rows in evaluation.checks.groupby("status")}
    warnings = f" Check the warnings: {names['warn']}." if "warn" in names else ""
    verdict = f"**{evaluation.verdict.capitalize()} evaluation**: {evaluation.reason}. "
    if evaluation.verdict == "unsound":
        verdict += f"Do not trust the robust accuracy yet; these checks fail: {names['fail']}."
    elif evaluation.verdict == "insufficient":
        verdict += "Evaluate more images."
    elif not warnings:
        warnings = f"All {len(evaluation.checks)} checks pass. This is an upper bound: other attacks may find more."
    return f"{verdict}\n\n{accuracies}{warnings}"
