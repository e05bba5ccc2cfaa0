"""The CV as PDF, by the Typst compiler in the typst package: no network, no clock.

The fonts are those of the package. For characters that they lack, and for fonts that the profile names, those of the
machine are used, of matplotlib if it is installed, and of the folders in the environment variable TYPST_FONT_PATHS.
"""

import datetime
import importlib.util
import json
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typst

from advgen.cv import themes
from advgen.cv.templating import UnprintableError, find_figure, format_stamp, list_figures
from advgen.cv.text_files import suggest

log = logging.getLogger(__name__)

_MISSING_GLYPH = re.compile(r'the text `"(.+?)"` could not be displayed')
_FONT_PACKAGES = "fonts-noto-cjk, fonts-noto-core, fonts-noto-color-emoji"
_EMBEDDED = typst.Fonts(include_system_fonts=False)


def render(cv: dict[str, Any], folders: Sequence[Path], figures: dict[str, Path], stamp: str, **_: Any) -> bytes:
    """Return cv.pdf, tagged (PDF/UA-1), with the stamp as a keyword of the document.

    A figure in PDF makes PDF/UA-1 impossible; the file is written without it, and the log says why. Raises
    UnprintableError for a character that no font has.
    """
    names = list_figures(cv)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        template = themes.find_file(folders, "cv.typ")
        shutil.copyfile(template, root / "cv.typ")
        files = {}
        for index, name in enumerate(names):
            source = find_figure(name, figures, (".pdf", ".png", ".svg", ".jpg"))
            files[name] = f"/figure{index}{source.suffix.lower()}"
            shutil.copyfile(source, root / files[name][1:])
        data = {"cv": cv, "figures": files, "fonts": cv["fonts"], "theme": themes.load_settings("pdf", folders)}
        inputs = {name: json.dumps(value) for name, value in data.items()} | {"keyword": str(format_stamp(stamp))}
        day = datetime.datetime.fromisoformat(cv["updated"]).replace(tzinfo=datetime.UTC)
        missing: list[str] = []
        for only_embedded in (True, False):
            if only_embedded and cv["fonts"]:
                continue
            fonts = _EMBEDDED if only_embedded else _machine_fonts(cv["fonts"], root / "fonts")
            try:
                return _compile(root, inputs, day, ["ua-1"], fonts)
            except typst.TypstError as error:
                if missing := _find_missing(error):
                    continue
                message = " ".join(error.message.split())
            try:
                pdf = _compile(root, inputs, day, [], fonts)
            except typst.TypstError as error:
                message = " ".join(error.message.split())
                named = next((figures[name] for name in names if files[name].lstrip("/") in error.diagnostic), None)
                cause = named or (figures[names[0]] if names and "image" in message else _locate(error, template))
                raise ValueError(f"{cause}: {message}; correct this file") from error
            log.warning("cv.pdf is not PDF/UA-1: %s", message)
            return pdf
    raise UnprintableError(cv, missing, f"no font has it; install one (Debian: {_FONT_PACKAGES})")


def _find_missing(error: typst.TypstError) -> list[str]:
    """Return the texts for which no font has the glyphs."""
    return [
        re.sub(r"\\u\{([0-9a-f]+)\}", lambda found: chr(int(found[1], 16)), text).replace("\\\\", "\\")
        for text in _MISSING_GLYPH.findall(error.diagnostic)
    ]


def _locate(error: typst.TypstError, template: Path) -> str:
    """Return file and line of an error in a custom template, or the name of the PDF for a built-in one."""
    if template.is_relative_to(themes.FOLDER):
        return "cv.pdf"
    found = re.search(r"\bcv\.typ:(\d+)", error.diagnostic)
    return f"{template}:{found[1]}" if found else str(template)


def _machine_fonts(families: list[str], folder: Path) -> typst.Fonts:
    """Return every font of the machine. Raises ValueError if a family is not among them."""
    paths = [path for path in os.environ.get("TYPST_FONT_PATHS", "").split(os.pathsep) if path]
    if (package := importlib.util.find_spec("matplotlib")) and package.origin:
        folder.mkdir(exist_ok=True)
        # not its last-resort font, which has a box for every character
        for path in (Path(package.origin).parent / "mpl-data/fonts/ttf").glob("DejaVuSans*.ttf"):
            shutil.copyfile(path, folder / path.name)
    fonts = typst.Fonts(font_paths=[*paths, str(folder)])
    known = {family.lower(): family for family in fonts.families()}
    for family in families:
        if family.lower() not in known:
            hint = suggest(family, known.values()).rstrip()
            remedy = hint or "install it, or name another (fc-list lists them)"
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
