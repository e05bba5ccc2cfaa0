"""The living CV in the DAG: what an edit of its files, of its figures and of its variants runs again. On stubs."""

import json
from pathlib import Path

import pytest
from tests.project import Project

STUDY = "tests/slice.yaml"
FORMATS = ("pdf", "html", "md", "tex", "docx", "resume.json")
CV = "cv:\n  formats: [pdf, html, md, tex, docx, resume.json]\n  variants:\n    short: {selected: true, formats: [pdf]}\n    private: {overlay: private.yaml, formats: [md]}\n"
WHOLE = {"cv-data cv/cv.json", *(f"cv-render cv/cv.{kind}" for kind in FORMATS)}
SHORT = {"cv-data cv/short.json", "cv-render cv/short.pdf"}
PRIVATE = {"cv-data cv/private.json", "cv-render cv/private.md"}
EVERY = WHOLE | SHORT | PRIVATE


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished study whose CV has two variants; the tests edit it one after the other."""
    project = Project(tmp_path_factory.mktemp("cv"), stubs=True)
    project.edit(STUDY, "cv: {}\n", CV)
    (project.folder / "private.yaml").write_text("email: home@example.org\n", encoding="utf-8")
    made = project.executed(STUDY)
    assert made >= EVERY
    return project


def cv_jobs(project: Project) -> set[str]:
    """The jobs of the CV that run, when only they may."""
    ran = {job for job in project.executed(STUDY) if not job.startswith("verify")}
    assert all(job.startswith("cv-") for job in ran), ran
    return ran


def test_nothing_runs_twice(finished: Project) -> None:
    assert finished.executed(STUDY) == set()


def test_one_publication_makes_every_cv_again_and_nothing_else(finished: Project) -> None:
    finished.edit("config/cv/publications.bib", "title     = {Latent Cartography}", "title     = {Cartography}")
    assert cv_jobs(finished) == EVERY


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("profile.yaml", "event: University of Elsewhere", "event: University of Anywhere"),
        ("metrics.yaml", "quillaker/ballpark: 18", "quillaker/ballpark: 19"),
    ],
    ids=["talk", "star count"],
)
def test_one_talk_or_star_count_makes_every_cv_again_and_nothing_else(
    finished: Project, file: str, old: str, new: str
) -> None:
    finished.edit(f"config/cv/{file}", old, new)
    assert cv_jobs(finished) == EVERY


def test_remarks_and_white_space_in_the_sources_plan_nothing(finished: Project) -> None:
    for file, text in {
        "config/cv/publications.bib": "\n% a remark\n@comment{another}\n\n",
        "config/cv/profile.yaml": "\n# a remark\n",
        "config/cv/metrics.yaml": "\n# counted again\n",
        "private.yaml": "# a remark\n",
    }.items():
        finished.append(file, text)
    assert finished.executed(STUDY) == set()


def test_the_overlay_concerns_its_variant_alone(finished: Project) -> None:
    finished.append("private.yaml", "site: https://home.example.org\n")
    assert cv_jobs(finished) == PRIVATE


def test_a_template_concerns_its_format_alone(finished: Project) -> None:
    finished.append("src/advgen/cv/themes/classic/cv.css", "\n/* wider */\n")
    assert cv_jobs(finished) == {"cv-render cv/cv.html"}
    finished.append("src/advgen/cv/themes/classic/cv.typ", "\n// a remark\n")
    assert cv_jobs(finished) == {"cv-render cv/cv.pdf", "cv-render cv/short.pdf"}


def test_the_code_of_a_renderer_does_not_read_the_sources_again(finished: Project) -> None:
    finished.edit("src/advgen/cv/html.py", "base64,{base64", "base64, {base64")
    assert cv_jobs(finished) == {job for job in EVERY if job.startswith("cv-render")}


def test_a_variant_more(finished: Project) -> None:
    finished.edit(STUDY, "    short: {", "    letter: {sections: [publications], formats: [tex]}\n    short: {")
    assert cv_jobs(finished) == {"cv-data cv/letter.json", "cv-render cv/letter.tex"}


def test_the_choice_of_a_variant(finished: Project) -> None:
    finished.edit(STUDY, "letter: {sections: [publications]", "letter: {sections: [publications, talks]")
    assert cv_jobs(finished) == {"cv-data cv/letter.json", "cv-render cv/letter.tex"}


def test_an_attack_that_the_cv_shows(finished: Project) -> None:
    finished.edit(STUDY, "pgd: {kind: pgd, eps: 0.1, steps: 5}", "pgd: {kind: pgd, eps: 0.1, steps: 6}")
    ran = finished.executed(STUDY)
    assert {job for job in ran if job.startswith("cv-")} == EVERY | {
        "cv-data cv/letter.json",
        "cv-render cv/letter.tex",
    }
    assert {"summarise tables/transfer.parquet", "draw figures/transfer.pdf"} <= ran


def test_experiments_that_the_cv_does_not_show(finished: Project) -> None:
    finished.edit(STUDY, "unroll: 1, ema: 0.9}", "unroll: 1, ema: 0.9, lr_generator: 3e-4}")
    ran = finished.executed(STUDY)
    assert any(job.startswith("train-gan") for job in ran)
    assert not {job for job in ran if job.startswith("cv-")}


def test_the_cv_alone(finished: Project) -> None:
    """`snakemake cv` makes the CV and what it needs: no GAN."""
    finished.edit("config/cv/metrics.yaml", "quillaker/ballpark: 19", "quillaker/ballpark: 20")
    finished.edit(STUDY, "lr_generator: 3e-4}", "lr_generator: 2e-4}")
    finished.log.write_text("")
    assert finished.snakemake(STUDY, "cv").returncode == 0
    ran = {job for job in finished.log.read_text().splitlines() if not job.startswith("verify")}
    assert ran == EVERY | {"cv-data cv/letter.json", "cv-render cv/letter.tex"}


@pytest.mark.parametrize(
    ("file", "old", "new", "what"),
    [
        ("config/cv/profile.yaml", "{{ result('transfer', 'error'", "{{ result('transfr', 'error'", "config/cv/profile.yaml:88: result('transfr'"),
        ("config/cv/profile.yaml", "{{ result('transfer', 'error'", "{{ rezult('transfer', 'error'", "profile.yaml:88: a live"),
        ("config/cv/profile.yaml", "  - name: transfer\n", "  - name: transfre\n", "figure 'transfre' is none of the study"),
        (STUDY, "overlay: private.yaml", "overlay: privat.yaml", "cv.variants.private.overlay = 'privat.yaml': no such file"),
        (STUDY, "short: {selected: true", "cv: {selected: true", "'cv' is the name of the whole CV; choose another"),
        (STUDY, "short: {selected: true", "short: {sections: [talk]", "talk"),
        (STUDY, "formats: [md]", "formats: [odt]", "odt"),
    ],
)  # fmt: skip
def test_mistakes_are_told_before_anything_runs(tmp_path: Path, file: str, old: str, new: str, what: str) -> None:
    project = Project(tmp_path / "copy", stubs=True)
    project.edit(STUDY, "cv: {}\n", CV)
    (project.folder / "private.yaml").write_text("email: home@example.org\n", encoding="utf-8")
    project.edit(file, old, new)
    done = project.advgen("plan", STUDY)
    assert done.returncode != 0
    assert what in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 2


def test_a_real_cv_with_variants(tmp_path: Path) -> None:
    """The commands themselves, without experiments: what the variants show, and that nothing private leaks."""
    project = Project(tmp_path / "copy")
    project.without_experiments_in_the_cv()
    (project.folder / "private.yaml").write_text("email: home@example.org\n", encoding="utf-8")
    project.edit(STUDY, "cv: {}\n", CV)
    done = project.snakemake(STUDY, "cv")
    assert done.returncode == 0, done.stderr[-3000:]
    folder = project.folder / "results/cv"
    made = {path.name for path in folder.iterdir()}
    assert made == {
        "cv.json",
        *(f"cv.{kind}" for kind in FORMATS),
        "short.json",
        "short.pdf",
        "private.json",
        "private.md",
    }
    whole, short = (json.loads((folder / name).read_text(encoding="utf-8")) for name in ("cv.json", "short.json"))
    counts = [
        sum(len(group["entries"]) for item in cv["sections"] for group in item.get("groups", ()))
        for cv in (whole, short)
    ]
    assert counts[0] > counts[1] > 0
    assert "home@example.org" in (folder / "private.md").read_text(encoding="utf-8")
    for name in made - {"private.json", "private.md"}:
        assert b"home@example.org" not in (folder / name).read_bytes()
    assert "Nothing to be done" in project.snakemake(STUDY, "cv").stderr
