"""The CV as PDF, through the Typst compiler inside the typst wheel: no network, no fonts of the machine, no clock."""

from __future__ import annotations

import datetime
import json
import logging
import shutil
import tempfile
from pathlib import Path
from typing import Any

import typst

from advgen.cv.target import figure, keyword

log = logging.getLogger(__name__)


def render(cv: dict[str, Any], templates: Path, figures: dict[str, Path], stamp: str, **_: Any) -> bytes:
    """cv.pdf, tagged (PDF/UA-1), with the stamp as a keyword of the document.

    A character that no embedded font has, or a figure that is a PDF, keeps PDF/UA-1 from being reached; the file is
    made all the same and the log says why.
    """
    names = [item["name"] for section in cv["sections"] for item in section.get("figures", ())]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        shutil.copyfile(templates / "cv.typ", root / "cv.typ")
        files = {}
        for index, name in enumerate(names):
            source = figure(name, figures, (".pdf", ".png", ".svg", ".jpg"))
            files[name] = f"/figure{index}{source.suffix.lower()}"
            shutil.copyfile(source, root / files[name][1:])
        inputs = {"cv": json.dumps(cv), "figures": json.dumps(files), "keyword": str(keyword(stamp))}
        inputs["fonts"] = json.dumps(cv["fonts"])
        day = datetime.datetime.fromisoformat(cv["updated"]).replace(tzinfo=datetime.UTC)
        try:
            return _compile(root, inputs, day, ["ua-1"])
        except typst.TypstError as error:
            log.warning("cv.pdf is not PDF/UA-1: %s", " ".join(error.message.split()))
        try:
            return _compile(root, inputs, day, [])
        except typst.TypstError as error:
            raise ValueError(f"{templates / 'cv.typ'}: {' '.join(error.message.split())}") from error


def _compile(root: Path, inputs: dict[str, str], day: datetime.datetime, standards: Any) -> bytes:
    return typst.compile(
        root / "cv.typ",
        root=root,
        format="pdf",
        ignore_system_fonts=True,
        timestamp=day,
        sys_inputs=inputs,
        pdf_standards=standards,
    )
