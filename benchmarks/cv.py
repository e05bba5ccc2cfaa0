"""How long the CV of tests/unit/cv/fixture (61 papers, 33 repositories, 38 talks) takes, format by format.

    python benchmarks/cv.py [REPEATS]

Prints the median of REPEATS warm runs (default 5): the parts inside one process, then the whole command as users run
it, what it takes from a save to the files under --watch, and the same content through LaTeX.
"""

import logging
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from advgen.cv.build import build
from advgen.cv.formats import FORMATS, render

FIXTURE = Path(__file__).parent.parent / "tests/unit/cv/fixture"
NAMES = {"profile": "profile.yaml", "bibliography": "publications.bib", "metrics": "metrics.yaml"}
STAMP = "eyJhIjoxfQ=="


def median(run: Callable[[], object], repeats: int) -> float:
    """Seconds of the median run, after one that is not counted."""
    run()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


@contextmanager
def watching(command: list[str], saved: Path) -> Iterator[Callable[[], None]]:
    """What saves a file that the command watches, and waits until the CV is built again."""
    process = subprocess.Popen([*command, "--watch"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    lines = (line for line in process.stdout if line.startswith("built in"))
    text = saved.read_text(encoding="utf-8")

    def save() -> None:
        saved.write_text(f"{saved.read_text(encoding='utf-8')}\n", encoding="utf-8")
        next(lines)

    try:
        next(lines)
        yield save
    finally:
        process.terminate()
        saved.write_text(text, encoding="utf-8")


def main(repeats: int) -> None:
    """Print one row per part."""
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in NAMES.values():
            shutil.copy(FIXTURE / file, folder)
        sources = {flag: folder / file for flag, file in NAMES.items()}

        def read() -> dict:
            return build(*sources.values(), lambda reference: 0.0)

        given = [word for flag, path in sources.items() for word in (f"--{flag}", str(path))]
        line = [sys.executable, "-m", "advgen", "cv", *given, "--out", str(folder / "out"), "--formats"]

        def command(*formats: str) -> None:
            subprocess.run([*line, *formats], check=True, capture_output=True)

        def star() -> None:
            metrics = sources["metrics"]
            before = metrics.read_text(encoding="utf-8")
            metrics.write_text(before.replace("bamos/cv: 391", "bamos/cv: 392"), encoding="utf-8")
            command(*usual)
            metrics.write_text(before, encoding="utf-8")

        cv = read()
        usual = [format_ for format_ in FORMATS if format_ != "latex.pdf"]
        latex = shutil.which("latexmk") is not None
        rows: list[tuple[str, Callable[[], object]]] = [("read YAML and BibTeX, check, normalise", read)]
        for format_ in FORMATS:
            if format_ != "latex.pdf" or latex:
                rows.append((f"render cv.{format_}", lambda format_=format_: render(format_, cv, {}, STAMP)))
        rows.append(("advgen cv, all formats but latex.pdf", lambda: command(*usual)))
        rows.append(("the same after one star count", star))
        if latex:
            rows.append(("advgen cv, LaTeX's PDF alone", lambda: command("latex.pdf")))
        print(f"{'':<42} seconds (median of {repeats})")
        for what, run in rows:
            print(f"{what:<42} {median(run, repeats):7.3f}", flush=True)
        with watching([*line, *usual], sources["metrics"]) as save:
            print(f"{'--watch, from a save to all of these files':<42} {median(save, repeats):7.3f}")
        if not latex:
            print("without latexmk: LaTeX is not measured")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
