"""`advgen leaderboard`: one page that ranks audited models and the models of studies, where they are comparable."""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from advgen.commands.leaderboard_entries import Entry, digest_images, read_entries, to_grey_levels
from advgen.figures.formatting import NORM_NAMES
from advgen.files.provenance import Stamp, write_bytes
from advgen.io.tables import read_table
from advgen.metrics.intervals import wilson
from advgen.metrics.sanity.results import binary_difference
from advgen.report.page import Section, Table, render

EXPLANATION = (
    "A table ranks models that were attacked on the same images, within the same norm and eps, by an ensemble of the "
    "same effort. Numbers of different tables are not comparable. The rank is by the accuracy under the ensemble. "
    "*Behind the first* is the difference to the first model, image by image, with a bootstrap interval at 95 %. If it "
    "includes 0, it is open which of the two is more robust. *Accuracy rounded* is the accuracy under the "
    "ensemble after its images are rounded to 256 grey levels. *Any attack* also counts the other attacks within the "
    "ball, and adversarial examples transferred from other models, if the model was evaluated on them. Each accuracy "
    "is an upper bound. Intervals of accuracies are Wilson intervals at 95 %, over images and not over trainings."
)
UNRANKED = (
    "The accuracies of these models under attack are not meaningful, so they have no rank: a check fails, the model is "
    "no better than chance, nothing was checked, or fewer than 30 images were attacked."
)
CERTIFIED = ("certified", "certified_low", "certified_high", "certified_n")
BEHIND = ("behind_the_first", "behind_the_first_low", "behind_the_first_high")
MEASURED = (
    *("net", "accuracy_under_attack", "clean_accuracy", "accuracy_rounded", "any_attack", "n", "certified"),
    *(*BEHIND, "warnings", "attacks"),
)
"""The columns that the page keeps even if all their values are equal."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `advgen leaderboard`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        "A folder is the results of a study, or the tables of `advgen audit` or of an evaluation's `save`.\n\n"
        "  python -m advgen leaderboard results my-audit ../other/results\n\n"
        "To compare your model with those of a study, audit it on the images of the study:\n"
        "  python -m advgen leaderboard results --images images.npz    writes the most used images; then\n"
        "  python -m advgen audit net.pt2 --data images.npz --images 100000 --eps 0.1"
    )
    add = parser.add_argument
    add("folders", type=Path, nargs="+", metavar="FOLDER", help="results of a study, or tables of an audit")
    add("--out", type=Path, default=Path("leaderboard.html"), metavar="PAGE", help="default: %(default)s")
    add("--images", type=Path, metavar="NPZ", help="write the images that most models were attacked on, with labels")


def run(arguments: argparse.Namespace) -> None:
    """Write the page, and print a summary line."""
    if arguments.out.suffix != ".html":
        raise ValueError(f"--out {arguments.out}: must be an .html file")
    if arguments.images is not None and arguments.images.suffix != ".npz":
        raise ValueError(f"--images {arguments.images}: must be an .npz file")
    digests: dict[str, str] = {}
    entries = [entry for folder in dict.fromkeys(arguments.folders) for entry in read_entries(folder, digests)]
    if not entries:
        folders = ", ".join(map(str, arguments.folders))
        raise ValueError(f"{folders}: no model was attacked by an ensemble; add an attack {{kind: ensemble, …}}")
    stamp = Stamp("advgen leaderboard", {"folders": [str(folder) for folder in arguments.folders]}, "", digests)
    html, ranked, unranked = render_page(entries, stamp)
    if arguments.images is not None:
        _write_images(arguments.images, entries, arguments.folders)
        print(f"{arguments.images}: images and labels for advgen audit --data")
    write_bytes(arguments.out, html.encode())
    print(f"{arguments.out}: {ranked} models ranked in {len(group_entries(entries))} tables, {unranked} without a rank")


def _write_images(path: Path, entries: Sequence[Entry], folders: Sequence[Path]) -> None:
    """The images that most models were attacked on; on a tie, those of the first entry."""
    most_used = Counter(entry.images for entry in entries).most_common(1)[0][0]
    patterns = ("attacks/*/seed*/*.parquet", "examples.parquet")
    paths = sorted(path for folder in folders for pattern in patterns for path in folder.glob(pattern))
    images, labels = next(
        to_grey_levels(table) for one in paths if digest_images(table := read_table(one)) == most_used
    )
    with path.open("wb") as file:
        np.savez_compressed(file, images=images, labels=labels)


def group_entries(entries: Sequence[Entry]) -> list[list[Entry]]:
    """The entries that can be ranked against each other, the best first; the largest groups first."""
    groups: dict[tuple[str, str, float, str], list[Entry]] = {}
    for entry in entries:
        if not entry.failures:
            groups.setdefault(entry.group, []).append(entry)
    ranked = [sorted(group, key=lambda one: (-one.correct.sum(), one.net, one.folder)) for group in groups.values()]
    return sorted(ranked, key=lambda group: (-len(group), *group[0].group[1:], group[0].images))


def rank_entries(entries: Sequence[Entry], several_folders: bool) -> pa.Table:
    """The table of one group; equal accuracies share a rank."""
    first, rows = entries[0], []
    for entry in entries:
        rank = 1 + sum(other.correct.sum() > entry.correct.sum() for other in entries)
        behind = binary_difference(first.correct, entry.correct) if entry is not first else (None, None, None)
        rows.append(
            {"rank": int(rank), "net": entry.net}
            | _share("accuracy_under_attack", int(entry.correct.sum()), entry.n)
            | dict(zip(BEHIND, behind, strict=True))
            | _share("clean_accuracy", entry.clean, entry.n)
            | {"accuracy_rounded": entry.correct_rounded / entry.n}
            | _share("any_attack", entry.any_attack, entry.n)
            | {"n": entry.n}
            | {name: entry.facts.get(name) for name in (*CERTIFIED, "defence", "trained_on", "parameters")}
            | {"attacks": entry.attacks, "warnings": "; ".join(entry.warnings) or "none"}
            | ({"folder": entry.folder} if several_folders else {})
        )
    table = pa.Table.from_pylist(rows)
    empty = [name for name in (*CERTIFIED, *BEHIND) if table.column(name).null_count == len(table)]
    return table.drop_columns(empty)


def render_page(entries: Sequence[Entry], stamp: Stamp) -> tuple[str, int, int]:
    """The page, and the numbers of entries with and without a rank."""
    several_folders = len({entry.folder for entry in entries}) > 1
    sections = [Section("Ranks", "How to read the tables", EXPLANATION)]
    groups = group_entries(entries)
    data_names = {entry.images: entry.data for entry in entries[::-1]}  # the first entry names its images
    titles = Counter((data_names[group[0].images], *group[0].group[1:]) for group in groups)
    for group in groups:
        first, data = group[0], data_names[group[0].images]
        title = f"{data}, {NORM_NAMES[first.norm]} ≤ {first.eps:g}, ensemble {first.effort}"
        if titles[data, *first.group[1:]] > 1:
            title += f", images {first.images[:6]}"
        models = "One model" if len(group) == 1 else f"{len(group)} models"
        text = f"{models}, {first.n:,} images of {data} (digest {first.images[:12]})."
        table = Table(title, rank_entries(group, several_folders), measured=MEASURED)
        sections.append(Section("Ranks", title, text, tables=[table]))
    unranked = [entry for entry in entries if entry.failures]
    if unranked:
        rows = [
            {"net": entry.net, "folder": entry.folder, "why": "; ".join(entry.failures), "data": entry.data}
            | {"norm": NORM_NAMES[entry.norm], "eps": entry.eps, "ensemble": entry.effort, "n": entry.n}
            | {"warnings": "; ".join(entry.warnings) or "none"}
            for entry in sorted(unranked, key=lambda one: (one.data, one.norm, one.eps, one.net))
        ]
        table = Table("Not ranked", pa.Table.from_pylist(rows), measured=[*rows[0]])
        sections.append(Section("Without a rank", "Not ranked", UNRANKED, tables=[table]))
    folders = ", ".join(dict.fromkeys(entry.folder for entry in entries))
    facts = {"folders": folders, "files read": str(len(stamp.inputs))}
    back = "python -m advgen trace PAGE"
    html = render("Robustness leaderboard", sections, stamp.token(), provenance=facts, trace_command=back)
    return html, sum(map(len, groups)), len(unranked)


def _share(name: str, count: int, n: int) -> dict[str, float]:
    low, high = wilson(count, n)
    return {name: count / n, f"{name}_low": low, f"{name}_high": high}
