"""A small profile, bibliography and metrics file with awkward data, and the CV that they make."""

import re
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from advgen.cv.bibliography import load
from advgen.cv.build import build
from advgen.cv.inline import plain_text
from advgen.cv.live_values import LiveValue
from advgen.cv.names import parse_names
from advgen.cv.sections.base import Filter
from advgen.cv.themes import search_path

ROOT = Path(__file__).parents[3]
THEME = search_path("classic")
STAMP = "eyJhIjoi-_MTIz" * 40
NEEDS_PDFTOTEXT = pytest.mark.skipif(not shutil.which("pdftotext"), reason="needs pdftotext (poppler-utils)")
NEEDS_LATEX = pytest.mark.skipif(
    not shutil.which("latexmk"), reason="needs latexmk, texlive-latex-recommended and lmodern"
)

PROFILE = """\
name: Ádám Próba
aliases: [A. Próba]
headline: Tests & *nothing* else
email: adam@example.org
site: https://proba.example.org/
links:
  - {label: "@proba", url: "https://social.example.org/@proba"}
updated: 2025-03-04
earlier: 2001
order:
  - position
  - experiments
  - publications
  - repositories
  - section: talks
    title: Talks
    note: See [here](https://talks.example.org/a_(b)).
  - service
  - reviewing
  - skills
people:
  - {name: Bea Minta, url: "https://minta.example.org/~bea", aliases: [B. Minta]}
position:
  - title: Tester
    organization: Works & Co_
    location: 100% City
    start: 2019
    end: Present
experiments:
  - >-
    Error of
    **{{ result('transfer', 'error', source='fc100', target_seed=0) | .1% }}**,
    that is all.
figures:
  - name: transfer
    caption: A *figure* of 100%
repositories:
  - {name: proba/big_one, description: "Large, #1", year: 2020}
  - {name: proba/small, description: Small, year: 2010, url: "https://code.example.org/small"}
talks:
  - {title: "Why not?", event: Nowhere, date: 2024, slides: "https://talks.example.org/1.pdf"}
  - {title: Because, event: Somewhere, date: S2017}
service:
  - {title: Chair, start: 2014, end: 2015}
  - {title: Member, detail: of A & B}
reviewing:
  - Journal of Tests
skills:
  - {name: Programming, items: "C, C++, C#"}
"""

BIBLIOGRAPHY = r"""% entries of an invented person
@string{jot = {Journal of Tests}}

@article{first,
  title = {Old {T}ests, 100\% \& more},
  author = {Pr{\'o}ba, {\'A}d{\'a}m},
  journal = jot,
  year = 1999
}

@inproceedings{second,
  title = {Tests_with #signs},
  author = {{\'A}d{\'a}m Pr\'oba* and Minta, Bea$^{*}$ and {The Group, Inc.}},
  booktitle = {Proc. of Tests},
  year = {2024},
  url = {https://papers.example.org/a_(b)?x=1&y=2},
  codeurl = {https://code.example.org/second},
  slidesurl = {https://slides.example.org/second},
  _note = {(Oral)},
  selected = {true}
}

@article{third,
  title = {A Third Test},
  author = {B. Minta and A. Pr{\'o}ba},
  journal = jot,
  year = {2024},
  _venue = {JoT}
}

@misc{fourth,
  title = {Older Still},
  author = {A. Pr\'oba},
  howpublished = {Preprint},
  year = {2001},
}
"""

METRICS = """\
as_of: 2025-03-01
source: Index
url: https://index.example.org
citations: 7345
h_index: 12
repositories:
  proba/big_one: 1549
  proba/small: 999
"""

Cv = dict[str, Any]


def split_authors(text: str) -> list[tuple[str, str]]:
    """The names of a BibTeX author list with their marks."""
    return [(str(name), name.mark) for name in parse_names(text)]


class Files:
    """The three files of a CV in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.profile = folder / "profile.yaml"
        self.bibliography = folder / "publications.bib"
        self.metrics = folder / "metrics.yaml"
        self.write(PROFILE, BIBLIOGRAPHY, METRICS)

    def write(self, profile: str | None = None, bibliography: str | None = None, metrics: str | None = None) -> None:
        texts = {self.profile: profile, self.bibliography: bibliography, self.metrics: metrics}
        for path, text in texts.items():
            if text is not None:
                path.write_text(text, encoding="utf-8")

    def build(self, lookup: Callable[[LiveValue], object] = lambda value: 0.4137) -> Cv:
        return build(self.profile, self.bibliography, self.metrics, lookup)

    def errors(self, lookup: Callable[[LiveValue], object] = lambda value: 0.4137) -> list[str]:
        """The error lines that these files cause, without their folder."""
        with pytest.raises(ValueError, match=r"\.(yaml|bib)(:\d+)?: ") as caught:
            self.build(lookup)
        lines = [line.replace(f"{self.folder}/", "") for line in str(caught.value).split("\n")]
        assert [line for line in lines if not re.search(r"; .|did you mean|allowed: ", line)] == [], "no remedy"
        return lines


def build_text(folder: Path, profile: str, bibliography: str | None = None, **choice: Any) -> Cv:
    """The CV of a profile and perhaps a bibliography, which are written into a folder."""
    profile_file, bibliography_file = folder / "profile.yaml", folder / "publications.bib"
    profile_file.write_text(profile, encoding="utf-8")
    if bibliography is not None:
        bibliography_file.write_text(bibliography, encoding="utf-8")
    given = None if bibliography is None else bibliography_file
    return build(profile_file, given, None, lambda value: 1, chosen=Filter(**choice))


def load_text(folder: Path, text: str, owner: str = "A. Próba", **style: str) -> list[dict[str, Any]]:
    """The entries of a bibliography."""
    path = folder / "x.bib"
    path.write_text(text, encoding="utf-8")
    return load(path, [owner], {}, style=style)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def png() -> bytes:
    """An image of one white pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\x00\xff\xff\xff")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.fixture
def figures(tmp_path: Path) -> dict[str, Path]:
    """The file of the one figure."""
    path = tmp_path / "transfer.png"
    path.write_bytes(png())
    return {"transfer": path}


def section(cv: Cv, name: str) -> Any:
    return next(item for item in cv["sections"] if item["id"] == name)


def publications(cv: Cv) -> list[dict[str, Any]]:
    """Every publication in order, with its group, and its authors as a reader sees them."""
    return [
        {**entry, "group": group["title"], "authors": plain_text(entry["byline"])}
        for group in section(cv, "publications")["groups"]
        for entry in group["entries"]
    ]
