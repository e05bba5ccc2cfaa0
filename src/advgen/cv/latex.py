"""The CV as LaTeX: article class, pdfLaTeX, nothing beyond Debian's texlive-latex-recommended and lmodern."""

from __future__ import annotations

import datetime
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from markupsafe import Markup

from advgen.cv import inline
from advgen.cv.markdown import FIGURES
from advgen.cv.target import Unprintable, environment, figure, keyword, template

_KINDS = (".pdf", ".png", ".jpg")
_SYNTAX = {
    "block_start_string": "<%",
    "block_end_string": "%>",
    "variable_start_string": "<<",
    "variable_end_string": ">>",
    "comment_start_string": "<#",
    "comment_end_string": "#>",
}


def render(
    cv: dict[str, Any], templates: list[Path], figures: dict[str, Path], stamp: str, folder: str = FIGURES
) -> str:
    """cv.tex, with the stamp among the keywords of the PDF; it shows the figures in ``folder``.

    A character that neither T1 nor TeX's accents have is left as it is: LuaLaTeX sets it, pdfLaTeX says which it lacks.
    """
    jinja = environment(templates, inline.LATEX, **_SYNTAX)

    def source(name: str) -> Markup:
        return Markup(f"{folder}/{figure(name, figures, _KINDS).name}")

    return jinja.get_template("cv.tex.j2").render(cv=cv, source=source, stamp=keyword(stamp))


def typeset(cv: dict[str, Any], templates: list[Path], figures: dict[str, Path], stamp: str, **_: Any) -> bytes:
    """cv.tex as PDF, through latexmk with pdfLaTeX. Raises ValueError where latexmk is missing or fails."""
    if shutil.which("latexmk") is None:
        packages = "latexmk, texlive-latex-recommended and lmodern"
        raise ValueError(f"latex.pdf needs latexmk; install {packages}, or take latex.pdf out of the formats")
    shown = [item["name"] for section in cv["sections"] for item in section.get("figures", ())]
    day = datetime.datetime.fromisoformat(cv["updated"]).replace(tzinfo=datetime.UTC)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for item in shown:
            source = figure(item, figures, _KINDS)
            shutil.copyfile(source, folder / source.name)
        (folder / "cv.tex").write_text(render(cv, templates, figures, stamp, "."), encoding="utf-8")
        command = ["latexmk", "-pdf", "-norc", "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error"]
        fixed = {"SOURCE_DATE_EPOCH": str(int(day.timestamp())), "FORCE_SOURCE_DATE": "1", "openin_any": "p"}
        done = subprocess.run(
            [*command, "cv.tex"],
            cwd=folder,
            env={**os.environ, **fixed},
            capture_output=True,
            text=True,
            errors="replace",
        )
        if done.returncode != 0:
            if characters := re.findall(r"Unicode character (\S) \(U\+", done.stdout):
                raise Unprintable(cv, characters, "LaTeX has no font for it; pdf (Typst) sets it, take latex.pdf out")
            said = next((line for line in done.stdout.splitlines() if line.startswith("! ")), "latexmk failed")
            source = template(templates, "cv.tex.j2")
            if source.parent == templates[-1]:
                raise ValueError(f"cv.tex: {said[2:].strip()}; pdf (Typst) sets every character that LaTeX cannot")
            found = re.search(r"^l\.\d+ (.*\S)", done.stdout, re.MULTILINE)
            near = f" at {found[1][-40:]!r}" if found else ""
            raise ValueError(f"{source}: {said[2:].strip().rstrip('.')}{near}; mend this template")
        return (folder / "cv.pdf").read_bytes()
