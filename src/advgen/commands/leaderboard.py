"""`advgen leaderboard`: all audited nets on one page, those of studies and one's own, ranked where they may be."""

from __future__ import annotations

import argparse
import hashlib
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from advgen.core import catalog  # noqa: F401  (fills TABLES)
from advgen.experiments.attacks.summary import match_transferred, select_transferred
from advgen.files.provenance import Stamp, write_bytes
from advgen.io.stamps import content_digest, read_stamp
from advgen.io.tables import read_images, read_table
from advgen.metrics.chance import why_insufficient
from advgen.metrics.intervals import wilson
from advgen.metrics.sanity.classifiers import CHANCE
from advgen.metrics.sanity.results import binary_difference
from advgen.metrics.worst_case import list_worst_cases
from advgen.report.page import Section, Table, render, status

WORDS = {"linf": "L∞", "l2": "L2"}
CREDO = (
    "Nets stand in one table only if the same images were attacked, within the same norm and eps, by an ensemble of "
    "the same effort: no number is comparable to one of another table. A rank is that of the accuracy under the "
    "ensemble. *Behind the first* compares two nets image by image and has a bootstrap interval at 95 %: where it "
    "holds 0, which of them is the more robust is open. *Accuracy rounded* is that under the ensemble where its images "
    "have 256 grey levels. *Any attack* counts the other attacks within the ball, too, and examples that were crafted "
    "on other nets, which not every net has met. Each accuracy is an upper bound; intervals of accuracies are Wilson's "
    "at 95 %, over images and not over trainings."
)
APART = (
    "A net whose checks fail, one that is no better than chance, one that nobody checked and one that was attacked on "
    "fewer than 30 images have no rank: their accuracies under attack say nothing."
)


@dataclass(frozen=True)
class Entry:
    """One net under one ensemble. `right`: whether it withstood it, for each image in order; `images`: their digest.

    `rounded`: how many images are right where the adversarial ones have 256 grey levels.
    """

    net: str
    folder: str
    data: str
    images: str
    norm: str
    eps: float
    effort: str
    clean: int
    right: np.ndarray[Any, Any]
    rounded: int
    any_attack: int
    attacks: str
    facts: dict[str, Any]
    failed: tuple[str, ...]
    warned: tuple[str, ...]

    @property
    def n(self) -> int:
        """How many images were attacked."""
        return len(self.right)

    @property
    def arena(self) -> tuple[str, str, float, str]:
        """What nets must share to be ranked."""
        return self.images, self.norm, self.eps, self.effort


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `advgen leaderboard`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        "A folder is the results of a study, or what `advgen audit` or the `save` of an evaluation has written.\n\n"
        "  python -m advgen leaderboard results net-audit ../other/results\n\n"
        "For your net beside those of a study, audit it on the images of the study:\n"
        "  python -m advgen leaderboard results --images images.npz    writes those attacked most; then\n"
        "  python -m advgen audit net.pt2 --data images.npz --images 100000 --eps 0.1"
    )
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help="results, or an audit's tables")
    parser.add_argument(
        "--out", type=Path, default=Path("leaderboard.html"), metavar="PAGE", help="default: %(default)s"
    )
    parser.add_argument("--images", type=Path, metavar="NPZ", help="write the images that most nets met, with labels")


def run(arguments: argparse.Namespace) -> None:
    """Write the page, and say in a line what is on it."""
    if arguments.out.suffix != ".html":
        raise ValueError(f"--out {arguments.out}: the page is an .html file")
    if arguments.images is not None and arguments.images.suffix != ".npz":
        raise ValueError(f"--images {arguments.images}: is an .npz file")
    read: dict[str, str] = {}
    entries = [entry for folder in dict.fromkeys(arguments.folders) for entry in entries_of(folder, read)]
    if not entries:
        named = ", ".join(map(str, arguments.folders))
        raise ValueError(f"{named}: no net was attacked by an ensemble there; add an attack {{kind: ensemble, …}}")
    stamp = Stamp("advgen leaderboard", {"folders": [str(folder) for folder in arguments.folders]}, "", read)
    html, ranked, apart = page(entries, stamp)
    if arguments.images is not None:
        _write_images(arguments.images, entries, arguments.folders)
        print(f"{arguments.images}: images and labels for advgen audit --data")
    write_bytes(arguments.out, html.encode())
    print(f"{arguments.out}: {ranked} ranked in {len(arenas(entries))} tables, {apart} listed apart")


# --- reading ---------------------------------------------------------------------------------------------------------


def entries_of(folder: Path, read: dict[str, str]) -> Iterator[Entry]:
    """The nets of one folder that met an ensemble, once for each; `read` gets the digests of the files behind them."""
    audit = (folder / "attacks.parquet").is_file() and (folder / "checks.parquet").is_file()
    if not audit and not (folder / "attacks").is_dir():
        raise ValueError(f"{folder}: neither results with attacks/ nor tables of an audit; name such a folder")
    checks_at = folder / ("checks.parquet" if audit else "tables/sanity_checks.parquet")
    checks = _rows(checks_at, read) if checks_at.is_file() else None
    certified_at = folder / "tables/certified.parquet"
    certified = [] if audit or not certified_at.is_file() else _rows(certified_at, read)
    if audit:
        stamp = read_stamp(folder / "attacks.parquet")
        name, data = _audited(stamp.command if stamp else "", folder)
        facts = _table(folder / "attacks.parquet", read).to_pandas()
        shown = digest(read_table(folder / "examples.parquet"))
        digests = dict.fromkeys(set(facts["attack"]), shown)
        yield from _entries(folder, name, data, facts, digests, checks, [])
        return
    others = sorted((folder / "transferred").glob("*/*.parquet"))
    transferred = select_transferred(pa.concat_tables(_table(path, read) for path in others)) if others else None
    for net in sorted({path.parent for path in (folder / "attacks").glob("*/seed*/*.parquet")}):
        tables = {path: read_table(path) for path in sorted(net.glob("*.parquet"))}
        if not any(
            (table.column("kind").to_numpy(zero_copy_only=False) == "ensemble").any() for table in tables.values()
        ):
            continue
        read |= {str(path): content_digest(path) for path in tables}
        digests = {path.stem: digest(table) for path, table in tables.items()}
        light = [table.drop_columns(["image", "adversarial"]) for table in tables.values()]
        facts = pa.concat_tables(light, promote_options="permissive").to_pandas()
        if transferred is not None:
            facts = pd.concat([facts, match_transferred(transferred, facts)], ignore_index=True)
        who = f"{net.parent.name} {net.name.replace('seed', 'seed ')}"
        about = None if checks is None else [one for one in checks if concerns(str(one["subject"]), who)]
        proofs = [one for one in certified if f"{one['source']} seed {one['seed']}" == who]
        yield from _entries(folder, who, str(facts["tested_on"].iloc[0]), facts, digests, about, proofs)


def concerns(subject: str, who: str) -> bool:
    """Whether a check is about a net: `noise on cnn seed 0` is about `cnn seed 0`, and not about `a cnn seed 0`."""
    return re.search(rf"(^|\b(on|of|with) ){re.escape(who)}$", subject) is not None


def _entries(
    folder: Path,
    net: str,
    data: str,
    facts: Any,
    digests: dict[str, str],
    checks: Sequence[dict[str, Any]] | None,
    certified: Sequence[dict[str, Any]],
) -> Iterator[Entry]:
    facts = facts.assign(
        right=(facts["predicted_clean"] == facts["label"]) & (facts["predicted"] == facts["label"]),
        clean=facts["predicted_clean"] == facts["label"],
        rounded=(facts["predicted_clean"] == facts["label"]) & (facts["predicted_rounded"] == facts["label"]),
    )
    within = {(case.norm, case.eps): list(case.attacks) for case in list_worst_cases(facts)}
    failed, warned = _judged(checks)
    for name, rows in facts[facts["kind"] == "ensemble"].groupby("attack"):
        rows = rows.sort_values("index")
        first = rows.iloc[0]
        norm, eps = str(first["norm"]), float(first["eps"])
        met = within.get((norm, eps), [name])
        others = facts[facts["attack"].isin(met) & facts["index"].isin(rows["index"])]
        told = {"trained_on": first["dataset"], "defence": first["defence"], "parameters": int(first["parameters"])}
        proof = next((one for one in certified if one["norm"] == norm and np.isclose(one["eps"], eps)), None)
        if proof is not None:
            told |= {"certified": proof["certified_accuracy"], "certified_n": proof["n"]}
            told |= {f"certified_{end}": proof[f"certified_accuracy_{end}"] for end in ("low", "high")}
        yield Entry(
            net=net,
            folder=str(folder),
            data=data,
            images=digests[str(name)],
            norm=norm,
            eps=eps,
            effort=str(first["loss"]),
            clean=int(rows["clean"].sum()),
            right=rows["right"].to_numpy(),
            rounded=int(rows["rounded"].sum()),
            any_attack=int(others.groupby("index")["right"].min().sum()),
            attacks=", ".join(sorted(met)),
            facts=told,
            failed=(*failed, *([f"insufficient: {few}"] if (few := why_insufficient(rows["label"])) else [])),
            warned=warned,
        )


def _judged(checks: Sequence[dict[str, Any]] | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Why a net has no rank, and what deserves a look, each as sentences."""
    if not checks:
        return ("nobody checked it",), ()
    counts = Counter((status(one), str(one["check"])) for one in checks)
    chance = [how for how in ("failed", "warning") if counts.pop((how, CHANCE), 0)]
    failed = [name for (how, name) in counts if how == "failed"] + (["no better than chance"] if chance else [])
    return tuple(failed), tuple(name for (how, name) in counts if how == "warning")


def _audited(command: str, folder: Path) -> tuple[str, str]:
    """The names of the model and the data in the command of an audit."""
    words = shlex.split(command)
    if "audit" not in words or "--data" not in words:
        return folder.name, "given images"
    model, data = (Path(words[words.index(before) + 1]) for before in ("audit", "--data"))
    trained = re.fullmatch(r"seed(\d+)", model.parent.name)  # by a study
    return f"{model.parents[1].name} seed {trained[1]}, audited" if trained else model.name, data.name


def digest(examples: pa.Table) -> str:
    """That of the images of a table, in 256 grey levels, and of their labels, in order of their index."""
    rows = examples.sort_by("index")
    images = np.rint(255 * read_images(rows, "image")).astype(np.uint8)
    labels = rows.column("label").to_numpy().astype(np.int64)
    return hashlib.sha256(repr(images.shape).encode() + images.tobytes() + labels.tobytes()).hexdigest()


def _table(path: Path, read: dict[str, str]) -> pa.Table:
    read[str(path)] = content_digest(path)
    return read_table(path)


def _rows(path: Path, read: dict[str, str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = _table(path, read).to_pylist()
    return rows


def _write_images(path: Path, entries: Sequence[Entry], folders: Sequence[Path]) -> None:
    """The images that most nets met, those that stand first on the page if several do."""
    wanted = Counter(entry.images for entry in entries).most_common(1)[0][0]
    tables = [
        table
        for folder in folders
        for table in [*folder.glob("attacks/*/seed*/*.parquet"), *folder.glob("examples.parquet")]
    ]
    table = next(table for one in sorted(tables) if digest(table := read_table(one).sort_by("index")) == wanted)
    images = np.rint(255 * read_images(table, "image")).astype(np.uint8)
    with path.open("wb") as file:
        np.savez_compressed(file, images=images, labels=table.column("label").to_numpy())


# --- the page --------------------------------------------------------------------------------------------------------


def arenas(entries: Sequence[Entry]) -> list[list[Entry]]:
    """The entries that may be ranked against each other, the best first; the largest tables first."""
    found: dict[tuple[str, str, float, str], list[Entry]] = {}
    for entry in entries:
        if not entry.failed:
            found.setdefault(entry.arena, []).append(entry)
    tables = [sorted(some, key=lambda one: (-one.right.sum(), one.net, one.folder)) for some in found.values()]
    return sorted(tables, key=lambda some: (-len(some), some[0].norm, some[0].eps, some[0].effort, some[0].images))


def ranking(entries: Sequence[Entry], several: bool) -> pa.Table:
    """The rows of one table; equal accuracies share a rank."""
    first, rows = entries[0], []
    for entry in entries:
        rank = 1 + sum(other.right.sum() > entry.right.sum() for other in entries)
        behind = binary_difference(first.right, entry.right) if entry is not first else (None, None, None)
        rows.append(
            {"rank": int(rank), "net": entry.net}
            | _share("accuracy_under_attack", int(entry.right.sum()), entry.n)
            | dict(zip(("behind_the_first", "behind_the_first_low", "behind_the_first_high"), behind, strict=True))
            | _share("clean_accuracy", entry.clean, entry.n)
            | {"accuracy_rounded": entry.rounded / entry.n}
            | _share("any_attack", entry.any_attack, entry.n)
            | {"n": entry.n}
            | {name: entry.facts.get(name) for name in CERTIFIED}
            | {name: entry.facts.get(name) for name in ("defence", "trained_on", "parameters")}
            | {"attacks": entry.attacks, "warnings": "; ".join(entry.warned) or "none"}
            | ({"folder": entry.folder} if several else {})
        )
    table = pa.Table.from_pylist(rows)
    missing = [name for name in (*CERTIFIED, *BEHIND) if table.column(name).null_count == len(table)]
    return table.drop_columns(missing)


CERTIFIED = ("certified", "certified_low", "certified_high", "certified_n")
BEHIND = ("behind_the_first", "behind_the_first_low", "behind_the_first_high")


def page(entries: Sequence[Entry], stamp: Stamp) -> tuple[str, int, int]:
    """The page, how many entries are ranked on it, and how many are listed apart."""
    several = len({entry.folder for entry in entries}) > 1
    sections = [Section("Ranks", "How to read them", CREDO)]
    ranked = arenas(entries)
    known = {entry.images: entry.data for entry in entries[::-1]}  # as the first that has them calls them
    twins = Counter((known[some[0].images], *some[0].arena[1:]) for some in ranked)
    for some in ranked:
        first, data = some[0], known[some[0].images]
        title = f"{data}, {WORDS[first.norm]} ≤ {first.eps:g}, ensemble {first.effort}"
        if twins[data, *first.arena[1:]] > 1:
            title += f", images {first.images[:6]}"
        nets = "One net" if len(some) == 1 else f"{len(some)} nets"
        text = f"{nets}, {first.n:,} images of {data} (digest {first.images[:12]})."
        sections.append(Section("Ranks", title, text, tables=[Table(title, ranking(some, several), measured=MEASURED)]))
    apart = [entry for entry in entries if entry.failed]
    if apart:
        rows = [
            {"net": entry.net, "folder": entry.folder, "why": "; ".join(entry.failed), "data": entry.data}
            | {"norm": WORDS[entry.norm], "eps": entry.eps, "ensemble": entry.effort, "n": entry.n}
            | {"warnings": "; ".join(entry.warned) or "none"}
            for entry in sorted(apart, key=lambda one: (one.data, one.norm, one.eps, one.net))
        ]
        table = Table("Listed apart", pa.Table.from_pylist(rows), measured=[*rows[0]])
        sections.append(Section("Without a rank", "Listed apart", APART, tables=[table]))
    facts = {
        "folders": ", ".join(dict.fromkeys(entry.folder for entry in entries)),
        "files read": str(len(stamp.inputs)),
    }
    html = render(
        "Robustness leaderboard", sections, stamp.token(), provenance=facts, back="python -m advgen trace PAGE"
    )
    return html, sum(map(len, ranked)), len(apart)


MEASURED = (
    "net",
    "accuracy_under_attack",
    "clean_accuracy",
    "accuracy_rounded",
    "any_attack",
    "n",
    "certified",
    *BEHIND,
    "warnings",
    "attacks",
)


def _share(name: str, count: int, n: int) -> dict[str, float]:
    low, high = wilson(count, n)
    return {name: count / n, f"{name}_low": low, f"{name}_high": high}
