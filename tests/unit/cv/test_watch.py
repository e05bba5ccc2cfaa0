import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from advgen.commands.cv import _list_modified

from .conftest import Files
from .test_command import NO_EXPERIMENTS, arguments


def eventually(true: Callable[[], bool], seconds: float = 240) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.05)
    return False


def test_a_save_builds_again_and_an_error_leaves_the_last_good_files(files: Files, tmp_path: Path):
    files.write(profile=NO_EXPERIMENTS)
    made, errors = tmp_path / "out/cv.md", tmp_path / "out/cv.errors.txt"
    command = [sys.executable, "-m", "advgen", *arguments(files, tmp_path / "out", "--watch", "--formats", "pdf", "md")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert eventually(lambda: made.is_file() and "Tester" in made.read_text(encoding="utf-8"))
        assert eventually(made.with_suffix(".pdf").is_file)  # they take their places one after the other
        good = made.with_suffix(".pdf").read_bytes()
        files.write(profile=NO_EXPERIMENTS.replace("title: Tester", "title: 7"))
        wrong = "position.0.title is 7, not a text"
        # a save seen half written is another error, for as long as it takes to look again
        assert eventually(lambda: errors.is_file() and wrong in errors.read_text(encoding="utf-8"))
        assert "Tester" in made.read_text(encoding="utf-8")
        assert made.with_suffix(".pdf").read_bytes() == good
        files.write(profile=NO_EXPERIMENTS.replace("title: Tester", "title: Taster"))
        assert eventually(lambda: "Taster" in made.read_text(encoding="utf-8") and not errors.exists())
        assert made.with_suffix(".pdf").read_bytes() != good
    finally:
        process.terminate()
        out, said = process.communicate(timeout=120)
    assert "Traceback" not in said
    assert out.count("built in") >= 2


def test_a_log_beside_the_sources_is_no_source(files: Files, tmp_path: Path):
    given = {"profile": files.profile, "bibliography": files.bibliography, "metrics": files.metrics}
    others = dict.fromkeys(("overlay", "tables", "figures"))
    watched = argparse.Namespace(**given, **others, out=tmp_path / "out")
    before = _list_modified(watched)
    (tmp_path / "watch.log").write_text("built in 0.5 s")
    assert _list_modified(watched) == before
    (tmp_path / "patents.bib").write_text("")
    assert _list_modified(watched) != before
