"""tools/release.py in a repository of its own: all in step, or nothing changed."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.project import ROOT

import advgen


def git(folder: Path, *words: str) -> str:
    return subprocess.check_output(["git", *words], cwd=folder, text=True, stderr=subprocess.STDOUT).strip()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The tree as it is now, committed."""
    folder = tmp_path / "clone"
    for name in git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard").splitlines():
        if name.split("/")[0] not in ("tests", "docs", "benchmarks", "shared") and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    git(folder, "init", "-q")
    for key, value in {"user.name": "x", "user.email": "x@example.org"}.items():
        git(folder, "config", key, value)
    changelog = (folder / "CHANGELOG.md").read_text()
    changelog = re.sub(r"^## .*$", "## 0.0.9 (2020-01-01)", changelog, flags=re.MULTILINE)
    (folder / "CHANGELOG.md").write_text(changelog.replace("## 0.0.9", "## Unreleased\n\nNew.\n\n## 0.0.9", 1))
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "all")
    return folder


def release(tree: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "tools/release.py", *words]
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True)


def test_a_dry_run_says_what_would_change_and_changes_nothing(tree: Path) -> None:
    before = git(tree, "rev-parse", "HEAD")
    done = release(tree, "8.7.6", "--date", "2027-02-03", "--dry-run")
    assert done.returncode == 0, done.stderr
    for line in ('+__version__ = "8.7.6"', "+version: 8.7.6", "+date-released: 2027-02-03", "+## 8.7.6 (2027-02-03)"):
        assert line in done.stdout.splitlines()
    assert "advgen-8.7.6.tar.gz, advgen-8.7.6-py3-none-any.whl: all checks pass" in done.stdout
    assert (git(tree, "rev-parse", "HEAD"), git(tree, "status", "--porcelain")) == (before, "")
    assert (
        not git(tree, "tag") and not (tree / "dist").exists() and len(git(tree, "worktree", "list").splitlines()) == 1
    )


def test_a_release_is_one_commit_a_tag_and_two_files(tree: Path) -> None:
    done = release(tree, "8.7.6", "--date", "2027-02-03")
    assert done.returncode == 0, done.stderr
    assert "git push origin HEAD v8.7.6" in done.stdout
    assert git(tree, "log", "--format=%s").splitlines() == ["Release 8.7.6", "all"]
    assert git(tree, "rev-list", "-n1", "v8.7.6") == git(tree, "rev-parse", "HEAD")
    assert (
        git(tree, "show", "--stat", "--format=", "HEAD").splitlines()[-1].startswith(" 3 files changed, 4 insertions")
    )
    assert {file.name for file in (tree / "dist").iterdir()} == {"advgen-8.7.6.tar.gz", "advgen-8.7.6-py3-none-any.whl"}
    assert git(tree, "status", "--porcelain") == ""
    again = release(tree, "8.7.6")
    assert again.stderr == "release: v8.7.6: the tag exists; choose the next version\n"
    # nobody has told what is new since
    assert "a heading '## Unreleased' in CHANGELOG.md: found 0 times" in release(tree, "8.7.7").stderr


@pytest.mark.parametrize(
    ("words", "file", "old", "new", "message"),
    [
        (["8.7"], None, "", "", "8.7: not a version; write three numbers, such as 0.2.0"),
        (["8.7.6", "--date", "today"], None, "", "", "--date today: not a date; write it as 2026-01-31"),
        (["8.7.6"], "CHANGELOG.md", "\n\nNew.\n", "\n", "CHANGELOG.md: has no entries for 8.7.6; describe the changes"),
        (["8.7.6"], "CITATION.cff", "date-released", "released", "date-released: in CITATION.cff: found 0 times"),
        (
            ["8.7.6"],
            "MANIFEST.in",
            "graft profiles\n",
            "",
            "build_wheel: error: [Errno 2] No such file or directory: 'profiles'",
        ),
        (["8.7.6"], "setup.py", '"workflow", ', "", "lacks advgen/project/workflow/Snakefile"),
    ],
)
def test_what_is_wrong_ends_in_one_line(
    tree: Path, words: list[str], file: str | None, old: str, new: str, message: str
) -> None:
    if file:
        text = (tree / file).read_text()
        assert old in text
        (tree / file).write_text(text.replace(old, new))
        git(tree, "commit", "-q", "-a", "-m", "break")
    done = release(tree, *words)
    assert done.returncode == 1 and message in done.stderr and done.stderr.count("\n") == 1
    assert not git(tree, "tag") and git(tree, "status", "--porcelain") == ""


def test_a_tree_with_changes_is_not_released(tree: Path) -> None:
    (tree / "README.md").write_text("# other")
    assert "there are uncommitted changes" in release(tree, "8.7.6").stderr


def test_the_version_is_the_same_everywhere() -> None:
    assert re.search(rf"^version: {re.escape(advgen.__version__)}$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    first = re.search(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert first and (first[1] == "Unreleased" or first[1].split()[0] == advgen.__version__)
