"""The CV as LaTeX: article class, pdfLaTeX, nothing beyond Debian's texlive-latex-recommended and lmodern."""

import datetime
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from advgen.cv import themes
from advgen.cv.markdown import FIGURES
from advgen.cv.renderers import LATEX
from advgen.cv.templating import UnprintableError, find_figure, format_stamp, list_figures, make_environment

_SUFFIXES = (".pdf", ".png", ".jpg")
_SYNTAX = {
    "block_start_string": "<%",
    "block_end_string": "%>",
    "variable_start_string": "<<",
    "variable_end_string": ">>",
    "comment_start_string": "<#",
    "comment_end_string": "#>",
}
_LATEXMK = ("latexmk", "-pdf", "-norc", "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "cv.tex")


def render(
    cv: dict[str, Any], folders: Sequence[Path], figures: dict[str, Path], stamp: str, folder: str = FIGURES
) -> str:
    """Return cv.tex, with the stamp among the keywords of its PDF; `folder` has the figures.

    Characters that neither T1 fonts nor TeX's accents have stay as they are: LuaLaTeX prints them, pdfLaTeX names them.
    """

    def source(name: str) -> Markup:
        return Markup(f"{folder}/{find_figure(name, figures, _SUFFIXES).name}")

    theme = themes.load_settings("tex", folders)
    template = make_environment(tuple(folders), LATEX, **_SYNTAX).get_template("cv.tex.j2")
    return template.render(cv=cv, theme=theme, source=source, stamp=format_stamp(stamp))


def typeset(cv: dict[str, Any], folders: Sequence[Path], figures: dict[str, Path], stamp: str, **_: Any) -> bytes:
    """Return cv.tex as PDF, by latexmk with pdfLaTeX. Raises ValueError if latexmk is missing or fails."""
    if shutil.which("latexmk") is None:
        packages = "latexmk, texlive-latex-recommended and lmodern"
        raise ValueError(f"latex.pdf needs latexmk; install {packages}, or remove latex.pdf from the formats")
    day = datetime.datetime.fromisoformat(cv["updated"]).replace(tzinfo=datetime.UTC)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        for figure in list_figures(cv):
            path = find_figure(figure, figures, _SUFFIXES)
            shutil.copyfile(path, work / path.name)
        (work / "cv.tex").write_text(render(cv, folders, figures, stamp, "."), encoding="utf-8")
        reproducible = {"SOURCE_DATE_EPOCH": str(int(day.timestamp())), "FORCE_SOURCE_DATE": "1", "openin_any": "p"}
        environment = {**os.environ, **reproducible}
        done = subprocess.run(_LATEXMK, cwd=work, env=environment, capture_output=True, text=True, errors="replace")
        if done.returncode != 0:
            raise _explain(cv, done.stdout, themes.find_file(folders, "cv.tex.j2"))
        return (work / "cv.pdf").read_bytes()


def _explain(cv: dict[str, Any], output: str, template: Path) -> ValueError:
    """Return the error for the output of a failed latexmk."""
    if characters := re.findall(r"Unicode character (\S) \(U\+", output):
        why = "LaTeX has no font for it; pdf (Typst) prints it, remove latex.pdf"
        return UnprintableError(cv, characters, why)
    message = next((line for line in output.splitlines() if line.startswith("! ")), "! latexmk failed")[2:].strip()
    if template.is_relative_to(themes.FOLDER):
        return ValueError(f"cv.tex: {message}; pdf (Typst) prints every character that LaTeX cannot")
    found = re.search(r"^l\.\d+ (.*\S)", output, re.MULTILINE)
    near = f" at {found[1][-40:]!r}" if found else ""
    return ValueError(f"{template}: {message.rstrip('.')}{near}; correct this template")
