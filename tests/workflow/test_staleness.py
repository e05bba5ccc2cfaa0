"""Check 7: exactly the jobs that depend on an edit run again. On stub commands."""

import os
import re
from pathlib import Path

import pytest
from tests.project import Project

from advgen.outcomes.cv.outcome import cv_formats

STUDY = "tests/slice.yaml"

CV = {"cv-data cv/cv.json", *(f"cv-render cv/cv.{kind}" for kind in cv_formats())}
PAGE = {"report report/index.html"}
LAWS = {"sanity-checks tables/sanity_checks.parquet", "qa report/qa.md"}
TRANSFER_SHOWN = {"summarise tables/transfer.parquet", "draw figures/transfer.pdf", *CV}


def attacked(attack: str) -> set[str]:
    """All that follows from one attack on the one source."""
    return {
        f"craft attacks/fc100/seed0/{attack}.parquet",
        f"transfer transfers/transfer/fc100--seed0--{attack}.parquet",
        "summarise tables/robustness.parquet",
        "draw figures/adversarial.pdf",
        "draw figures/robustness.pdf",
        *TRANSFER_SHOWN,
        *LAWS,
        *PAGE,
    }


def searched(gan: str, seed: int) -> set[str]:
    """All that follows from one trained generator."""
    return {
        f"evaluate-gan gans/{gan}/seed{seed}/samples.parquet",
        f"invert inversions/short-search/{gan}--seed{seed}.parquet",
        f"inpaint inpaintings/restore/{gan}--seed{seed}.parquet",
        f"interpolate interpolations/walk/{gan}--seed{seed}.parquet",
        *(f"summarise tables/{name}.parquet" for name in ("gans", "inversions", "inpaintings", "interpolations")),
        *(
            f"draw figures/{name}.pdf"
            for name in ("calibration", "losses", "samples", "curves", "nearest", "restored", "errors", "strips")
        ),
        *LAWS,
        *PAGE,
    }


def changed(project: Project) -> set[str]:
    """What ran, besides the comparison of all artefacts with the plan, which follows every change."""
    executed = project.executed(STUDY)
    assert "verify report/verify.md" in executed
    return executed - {"verify report/verify.md"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished study on stubs; the tests edit it one after the other."""
    project = Project(tmp_path_factory.mktemp("staleness"), stubs=True)
    planned = project.advgen("plan", STUDY).stdout.splitlines()[-1].split()[0]
    assert len(project.executed(STUDY)) == int(planned)
    return project


def test_nothing_runs_twice(finished: Project) -> None:
    assert finished.executed(STUDY) == set()
    assert "Nothing to be done" in finished.snakemake(STUDY).stderr


def test_target_of_an_attack(finished: Project) -> None:
    finished.edit(STUDY, "fgsm: {kind: fgsm, eps: 0.1}", "fgsm: {kind: fgsm, eps: 0.1, target: random}")
    assert changed(finished) == attacked("fgsm")


def test_learning_rate_of_a_gan(finished: Project) -> None:
    finished.edit(STUDY, "unroll: 1, ema: 0.9}", "unroll: 1, ema: 0.9, lr_generator: 3e-4}")
    assert changed(finished) == {
        "train-gan gans/tiny-gan/seed0/generator.safetensors",
        *searched("tiny-gan", 0),
    }


def test_code_of_one_attack(finished: Project) -> None:
    finished.edit("src/advgen/attacks/fgsm.py", "spec.eps * gradient", "0.9 * spec.eps * gradient")
    assert changed(finished) == attacked("fgsm")


def test_what_the_registry_resolves_to(finished: Project) -> None:
    edit = ("return load_target(target(spec))", 'return load_target(target(spec).replace("pgd:pgd", "fgsm:fgsm"))')
    finished.edit("src/advgen/registry.py", *edit)
    planned = finished.snakemake(STUDY, "-n")
    finished.edit("src/advgen/registry.py", *reversed(edit))
    counts = dict(re.findall(r"^(\w+) +(\d+)$", planned.stdout + planned.stderr, flags=re.MULTILINE))
    assert {"make_dataset", "train_classifier", "craft", "transfer", "draw"} < counts.keys()
    assert counts["craft"] == "3"


def test_code_that_nothing_uses(finished: Project) -> None:
    finished.append("src/advgen/attacks/fgsm.py", "\n\ndef unused():\n    return 1\n")
    assert finished.executed(STUDY) == set()


def test_comment_in_an_attack(finished: Project) -> None:
    finished.append("src/advgen/attacks/fgsm.py", "\n# a remark\n")
    assert finished.executed(STUDY) == set()


def test_docstring_of_an_attack(finished: Project) -> None:
    file = finished.folder / "src/advgen/attacks/fgsm.py"
    text = file.read_text()
    assert text.startswith('"""')
    file.write_text('"""Another docstring. ' + text[3:])
    assert finished.executed(STUDY) == set()


def test_code_of_a_command_that_reads_a_model_does_not_retrain(finished: Project) -> None:
    finished.edit(
        "src/advgen/experiments/gans/evaluate.py", "scale_batch_size(ROWS, device)", "scale_batch_size(400, device)"
    )
    expected = searched("tiny-gan", 0) - {
        "invert inversions/short-search/tiny-gan--seed0.parquet",
        "inpaint inpaintings/restore/tiny-gan--seed0.parquet",
        "interpolate interpolations/walk/tiny-gan--seed0.parquet",
        "summarise tables/inversions.parquet",
        "summarise tables/inpaintings.parquet",
        "summarise tables/interpolations.parquet",
        *(f"draw figures/{name}.pdf" for name in ("losses", "curves", "nearest", "restored", "errors", "strips")),
    }
    assert changed(finished) == expected


def test_colour_of_a_figure(finished: Project) -> None:
    finished.edit(
        STUDY,
        "{kind: transfer_matrix, transfer: transfer}",
        "{kind: transfer_matrix, transfer: transfer, colormap: Greens}",
    )
    renders = {job for job in CV if job.startswith("cv-render")}
    assert changed(finished) == {"draw figures/transfer.pdf", *renders, *PAGE}


def test_plot_style(finished: Project) -> None:
    finished.append("src/advgen/figures/advgen.mplstyle", "\naxes.labelsize: 9\n")
    drawn = {line for line in finished.executed(STUDY) if line.startswith("draw")}
    assert len(drawn) == 13


def test_added_attack(finished: Project) -> None:
    finished.edit(
        STUDY,
        "  pgd: {kind: pgd, eps: 0.1, steps: 5}",
        "  pgd: {kind: pgd, eps: 0.1, steps: 5}\n  big: {kind: pgd, eps: 0.3, steps: 5}",
    )
    finished.edit(STUDY, "    attacks: [fgsm, pgd, quick]\n", "    attacks: [fgsm, pgd, quick, big]\n")
    expected = attacked("big") - {"draw figures/adversarial.pdf", "draw figures/robustness.pdf"}
    assert changed(finished) == expected


def test_talk_in_the_cv(finished: Project) -> None:
    profile = finished.folder / "config/cv/profile.yaml"
    text = profile.read_text(encoding="utf-8")
    line = next(line for line in text[text.index("\ntalks:") :].splitlines() if "title:" in line)
    finished.edit(
        "config/cv/profile.yaml",
        line,
        f"{line} (revised)" if not line.rstrip().endswith(("}", '"')) else line.replace("title:", "title:  "),
    )
    assert changed(finished) == CV


def test_metrics_of_the_cv(finished: Project) -> None:
    finished.append("config/cv/metrics.yaml", "\n# a remark\n")
    assert finished.executed(STUDY) == set()
    finished.edit("config/cv/metrics.yaml", "quillaker/ballpark: 18", "quillaker/ballpark: 19")
    assert changed(finished) == CV


def test_one_seed_more(finished: Project) -> None:
    finished.edit(STUDY, "  tiny-gan:\n    dataset: mnist\n", "  tiny-gan:\n    dataset: mnist\n    seeds: [0, 1]\n")
    assert changed(finished) == {
        "train-gan gans/tiny-gan/seed1/generator.safetensors",
        *searched("tiny-gan", 1),
    }


def test_touched_file(finished: Project) -> None:
    for path in ("results/datasets/mnist/train.parquet", "config/cv/profile.yaml", "results/tables/transfer.parquet"):
        os.utime(finished.folder / path)
    assert finished.executed(STUDY) == set()


def test_deleted_intermediate(finished: Project) -> None:
    Path(finished.folder / "results/transfers/transfer/fc100--seed0--pgd.parquet").unlink()
    assert "transfer transfers/transfer/fc100--seed0--pgd.parquet" in finished.executed(STUDY)


def test_digest_cache_may_vanish(finished: Project) -> None:
    (finished.folder / "results/state/code.json").unlink()
    assert finished.executed(STUDY) == set()
