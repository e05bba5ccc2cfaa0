"""Make a release: set version and date, build and inspect an sdist and a wheel, commit and tag.

    python tools/release.py 0.2.0 --dry-run      everything except the commit, the tag and dist/
    python tools/release.py 0.2.0

The work happens in a separate git work tree, so that nothing changes here after an error. Nothing is pushed or
uploaded. The script needs git and setuptools; if twine is installed, it also checks the files.
"""

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
WORKFLOW_PARTS = ("Snakefile", "workflow", "profiles", "config")
"""The parts of the workflow that the wheel contains, in advgen/project."""


def main() -> None:
    """Make the release, or exit with a message."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", help="such as 0.2.0")
    parser.add_argument("--date", default=f"{datetime.date.today()}", help="date of the release (default: today)")
    parser.add_argument("--dry-run", action="store_true", help="change nothing")
    arguments = parser.parse_args()
    try:
        release(arguments.version, arguments.date, arguments.dry_run)
    except ValueError as error:
        sys.exit(f"release: {error}")


def release(version: str, date: str, dry_run: bool) -> None:
    """Commit, tag and fill dist/; raise ValueError if a check fails."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise ValueError(f"{version}: not a version; write three numbers, such as 0.2.0")
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", date):
        raise ValueError(f"--date {date}: not a date; write it as 2026-01-31")
    if git("status", "--porcelain"):
        raise ValueError("there are uncommitted changes; commit or stash them")
    tag = f"v{version}"
    if git("tag", "--list", tag):
        raise ValueError(f"{tag}: the tag exists; choose the next version")
    with tempfile.TemporaryDirectory() as temporary:
        tree, built = Path(temporary) / "tree", Path(temporary) / "dist"
        git("worktree", "add", "--detach", str(tree))
        try:
            for name, write in WRITERS.items():
                path = tree / name
                path.write_text(write(path.read_text(encoding="utf-8"), version, date), encoding="utf-8")
            files = build(tree, built)
            inspect(files, tree, version)
            if dry_run:
                print(git("-C", str(tree), "diff", "--unified=0"))
                print(f"{', '.join(file.name for file in files)}: all checks pass; nothing was changed (--dry-run)")
                return
            if git("-C", str(tree), "status", "--porcelain"):  # otherwise the version was already set
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


# --- edits -----------------------------------------------------------------------------------------------------------


def replace_once(pattern: str, new: str, text: str, what: str) -> str:
    """Return a text with the only match of a pattern replaced; raise ValueError for more or fewer."""
    changed, count = re.subn(pattern, new, text, flags=re.MULTILINE)
    if count != 1:
        raise ValueError(f"{what}: found {count} times instead of once")
    return changed


def set_version(text: str, version: str, date: str) -> str:
    """Set the version in the file that pyproject.toml reads."""
    return replace_once(r'^__version__ = ".*"$', f'__version__ = "{version}"', text, f"__version__ in {VERSION_FILE}")


def set_citation(text: str, version: str, date: str) -> str:
    """Set version and date in CITATION.cff."""
    text = replace_once(r"^version: .*$", f"version: {version}", text, f"version: in {CITATION}")
    return replace_once(r"^date-released: .*$", f"date-released: {date}", text, f"date-released: in {CITATION}")


def set_changelog_heading(text: str, version: str, date: str) -> str:
    """Rename the heading of unreleased changes to this version."""
    heading = r"^## (?:Unreleased|[\d.]+ \(unreleased\))$"
    changed = replace_once(heading, f"## {version} ({date})", text, f"a heading '## Unreleased' in {CHANGELOG}")
    entries = changed.partition(f"## {version} ({date})\n")[2].partition("\n## ")[0]
    if not entries.strip():
        raise ValueError(f"{CHANGELOG}: has no entries for {version}; describe the changes")
    return changed


WRITERS: dict[str, Callable[[str, str, str], str]] = {
    VERSION_FILE: set_version,
    CITATION: set_citation,
    CHANGELOG: set_changelog_heading,
}


# --- build and inspection --------------------------------------------------------------------------------------------


def build(tree: Path, target: Path) -> list[Path]:
    """Build the sdist of a tree, and the wheel from the sdist."""
    target.mkdir()
    _backend(tree, "build_sdist", target)
    [sdist] = target.glob("*.tar.gz")
    with tempfile.TemporaryDirectory() as temporary:
        with tarfile.open(sdist) as archive:
            if hasattr(tarfile, "data_filter"):  # since Python 3.11.4; without it, this archive is safe, too
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


def inspect(files: list[Path], tree: Path, version: str) -> None:
    """Raise ValueError if a file lacks parts of the tree or has wrong metadata."""
    sdist, wheel = files
    tracked = git("-C", str(tree), "ls-files").splitlines()
    workflow = [path for path in tracked if path.split("/")[0] in WORKFLOW_PARTS]
    package = [path for path in tracked if path.startswith("src/")]
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    _check_contents(sdist, {*workflow, *package, "setup.py", "pyproject.toml", "LICENSE", "README.md"}, inside)
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = Parser().parsestr(archive.read(f"advgen-{version}.dist-info/METADATA").decode())
    _check_contents(wheel, {f"advgen/project/{path}" for path in workflow} | {path[4:] for path in package}, names)
    found = {"Version": metadata["Version"], "Description-Content-Type": metadata["Description-Content-Type"]}
    if found != {"Version": version, "Description-Content-Type": "text/markdown"}:
        raise ValueError(f"{wheel.name}: has the metadata {found}")
    text = metadata.get_payload()
    if not isinstance(text, str) or not text.lstrip().startswith("# "):
        raise ValueError(f"{wheel.name}: has no long description")
    if shutil.which("twine"):
        done = subprocess.run(["twine", "check", "--strict", *files], capture_output=True, text=True)
        if done.returncode:
            raise ValueError(f"twine check: {' '.join(done.stdout.split())}")


def _check_contents(file: Path, wanted: set[str], inside: set[str]) -> None:
    if missing := sorted(wanted - inside):
        raise ValueError(f"{file.name}: lacks {', '.join(missing[:5])}; see MANIFEST.in and pyproject.toml")


def git(*words: str) -> str:
    """Return the output of git; raise ValueError with its last line if it fails."""
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"git {words[0]}: {(done.stderr.strip() or done.stdout.strip()).splitlines()[-1]}")
    return done.stdout.strip()


if __name__ == "__main__":
    main()
