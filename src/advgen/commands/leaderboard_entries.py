"""The entries of a leaderboard: audited models and models of studies, read from their tables."""

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
from advgen.io.stamps import content_digest, read_stamp
from advgen.io.tables import read_images, read_table
from advgen.metrics.chance import why_insufficient
from advgen.metrics.sanity.classifiers import CHANCE
from advgen.metrics.worst_case import list_worst_cases
from advgen.report.page import check_status

Rows = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Entry:
    """One model under one ensemble."""

    net: str
    folder: str
    data: str
    images: str  # the digest of the images and labels
    norm: str
    eps: float
    effort: str
    clean: int  # images that are correct without an attack
    correct: np.ndarray[Any, Any]  # whether each image is correct both clean and under the ensemble
    correct_rounded: int  # the number of such images with adversarial examples rounded to 256 grey levels
    any_attack: int  # images that are correct under all attacks within the ball
    attacks: str
    facts: dict[str, Any]
    failures: tuple[str, ...]  # why the model has no rank
    warnings: tuple[str, ...]

    @property
    def n(self) -> int:
        """The number of attacked images."""
        return len(self.correct)

    @property
    def group(self) -> tuple[str, str, float, str]:
        """What models must share to be ranked together."""
        return self.images, self.norm, self.eps, self.effort


def read_entries(folder: Path, digests: dict[str, str]) -> Iterator[Entry]:
    """The entries of one folder, one per model and ensemble; adds the digests of the files to `digests`."""
    if (folder / "attacks.parquet").is_file() and (folder / "checks.parquet").is_file():
        yield from _read_audit(folder, digests)
    elif (folder / "attacks").is_dir():
        yield from _read_study(folder, digests)
    else:
        raise ValueError(f"{folder}: has neither attacks/ of a study nor tables of an audit; name such a folder")


def _read_audit(folder: Path, digests: dict[str, str]) -> Iterator[Entry]:
    checks = _read_rows(folder / "checks.parquet", digests)
    stamp = read_stamp(folder / "attacks.parquet")
    name, data = _audited_names(stamp.command if stamp else "", folder)
    facts = _read_table(folder / "attacks.parquet", digests).to_pandas()
    images = digest_images(read_table(folder / "examples.parquet"))
    yield from _entries(folder, name, data, facts, dict.fromkeys(set(facts["attack"]), images), checks, [])


def _read_study(folder: Path, digests: dict[str, str]) -> Iterator[Entry]:
    checks = _read_rows(folder / "tables/sanity_checks.parquet", digests)
    certified = _read_rows(folder / "tables/certified.parquet", digests) or []
    others = sorted((folder / "transferred").glob("*/*.parquet"))
    transferred = (
        select_transferred(pa.concat_tables(_read_table(path, digests) for path in others)) if others else None
    )
    for model in sorted({path.parent for path in (folder / "attacks").glob("*/seed*/*.parquet")}):
        tables = {path: read_table(path) for path in sorted(model.glob("*.parquet"))}
        if not any("ensemble" in table.column("kind").to_pylist() for table in tables.values()):
            continue
        digests |= {str(path): content_digest(path) for path in tables}
        without_images = [table.drop_columns(["image", "adversarial"]) for table in tables.values()]
        facts = pa.concat_tables(without_images, promote_options="permissive").to_pandas()
        if transferred is not None:
            facts = pd.concat([facts, match_transferred(transferred, facts)], ignore_index=True)
        name = f"{model.parent.name} {model.name.replace('seed', 'seed ')}"
        own_checks = None if checks is None else [row for row in checks if is_about(str(row["subject"]), name)]
        own_certified = [row for row in certified if f"{row['source']} seed {row['seed']}" == name]
        images = {path.stem: digest_images(table) for path, table in tables.items()}
        yield from _entries(folder, name, str(facts["tested_on"].iloc[0]), facts, images, own_checks, own_certified)


def is_about(subject: str, name: str) -> bool:
    """Whether a check is about a model: `noise on cnn seed 0` is about `cnn seed 0`, and not about `a cnn seed 0`."""
    return re.search(rf"(^|\b(on|of|with) ){re.escape(name)}$", subject) is not None


def _entries(
    folder: Path, net: str, data: str, facts: pd.DataFrame, images: dict[str, str], checks: Rows | None, certified: Rows
) -> Iterator[Entry]:
    """One entry per ensemble; `images` has the digest of each attack's images."""
    clean = facts["predicted_clean"] == facts["label"]
    facts = facts.assign(
        clean=clean,
        correct=clean & (facts["predicted"] == facts["label"]),
        rounded=clean & (facts["predicted_rounded"] == facts["label"]),
    )
    worst_cases = {(case.norm, case.eps): list(case.attacks) for case in list_worst_cases(facts)}
    failures, warnings = _summarise_checks(checks)
    for name, rows in facts[facts["kind"] == "ensemble"].groupby("attack"):
        rows = rows.sort_values("index")
        first, few = rows.iloc[0], why_insufficient(rows["label"])
        norm, eps = str(first["norm"]), float(first["eps"])
        attacks = worst_cases.get((norm, eps), [name])
        within = facts[facts["attack"].isin(attacks) & facts["index"].isin(rows["index"])]
        about = {"trained_on": first["dataset"], "defence": first["defence"], "parameters": int(first["parameters"])}
        proof = next((one for one in certified if one["norm"] == norm and np.isclose(one["eps"], eps)), None)
        if proof is not None:
            about |= {"certified": proof["certified_accuracy"], "certified_n": proof["n"]}
            about |= {f"certified_{end}": proof[f"certified_accuracy_{end}"] for end in ("low", "high")}
        yield Entry(
            net=net,
            folder=str(folder),
            data=data,
            images=images[str(name)],
            norm=norm,
            eps=eps,
            effort=str(first["loss"]),
            clean=int(rows["clean"].sum()),
            correct=rows["correct"].to_numpy(),
            correct_rounded=int(rows["rounded"].sum()),
            any_attack=int(within.groupby("index")["correct"].min().sum()),
            attacks=", ".join(sorted(attacks)),
            facts=about,
            failures=(*failures, f"insufficient: {few}") if few else failures,
            warnings=warnings,
        )


def _summarise_checks(checks: Rows | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Why a model has no rank, and its warnings."""
    if not checks:
        return ("no checks",), ()
    counts = Counter((check_status(row), str(row["check"])) for row in checks)
    at_chance = [kind for kind in ("failed", "warning") if counts.pop((kind, CHANCE), 0)]
    failed = [name for (kind, name) in counts if kind == "failed"] + (["no better than chance"] if at_chance else [])
    return tuple(failed), tuple(name for (kind, name) in counts if kind == "warning")


def _audited_names(command: str, folder: Path) -> tuple[str, str]:
    """The names of the model and the data in the command of an audit."""
    words = shlex.split(command)
    if "audit" not in words or "--data" not in words:
        return folder.name, "given images"
    model, data = (Path(words[words.index(before) + 1]) for before in ("audit", "--data"))
    seed = re.fullmatch(r"seed(\d+)", model.parent.name)  # a checkpoint of a study
    return f"{model.parents[1].name} seed {seed[1]}, audited" if seed else model.name, data.name


def digest_images(examples: pa.Table) -> str:
    """The digest of a table's images, in 256 grey levels, and of their labels, in order of their index."""
    images, labels = to_grey_levels(examples)
    return hashlib.sha256(
        repr(images.shape).encode() + images.tobytes() + labels.astype(np.int64).tobytes()
    ).hexdigest()


def to_grey_levels(examples: pa.Table) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """A table's images as uint8, and its labels, in order of their index."""
    rows = examples.sort_by("index")
    return np.rint(255 * read_images(rows, "image")).astype(np.uint8), rows.column("label").to_numpy()


def _read_table(path: Path, digests: dict[str, str]) -> pa.Table:
    digests[str(path)] = content_digest(path)
    return read_table(path)


def _read_rows(path: Path, digests: dict[str, str]) -> Rows | None:
    """The rows of a table, or None if there is no such file."""
    return _read_table(path, digests).to_pylist() if path.is_file() else None
