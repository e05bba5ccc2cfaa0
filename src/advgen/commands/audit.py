"""`advgen audit`: how robust a classifier of one's own is, and whether the evaluation is sound."""

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
    from matplotlib.figure import Figure

    from advgen.api.evaluation import Evaluation

EPILOG = """\
MODEL is read without un-pickling anything:
  net.pt2           torch.export.save(torch.export.export(model.eval(), (images,),
                    dynamic_shapes=({0: torch.export.Dim('batch')},)), 'net.pt2')
  net.pt            TorchScript, as torch.jit.save writes it
  net.safetensors   weights, with --factory net.py:make, a function without arguments that gives the torch.nn.Module
  results/...       a checkpoint of a study
It takes images (B, C, H, W) and gives logits (B, K). Say with --mean, --std and --bounds how its pixels are prepared.

DATA is what the model has not been trained on:
  photos/           a folder with a folder of images for each class, labelled as torchvision's ImageFolder does: sorted
                    as text, or as --classes says; of train/ and test/ (or val/) folders in it, test is read
  data.npz          arrays images (N, H, W), (N, H, W, C) or (N, C, H, W), uint8 or floats in --bounds, and labels (N,)
  test.parquet      a table of a study
  mnist             or fashion_mnist, cifar10, ...: the test split, downloaded or from $ADVGEN_DATA

--eps is on the scale on which pixels are from 0 to 1: for 8 of 255 grey levels write 8/255.

The exit status is 0 if the evaluation is sound, 3 if it is unsound (a check fails), 4 if the images are insufficient,
1 if nothing could be evaluated. The page is written in the first three cases.

  python -m advgen audit net.pt2 --data mnist --eps 0.1
  python -m advgen audit net.safetensors --factory net.py:make --data photos --eps 8/255 --mean 0.5 --std 0.25
"""


EXIT_STATUS = {"sound": 0, "unsound": 3, "insufficient": 4}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `advgen audit`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.add_argument("model", type=Path, metavar="MODEL", help="the file of a classifier; see below")
    parser.add_argument("--data", required=True, metavar="DATA", help="images with labels; see below")
    parser.add_argument(
        "--classes", metavar="JSON", help="a map of class folder to label, such as ImageFolder's class_to_idx"
    )
    parser.add_argument("--eps", required=True, type=_number, metavar="E", help="radius, such as 0.1 or 8/255")
    parser.add_argument("--norm", choices=("linf", "l2"), default="linf", help="norm of the radius (default: linf)")
    parser.add_argument(
        "--ensemble", choices=("quick", "standard"), default="quick", help="standard: ten times the cost"
    )
    parser.add_argument(
        "--images", type=int, default=1000, metavar="N", help="a seeded choice of so many (default: 1000)"
    )
    parser.add_argument("--factory", metavar="CODE", help="net.py:make or package.net:make, for weights alone")
    parser.add_argument(
        "--mean", type=_numbers, metavar="M", help="subtracted from pixels: a number, or one a channel: a,b,c"
    )
    parser.add_argument("--std", type=_numbers, metavar="S", help="what pixels are divided by then")
    parser.add_argument("--bounds", type=_numbers, default=(0.0, 1.0), metavar="L,H", help="the model's pixels (0,1)")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of images and of random starts (default: 0)")
    parser.add_argument(
        "--out", type=Path, metavar="PAGE", help="default: MODEL-audit.html; tables go to a folder beside"
    )


def _number(text: str) -> float:
    """A number, or a fraction such as 8/255."""
    above, _, below = text.partition("/")
    try:
        return float(above) / float(below or 1)
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(f"{text!r} is no number; write 0.1 or 8/255") from None


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(_number(part) for part in text.split(","))


def run(arguments: argparse.Namespace) -> None:
    """Evaluate and write a page and a folder of tables; nothing is written before all is computed.

    SystemExit with a status of its own if the evaluation is not sound.
    """
    page: Path = arguments.out or Path(f"{arguments.model.stem}-audit.html")
    if page.suffix != ".html":
        raise ValueError(f"--out {page}: the page is an .html file")
    if arguments.images < 1:
        raise ValueError(f"--images {arguments.images}: must be at least 1")
    if len(arguments.bounds) != 2:
        raise ValueError("--bounds: wants the lowest and the highest pixel, such as 0,1 or -1,1")
    device = _prepared()

    from advgen.api.evaluation import evaluate
    from advgen.api.inputs import pixels
    from advgen.data.custom import read_custom
    from advgen.jobs.progress import Progress
    from advgen.models.custom import load_custom_model

    bounds = arguments.bounds
    model = load_custom_model(
        arguments.model, arguments.factory, bounds=bounds, mean=arguments.mean, std=arguments.std
    ).to(device)
    told = Progress(f"read {arguments.data}", stream=sys.stderr)
    data = read_custom(arguments.data, arguments.images, arguments.seed, told, arguments.classes)
    for note in data.notes:
        print(note, file=sys.stderr)
    images = _match_channels(model, pixels(data.images, bounds), arguments.data)
    _check_classes(model, images, data.names, arguments.data)
    eps = arguments.eps
    further = [eps / 4, eps / 2, *([2 * eps] if 2 * eps <= 1 or arguments.norm == "l2" else [])]
    found = evaluate(
        model,
        images,
        data.labels,
        eps=eps,
        norm=arguments.norm,
        ensemble=arguments.ensemble,
        seed=arguments.seed,
        radii=further,
    )
    found = replace(found, stamp=_stamp(found.stamp, arguments))
    folder = page.with_suffix("")
    html = _page(found, arguments, f"{len(data.labels):,} of {data.total:,} images", folder)
    found.save(folder)
    write_bytes(page, html.encode())
    print(found)
    print(f"{page}: the page; {folder}{os.sep}: its tables")
    if not found.sound:
        sys.stdout.flush()
        sys.exit(EXIT_STATUS[found.verdict])


def _prepared() -> str:
    """The device, with as many threads as there are cores."""
    from advgen.io import devices

    device = devices.prepare("audit")
    import torch

    torch.set_deterministic_debug_mode("default")  # somebody else's model may use what has no deterministic way
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    return device


def _match_channels(model: Any, images: Any, data: str) -> Any:
    """Grey images with as many channels as the model takes, one or three equal ones; others as they are."""
    from advgen.models.predict import predict

    def fit(some: Any) -> bool:
        try:
            predict(model, some[:2])
        except Exception:
            return False
        return True

    grey = bool((images == images[:, :1]).all())
    other = images.expand(-1, 3, -1, -1).contiguous() if images.shape[1] == 1 else images[:, :1].contiguous()
    if not grey or fit(images) or not fit(other):
        return images
    print(f"{data}: the images are grey; the model takes them with {other.shape[1]} channels", file=sys.stderr)
    return other


def _check_classes(model: Any, images: Any, names: tuple[str, ...], data: str) -> None:
    """ValueError if a folder has other classes than the model."""
    from advgen.models.predict import predict

    if not Path(data).is_dir():
        return
    try:
        logits = predict(model, images[:2])[1]
    except Exception:
        return  # told with all else that a model may do wrong
    if logits.ndim == 2 and logits.shape[1] != len(names):
        told = f"{data} has {len(names)} classes ({', '.join(names[:5])}{', …' if len(names) > 5 else ''})"
        raise ValueError(
            f"{told}, and the model tells {logits.shape[1]} apart; give it a folder for each of its classes"
        )


def _stamp(stamp: Stamp, arguments: argparse.Namespace) -> Stamp:
    """With the command and the digests of the files that it read."""
    files = [arguments.model, *([Path(arguments.data)] if Path(arguments.data).is_file() else [])]
    files += [Path(arguments.classes)] if arguments.classes else []
    files += factory_files(arguments.factory)
    inputs = {os.path.relpath(path): sha256_file(path) for path in files}
    return replace(stamp, command=command(arguments), inputs=inputs)


def command(arguments: argparse.Namespace) -> str:
    """What makes the page again, with every setting that is not its default."""
    words = ["python", "-m", "advgen", "audit", os.path.relpath(arguments.model)]
    here = os.path.relpath(arguments.data) if Path(arguments.data).exists() else arguments.data
    words += [
        "--data",
        here,
        "--eps",
        f"{arguments.eps:g}" if float(f"{arguments.eps:g}") == arguments.eps else repr(arguments.eps),
    ]
    defaults = {"norm": "linf", "ensemble": "quick", "images": 1000, "seed": 0, "bounds": (0.0, 1.0)}
    for name in ("classes", "norm", "ensemble", "images", "factory", "mean", "std", "bounds", "seed"):
        value = getattr(arguments, name)
        if value is not None and value != defaults.get(name):
            text = ",".join(f"{one:g}" for one in value) if isinstance(value, tuple) else str(value)
            words.append(f"--{name}={text}")
    return shlex.join(words)


def _page(found: Evaluation, arguments: argparse.Namespace, chosen: str, folder: Path) -> str:
    import pyarrow as pa

    from advgen.report.page import Figure as Shown
    from advgen.report.page import Section, Table, render

    def figure(name: str, drawn: Figure, caption: str) -> Shown:
        png = io.BytesIO()
        drawn.savefig(png, format="png", dpi=200, metadata={"Software": None})
        return Shown(name, caption, png.getvalue(), pdf="")

    columns = ["norm", "eps", "n", "accuracy", "accuracy_low", "accuracy_high", "success", "success_rounded"]
    columns += ["median_l2", "median_linf", "gradient_calls", "forward_calls"]
    attacks = pa.Table.from_pandas(found.table[columns].reset_index(), preserve_index=False)
    text = f"{_sentences(found)}\n\nMade of {chosen} by\n\n.. code-block::\n\n   {command(arguments)}"
    sections = [
        Section("Verdict", "In short", text),
        Section(
            "Robustness",
            "Accuracy under attack",
            figures=[
                figure("attacks", found.plot(), ATTACKS),
                figure("radii", found.curve(), RADII),
                figure("examples", found.gallery(), EXAMPLES),
            ],
            tables=[Table("The attacks", attacks, f"{folder.name}/robustness.parquet", columns)],
        ),
    ]
    facts = {"command": command(arguments), "code": found.stamp.code, "computed on": found.stamp.device}
    facts |= {f"digest of {name}": digest for name, digest in found.stamp.inputs.items()}
    title = f"Audit of {arguments.model.name} on {Path(arguments.data).name}"
    back = f"python -m advgen trace {folder.name}/examples.parquet"
    return render(title, sections, found.stamp.token(), checks=found.tested, provenance=facts, back=back)


ATTACKS = (
    "The share of the images that are right when clean, and under each attack as well. The worst case counts an image "
    "only if it withstands all attacks inside. Noise is the control: an attack that does no better is none."
)
RADII = (
    "How the share of right images falls with the radius. A curve that stays up at a large radius is a reason to doubt "
    "the evaluation, not to trust the model."
)
EXAMPLES = (
    "The most surprising examples: the images that the smallest changes turn, each with the change. The label and the "
    "prediction when clean stand above the change, the prediction afterwards and its confidence below."
)


def _sentences(found: Evaluation) -> str:
    from advgen.figures.formatting import NORM_NAMES

    low, high = found.interval
    clean, ends = found.clean_accuracy, found.clean_interval
    told = (
        f"Of {found.n:,} images the model gets {clean:.1%} right when clean [{ends[0]:.1%}, {ends[1]:.1%}] and "
        f"**{found.robust_accuracy:.1%}** [{low:.1%}, {high:.1%}] within {NORM_NAMES[found.norm]} ≤ {found.eps:g}, "
        f"under the worst of {found.inside}. Intervals are Wilson's at 95 %. "
    )
    named = {status: ", ".join(rows["name"]) for status, rows in found.checks.groupby("status")}
    warnings = f" Have a look at the warnings: {named['warn']}." if "warn" in named else ""
    verdict = f"**{found.verdict.capitalize()} evaluation**: {found.reason}. "
    if found.verdict == "unsound":
        return f"{verdict}Do not trust the robust accuracy yet; checks that fail: {named['fail']}.\n\n{told}{warnings}"
    if found.verdict == "insufficient":
        return f"{verdict}Evaluate more images.\n\n{told}{warnings}"
    if warnings:
        return f"{verdict}\n\n{told}{warnings}"
    passed = f"All {len(found.checks)} checks pass. The number is an upper bound: other attacks may find more."
    return f"{verdict}\n\n{told}{passed}"
