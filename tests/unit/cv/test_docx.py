"""What a .docx alone has: parts that refer to each other, runs from right to left, pictures inside."""

import io
import re
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest

from advgen import cli
from advgen.cv import docx
from advgen.cv.build import build
from advgen.cv.templating import UnprintableError
from advgen.io.stamps import check_content, read_stamp

from .conftest import STAMP, THEME, Files, png, section
from .reading import W, docx_part
from .test_command import NO_EXPERIMENTS, arguments


def made(cv: dict[str, Any], figures: dict[str, Path] | None = None) -> bytes:
    return docx.render(cv, THEME, figures or {}, STAMP)


@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_every_part_is_there_and_declared(files: Files, tmp_path: Path, kind: str):
    picture = png()
    if kind == "jpg":  # a comment, then the frame: 8 bits, two lines of four pixels
        picture = b"\xff\xd8\xff\xfe" + struct.pack(">H3s", 5, b"abc") + b"\xff\xc0" + struct.pack(">HBHH", 8, 8, 2, 4)
    path = tmp_path / f"transfer.{kind}"
    path.write_bytes(picture)
    content = made(files.build(), {"transfer": path})
    names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    kinds = [item.attrib for item in docx_part(content, "[Content_Types].xml")]
    assert {kind["PartName"][1:] for kind in kinds if "PartName" in kind} <= set(names)
    assert {name.rpartition(".")[2] for name in names} <= {kind["Extension"] for kind in kinds if "Extension" in kind}
    assert names[0] == "[Content_Types].xml"
    links = docx_part(content, "word/_rels/document.xml.rels")
    inside = [item.attrib["Target"] for item in links if item.attrib.get("TargetMode") != "External"]
    assert {f"word/{name}".replace("word/../", "") for name in inside} <= set(names)
    known = {item.attrib["Id"] for item in links}
    source = zipfile.ZipFile(io.BytesIO(content)).read("word/document.xml").decode()
    assert set(re.findall(r'r:(?:id|embed)="(\w+)"', source)) <= known
    styles = {item.get(f"{W}styleId") for item in docx_part(content, "word/styles.xml")}
    assert set(re.findall(r'<w:(?:p|r|tbl)Style w:val="(\w+)"', source)) <= styles
    sizes = re.findall(r'<wp:extent cx="(\d+)" cy="(\d+)"', source)
    assert [int(cx) / int(cy) for cx, cy in sizes] == [pytest.approx({"png": 1, "jpg": 2}[kind], rel=1e-5)]


def test_an_invalid_picture(files: Files, tmp_path: Path):
    for name in ("x.png", "x.jpg"):
        (tmp_path / name).write_bytes(b"\xff\xd8nothing")
        with pytest.raises(ValueError, match=rf"{name}: not a picture; replace this file"):
            made(files.build(), {"transfer": tmp_path / name})


def test_text_from_right_to_left(tmp_path: Path):
    (tmp_path / "profile.yaml").write_text(
        "name: דוד מבחן\nupdated: 2025-03-04\norder: [skills]\nheadline: A test of מבחנים רבים.\n"
        "skills: [{name: תכנות, items: 'Python, אבג 1'}]\n",
        encoding="utf-8",
    )
    body = docx_part(made(build(tmp_path / "profile.yaml", None, None, lambda value: 1)), "word/document.xml")[0]
    title, headline, *_, skill, _ = body
    turned = [part.find(f"{W}pPr/{W}bidi") is not None for part in (title, headline, skill)]
    assert turned == [True, False, True]
    runs = [
        ("".join(run.itertext()), run.find(f"{W}rPr/{W}rtl") is not None)
        for part in (headline, skill)
        for run in part.iter(f"{W}r")
    ]
    assert runs == [
        ("A test of ", False), ("מבחנים רבים", True), (".", False),
        ("תכנות", True), ("\u2002", False), ("Python, ", False), ("אבג", True), (" 1", False),
    ]  # fmt: skip


def test_what_xml_cannot_hold_is_an_error_of_the_entry(files: Files):
    cv = files.build()
    section(cv, "publications")["groups"][0]["entries"][0]["title"] = "A \uffff sign"
    del cv["sections"][1]
    with pytest.raises(
        UnprintableError, match=r"second: '\\uffff' \(U\+FFFF\) cannot be printed, a \.docx cannot contain it"
    ):
        made(cv)


def test_the_command_seals_it(files: Files, tmp_path: Path):
    files.write(profile=NO_EXPERIMENTS)
    cli.main(arguments(files, tmp_path / "out", "--formats", "docx"))
    path = tmp_path / "out/cv.docx"
    check_content(path)
    stamp = read_stamp(path)
    assert stamp is not None
    assert set(stamp.inputs) == {"profile.yaml", "publications.bib", "metrics.yaml"}
    # saved again by an office program: the same stamp, but another file
    again = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(again, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    path.write_bytes(again.getvalue())
    assert read_stamp(path) == stamp
    with pytest.raises(ValueError, match=r"cv\.docx: it has been changed; delete it and run again"):
        check_content(path)
