"""`advgen leaderboard`: only what is comparable is ranked, and only nets that were found sound."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advgen.cli import main
from advgen.commands.leaderboard import group_entries, rank_entries
from advgen.commands.leaderboard_entries import is_about, read_entries
from advgen.files.provenance import Stamp
from advgen.io.tables import arrow_table, write_table

TIMES = 4
N = 8 * TIMES
SAME = {"dataset": "mnist", "tested_on": "mnist", "images": 100, "parameters": 5, "defence": "none", "target": "none"}
SAME |= {"access": "white-box", "steps": 60, "restarts": 1, "step_size": None, "confidence": 1.0, "l2": 1.0, "l0": 4}
SAME |= {"linf": 0.1, "rms": 0.1, "found_by": "", "zero_gradient": False, "unstable": False, "gradient_calls": 60.0}
SAME |= {"forward_calls": 60.0, "predicted_unaimed": 0, "predicted_rounded": 0, "target_label": None}
LABELS = [index % 2 for index in range(N)]


def images(shift: float = 0.0) -> np.ndarray[Any, Any]:
    return np.linspace(0.1, 0.8, N * 4, dtype="float32").reshape(N, 1, 2, 2) + np.float32(shift)


def attack(name: str, right: int, eps: float = 0.1, **keys: Any) -> dict[str, Any]:
    """The rows of an attack that leaves so many of eight images right, four times over, of two classes."""
    answers = [0] * (TIMES * right) + [1] * (N - TIMES * right)
    told = {"attack": name, "kind": "ensemble", "norm": "linf", "eps": eps, "loss": "quick", "image": images(), **keys}
    labels = [index % 2 for index in range(N)]
    predicted = [label ^ wrong for label, wrong in zip(labels, answers, strict=True)]
    return {**told, "index": list(range(N)), "label": labels, "predicted_clean": labels, "predicted": predicted}


def study(
    folder: Path, nets: dict[str, list[dict[str, Any]]], checks: list[tuple[str, str, bool, str]] | None = None
) -> Path:
    """Results of nets, by the rows of their attacks."""
    stamp = Stamp("craft", {}, "0")
    for net, attacks in nets.items():
        for rows in attacks:
            columns = {**SAME, **rows, "source": net, "source_seed": 0, "adversarial": rows["image"]}
            path = folder / f"attacks/{net}/seed0/{rows['attack']}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_table(path, arrow_table("examples", columns), stamp)
    checks = [("ball", f"quick on {net} seed 0", True, "check") for net in nets] + (checks or [])
    names = ("check", "subject", "holds", "kind")
    told = {name: [one[place] for one in checks] for place, name in enumerate(names)}
    blank = {"n": N, "estimate": None, "low": None, "high": None, "detail": ""}
    (folder / "tables").mkdir(exist_ok=True)
    write_table(folder / "tables/sanity_checks.parquet", arrow_table("sanity_checks", {**told, **blank}), stamp)
    return folder


def tables(*folders: Path) -> dict[tuple[str, float, str], list[list[str]]]:
    """The nets of each table in order, by norm, eps and effort."""
    found: dict[tuple[str, float, str], list[list[str]]] = {}
    for some in group_entries([entry for folder in folders for entry in read_entries(folder, {})]):
        found.setdefault(some[0].group[1:], []).append([entry.net for entry in some])
    return found


def test_nets_are_ranked_by_what_the_ensemble_leaves_right(tmp_path: Path) -> None:
    nets = {"weak": [attack("quick", 2)], "strong": [attack("quick", 6)], "twin": [attack("quick", 6)]}
    assert tables(study(tmp_path, nets)) == {("linf", 0.1, "quick"): [["strong seed 0", "twin seed 0", "weak seed 0"]]}
    [some] = group_entries(list(read_entries(tmp_path, {})))
    rows = rank_entries(some, several_folders=False).to_pylist()
    assert [row["rank"] for row in rows] == [1, 1, 3]
    assert rows[2]["behind_the_first_low"] < rows[2]["behind_the_first"] == 0.5 < rows[2]["behind_the_first_high"]
    assert rows[1]["behind_the_first"] == 0 and rows[0]["behind_the_first"] is None
    assert (rows[0]["accuracy_under_attack"], rows[0]["clean_accuracy"], rows[0]["n"]) == (0.75, 1.0, N)
    assert rows[0]["accuracy_under_attack_low"] < 0.75 < rows[0]["accuracy_under_attack_high"]


@pytest.mark.parametrize(
    "other",
    [{"eps": 0.2}, {"norm": "l2"}, {"loss": "standard"}, {"image": images(0.1)}],
    ids=["eps", "norm", "effort", "images"],
)
def test_what_is_not_comparable_never_shares_a_table(tmp_path: Path, other: dict[str, Any]) -> None:
    study(tmp_path, {"one": [attack("quick", 6)], "two": [attack("quick", 2, **other)]})
    assert sorted(some for found in tables(tmp_path).values() for some in found) == [["one seed 0"], ["two seed 0"]]


def test_the_same_images_of_another_study_do(tmp_path: Path) -> None:
    one = study(tmp_path / "a", {"net": [attack("quick", 6)]})
    other = study(tmp_path / "b", {"net": [attack("small", 7)]})
    assert tables(one, other) == {("linf", 0.1, "quick"): [["net seed 0", "net seed 0"]]}


def test_other_attacks_within_the_ball_stand_beside(tmp_path: Path) -> None:
    pgd = {"kind": "pgd", "loss": "cross_entropy"}
    more = [attack("pgd", 4, **pgd), attack("far", 0, eps=0.3, **pgd)]
    study(tmp_path, {"net": [attack("quick", 6), *more], "none": more})
    [[entry]] = group_entries(list(read_entries(tmp_path, {})))
    [row] = rank_entries([entry], several_folders=False).to_pylist()
    assert (row["accuracy_under_attack"], row["any_attack"], row["attacks"]) == (0.75, 0.5, "pgd, quick")


def test_examples_of_other_nets_and_rounded_ones_stand_beside(tmp_path: Path) -> None:
    """Crafted on another net within the ball, beyond it, and amplified; after rounding all but one image are right."""
    rows = attack("quick", 6) | {"predicted_rounded": LABELS[: 7 * TIMES] + [1 - one for one in LABELS[7 * TIMES :]]}
    study(tmp_path, {"net": [rows]})
    fooled = [1 - one for one in LABELS[: 3 * TIMES]] + LABELS[3 * TIMES :]
    shown = {name: rows[name] for name in ("index", "label", "predicted_clean", "predicted_rounded")}
    shown |= {"study": "transfer", "source": "other", "source_seed": 0, "tested_on": "mnist", "norm": "linf"}
    shown |= {"target": "net", "target_seed": 0, "predicted": fooled, **dict.fromkeys(SIZES, 0.1)}
    shown |= {"predicted_unaimed": 0}
    for name, eps, amplified in (("pgd", 0.1, False), ("far", 0.3, False), ("loud", 0.1, True)):
        path = tmp_path / f"transferred/transfer/other--seed0--{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        columns = {**shown, "attack": name, "eps": eps, "amplified": amplified}
        write_table(path, arrow_table("transferred", columns), Stamp("transfer", {}, "0"))
    [[entry]] = group_entries(list(read_entries(tmp_path, {})))
    [row] = rank_entries([entry], several_folders=False).to_pylist()
    assert (row["accuracy_under_attack"], row["any_attack"], row["accuracy_rounded"]) == (6 / 8, 3 / 8, 7 / 8)
    assert row["attacks"] == "pgd from other seed 0, quick"


SIZES = ("confidence", "linf", "l2", "l0", "rms", "gradient_calls", "forward_calls")


FAILED = ("box", "quick on net seed 0", False, "check")
CHANCE = ("the net is better than chance", "net seed 0", False, "warning")


@pytest.mark.parametrize(("check", "why"), [(FAILED, "box"), (CHANCE, "no better than chance")])
def test_a_net_that_is_not_sound_has_no_rank(tmp_path: Path, check: tuple[str, str, bool, str], why: str) -> None:
    study(tmp_path, {"net": [attack("quick", 8)], "a-net": [attack("quick", 1)]}, [check])
    assert tables(tmp_path) == {("linf", 0.1, "quick"): [["a-net seed 0"]]}
    assert [entry.failures for entry in read_entries(tmp_path, {}) if entry.net == "net seed 0"] == [(why,)]


def test_a_warning_is_told_and_nobodys_checks_are_none(tmp_path: Path) -> None:
    study(tmp_path, {"net": [attack("quick", 8)]}, [("gradients", "quick on net seed 0", False, "warning")])
    [entry] = read_entries(tmp_path, {})
    assert (entry.failures, entry.warnings) == ((), ("gradients",))
    (tmp_path / "tables/sanity_checks.parquet").unlink()
    assert [entry.failures for entry in read_entries(tmp_path, {})] == [("no checks",)]


def test_few_images_have_no_rank(tmp_path: Path) -> None:
    rows = attack("quick", 8)
    few = {name: value[:29] if isinstance(value, list | np.ndarray) else value for name, value in rows.items()}
    study(tmp_path, {"net": [few]})
    [entry] = read_entries(tmp_path, {})
    assert entry.failures == ("insufficient: 29 images, at least 30 are needed",)


def test_a_subject_is_a_whole_name() -> None:
    assert is_about("noise on cnn seed 0", "cnn seed 0") and is_about("proven of cnn seed 0", "cnn seed 0")
    assert is_about("cnn seed 0", "cnn seed 0")
    assert not is_about("noise on my cnn seed 0", "cnn seed 0") and not is_about("noise on cnn seed 01", "cnn seed 0")


def test_the_page_and_the_images_for_a_net_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nets = {"net": [attack("quick", 6), attack("wide", 2, eps=0.2)], "bad": [attack("quick", 8)]}
    study(tmp_path / "r", nets, [("box", "quick on bad seed 0", False, "check")])
    out, npz = tmp_path / "board.html", tmp_path / "images.npz"
    main(["leaderboard", str(tmp_path / "r"), "--out", str(out), "--images", str(npz)])
    assert f"{out}: 2 models ranked in 2 tables, 1 without a rank" in capsys.readouterr().out
    main(["trace", str(out)])
    assert "attacks/net/seed0/quick.parquet  content " in (told := capsys.readouterr().out) and "CHANGED" not in told
    html = out.read_text()
    titles = re.findall(r"<h3[^>]*>([^<]*)</h3>", html)
    ranked = [title for title in titles if "≤" in title]
    assert ranked == [f"mnist, L∞ ≤ {eps}, ensemble quick" for eps in (0.1, 0.2)]
    ranks, apart = html.split('id="without-a-rank"')
    assert "bad seed 0" not in ranks and "bad seed 0" in apart and ">box<" in apart
    kept = np.load(npz)
    assert (
        np.array_equal(kept["images"], np.rint(255 * images()).astype(np.uint8)) and kept["labels"].tolist() == LABELS
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{}"], "has neither attacks/ of a study nor tables of an audit; name such a folder"),
        (["{}/weak"], "no model was attacked by an ensemble; add an attack"),
        (["{}/weak", "--out", "x.pdf"], "--out x.pdf: must be an .html file"),
        (["{}/weak", "--images", "x.npy"], "--images x.npy: must be an .npz file"),
    ],
)
def test_a_mistake_ends_in_one_line(tmp_path: Path, words: list[str], message: str) -> None:
    study(tmp_path / "weak", {"net": [attack("pgd", 6, kind="pgd", loss="cross_entropy")]})
    with pytest.raises(SystemExit) as caught:
        main(["leaderboard", *(word.format(tmp_path) for word in words)])
    assert message in str(caught.value) and "\n" not in str(caught.value)
