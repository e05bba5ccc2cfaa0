"""A release: version, citation and changelog in step, a wheel and an sdist that were looked at, a commit and a tag.

    python tools/release.py 0.2.0 --dry-run      everything but the commit, the tag and dist/
    python tools/release.py 0.2.0

All is made in a work tree beside this one; what is wrong ends in one line, and then nothing has changed here. Nothing
is pushed or uploaded. It needs git and setuptools; twine checks the files, too, where it is installed.
"""

from __future__ import annotations

import argparse
import datetime
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from email.parser import Parser
from pathlib import Path

ROOT = Path(__file__).parents[1]
VERSION_FILE, CITATION, CHANGELOG = "src/advgen/__init__.py", "CITATION.cff", "CHANGELOG.md"
BROUGHT = ("Snakefile", "workflow", "profiles", "config")
"""What the wheel holds of the workflow, in advgen/project."""


def main() -> None:
    """Make the release, or say in one line why not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", help="such as 0.2.0")
    parser.add_argument("--date", default=f"{datetime.date.today()}", help="of the release (default: today)")
    parser.add_argument("--dry-run", action="store_true", help="change nothing here")
    arguments = parser.parse_args()
    try:
        released(arguments.version, arguments.date, arguments.dry_run)
    except ValueError as error:
        sys.exit(f"release: {error}")


def released(version: str, date: str, dry_run: bool) -> None:
    """Commit, tag and fill dist/; ValueError if something is not as it must be."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise ValueError(f"{version}: a version has three numbers, such as 0.2.0")
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", date):
        raise ValueError(f"--date {date}: is written as 2026-01-31")
    if git("status", "--porcelain"):
        raise ValueError("there are changes that are not committed; commit them, or put them away with git stash")
    tag = f"v{version}"
    if git("tag", "--list", tag):
        raise ValueError(f"{tag}: is a tag already; choose the next version")
    with tempfile.TemporaryDirectory() as temporary:
        tree, built = Path(temporary) / "tree", Path(temporary) / "dist"
        git("worktree", "add", "--detach", str(tree))
        try:
            for name, write in WRITERS.items():
                path = tree / name
                path.write_text(write(path.read_text(encoding="utf-8"), version, date), encoding="utf-8")
            files = build(tree, built)
            look_at(files, tree, version)
            if dry_run:
                print(git("-C", str(tree), "diff", "--unified=0"))
                print(f"{', '.join(file.name for file in files)}: as they should be; nothing was changed (--dry-run)")
                return
            if git("-C", str(tree), "status", "--porcelain"):  # the version may have been written before
                git("-C", str(tree), "commit", "--quiet", "--all", "--message", f"Release {version}")
            commit = git("-C", str(tree), "rev-parse", "HEAD")
        finally:
            git("worktree", "remove", "--force", str(tree))
        git("merge", "--quiet", "--ff-only", commit)
        git("tag", "--annotate", tag, "--message", f"advgen {version}")
        target = ROOT / "dist"
        target.mkdir(exist_ok=True)
        for file in files:
            shutil.copy(file, target / file.name)
    print(f"{tag}: committed and tagged; now: git push origin HEAD {tag} && twine upload dist/advgen-{version}*")


# --- what is written -------------------------------------------------------------------------------------------------


def once(pattern: str, new: str, text: str, what: str) -> str:
    """A text with the one place that a pattern finds replaced."""
    changed, count = re.subn(pattern, new, text, flags=re.MULTILINE)
    if count != 1:
        raise ValueError(f"{what}: found {count} times, and must stand there once")
    return changed


def with_version(text: str, version: str, date: str) -> str:
    """The package's file, which pyproject.toml reads."""
    return once(r'^__version__ = ".*"$', f'__version__ = "{version}"', text, f"__version__ in {VERSION_FILE}")


def with_citation(text: str, version: str, date: str) -> str:
    """CITATION.cff."""
    text = once(r"^version: .*$", f"version: {version}", text, f"version: in {CITATION}")
    return once(r"^date-released: .*$", f"date-released: {date}", text, f"date-released: in {CITATION}")


def with_changes(text: str, version: str, date: str) -> str:
    """The changelog: what was unreleased is this version."""
    heading = r"^## (?:Unreleased|[\d.]+ \(unreleased\))$"
    changed = once(heading, f"## {version} ({date})", text, f"a heading '## Unreleased' in {CHANGELOG}")
    told = changed.partition(f"## {version} ({date})\n")[2].partition("\n## ")[0]
    if not told.strip():
        raise ValueError(f"{CHANGELOG}: says nothing of {version}; tell what has changed")
    return changed


WRITERS: dict[str, Callable[[str, str, str], str]] = {
    VERSION_FILE: with_version,
    CITATION: with_citation,
    CHANGELOG: with_changes,
}


# --- what is built ---------------------------------------------------------------------------------------------------


def build(tree: Path, target: Path) -> list[Path]:
    """The sdist of a tree, and the wheel that is built of nothing but the sdist."""
    target.mkdir()
    _backend(tree, "build_sdist", target)
    [sdist] = target.glob("*.tar.gz")
    with tempfile.TemporaryDirectory() as temporary:
        with tarfile.open(sdist) as archive:
            if hasattr(tarfile, "data_filter"):  # since Python 3.11.4; this archive is our own
                archive.extraction_filter = tarfile.data_filter
            archive.extractall(temporary)
        [unpacked] = Path(temporary).iterdir()
        _backend(unpacked, "build_wheel", target)
    [wheel] = target.glob("*.whl")
    return [sdist, wheel]


def _backend(tree: Path, hook: str, target: Path) -> None:
    code = f"from setuptools import build_meta; build_meta.{hook}({str(target)!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=tree, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"{hook}: {done.stderr.strip().splitlines()[-1]}")


def look_at(files: list[Path], tree: Path, version: str) -> None:
    """ValueError if a file lacks something of the tree, or says something else of itself."""
    sdist, wheel = files
    tracked = git("-C", str(tree), "ls-files").splitlines()
    brought = [path for path in tracked if path.split("/")[0] in BROUGHT]
    package = [path for path in tracked if path.startswith("src/")]
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    _all_inside(sdist, {*brought, *package, "setup.py", "pyproject.toml", "LICENSE", "README.md"}, inside)
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        told = Parser().parsestr(archive.read(f"advgen-{version}.dist-info/METADATA").decode())
    _all_inside(wheel, {f"advgen/project/{path}" for path in brought} | {path[4:] for path in package}, names)
    found = {"Version": told["Version"], "Description-Content-Type": told["Description-Content-Type"]}
    if found != {"Version": version, "Description-Content-Type": "text/markdown"}:
        raise ValueError(f"{wheel.name}: tells {found}")
    text = told.get_payload()
    if not isinstance(text, str) or not text.lstrip().startswith("# "):
        raise ValueError(f"{wheel.name}: has no long description")
    if shutil.which("twine"):
        done = subprocess.run(["twine", "check", "--strict", *files], capture_output=True, text=True)
        if done.returncode:
            raise ValueError(f"twine check: {' '.join(done.stdout.split())}")


def _all_inside(file: Path, wanted: set[str], inside: set[str]) -> None:
    if missing := sorted(wanted - inside):
        raise ValueError(f"{file.name}: lacks {', '.join(missing[:5])}; see MANIFEST.in and pyproject.toml")


def git(*words: str) -> str:
    """What git says; ValueError with its last line if it fails."""
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"git {words[0]}: {(done.stderr.strip() or done.stdout.strip()).splitlines()[-1]}")
    return done.stdout.strip()


if __name__ == "__main__":
    main()
