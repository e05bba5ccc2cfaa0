"""The CV as PDF, through the Typst compiler inside the typst wheel: no network, no clock.

The fonts are those of the wheel. Where they lack a character, or the profile names fonts, those of the machine, of
matplotlib if it is installed, and of the folders in the environment variable TYPST_FONT_PATHS are used, too.
"""

from __future__ import annotations

import datetime
import difflib
import importlib.util
import json
import logging
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import typst

from advgen.cv.target import Unprintable, figure, keyword, template

log = logging.getLogger(__name__)


_WITHOUT_GLYPH = re.compile(r'the text `"(.+?)"` could not be displayed')
_PACKAGES = "fonts-noto-cjk, fonts-noto-core, fonts-noto-color-emoji"
_EMBEDDED = typst.Fonts(include_system_fonts=False)


def render(cv: dict[str, Any], templates: list[Path], figures: dict[str, Path], stamp: str, **_: Any) -> bytes:
    """cv.pdf, tagged (PDF/UA-1), with the stamp as a keyword of the document.

    A figure that is a PDF keeps PDF/UA-1 from being reached; the file is made all the same and the log says why. Raises
    Unprintable for a character that no font has.
    """
    names = [item["name"] for section in cv["sections"] for item in section.get("figures", ())]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        shutil.copyfile(template(templates, "cv.typ"), root / "cv.typ")
        files = {}
        for index, name in enumerate(names):
            source = figure(name, figures, (".pdf", ".png", ".svg", ".jpg"))
            files[name] = f"/figure{index}{source.suffix.lower()}"
            shutil.copyfile(source, root / files[name][1:])
        inputs = {"cv": json.dumps(cv), "figures": json.dumps(files), "keyword": str(keyword(stamp))}
        inputs["fonts"] = json.dumps(cv["fonts"])
        day = datetime.datetime.fromisoformat(cv["updated"]).replace(tzinfo=datetime.UTC)
        missing: list[str] = []
        for embedded in (True, False):
            if embedded and cv["fonts"]:
                continue
            book = _EMBEDDED if embedded else _machine(cv["fonts"], root / "fonts")
            try:
                return _compile(root, inputs, day, ["ua-1"], book)
            except typst.TypstError as error:
                missing = [
                    re.sub(r"\\u\{([0-9a-f]+)\}", lambda found: chr(int(found[1], 16)), text).replace("\\\\", "\\")
                    for text in _WITHOUT_GLYPH.findall(error.diagnostic)
                ]
                if missing:
                    continue
                said = " ".join(error.message.split())
            try:
                pdf = _compile(root, inputs, day, [], book)
            except typst.TypstError as error:
                said = " ".join(error.message.split())
                bad: Path | str | None
                bad = next((figures[name] for name in names if files[name].lstrip("/") in error.diagnostic), None)
                bad = bad or (figures[names[0]] if names and "image" in said else _line(error, templates))
                raise ValueError(f"{bad}: {said}; mend this file") from error
            log.warning("cv.pdf is not PDF/UA-1: %s", said)
            return pdf
    raise Unprintable(cv, missing, f"no font here has it; install one (Debian: {_PACKAGES})")


def _line(error: typst.TypstError, templates: list[Path]) -> str:
    """The line of the user's own template where an error is; of ours, the file that was to be made."""
    source = template(templates, "cv.typ")
    found = re.search(r"\bcv\.typ:(\d+)", error.diagnostic)
    return "cv.pdf" if source.parent == templates[-1] else f"{source}:{found[1]}" if found else str(source)


def _machine(wanted: list[str], folder: Path) -> typst.Fonts:
    """Every font of the machine. Raises ValueError where a wanted family is none of them."""
    found = [path for path in os.environ.get("TYPST_FONT_PATHS", "").split(os.pathsep) if path]
    if (package := importlib.util.find_spec("matplotlib")) and package.origin:
        folder.mkdir(exist_ok=True)
        # not its font of last resort, which has a box for every character
        for path in (Path(package.origin).parent / "mpl-data/fonts/ttf").glob("DejaVuSans*.ttf"):
            shutil.copyfile(path, folder / path.name)
    fonts = typst.Fonts(font_paths=[*found, str(folder)])
    families = {family.lower(): family for family in fonts.families()}
    for family in wanted:
        if family.lower() not in families:
            near = difflib.get_close_matches(family, families.values(), n=1)
            remedy = f"did you mean {near[0]!r}?" if near else "install it, or name another (fc-list tells them)"
            raise ValueError(f"fonts: the font {family!r} is not on this machine; {remedy}")
    return fonts


def _compile(root: Path, inputs: dict[str, str], day: datetime.datetime, standards: Any, fonts: typst.Fonts) -> bytes:
    return typst.compile(
        root / "cv.typ",
        root=root,
        format="pdf",
        font_paths=fonts,
        ignore_system_fonts=True,
        timestamp=day,
        sys_inputs=inputs,
        pdf_standards=standards,
    )
