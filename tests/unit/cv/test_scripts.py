"""Names and titles of any script: printed, and found again in the text layer, or an error that names entry and sign."""

import re
import shutil
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from advgen import cli
from advgen.cv import typst
from advgen.cv.formats import render
from advgen.cv.templating import UnprintableError

from .conftest import NEEDS_LATEX, NEEDS_PDFTOTEXT, STAMP, Cv, Files, build_text
from .reading import bare, pdf_text, printed_text
from .test_command import arguments

BIB = "@article{one, title={%s}, author={Ádám Próba}, journal={J}, year={2020}}\n"
PROFILE = "name: Ádám Próba\nupdated: 2025-03-04\norder: [publications]\n"
EMBEDDED = {
    "Cyrillic": "Проверка испытаний",
    "Greek": "Δοκιμή δοκιμών",
    "Hebrew": "מבחן של מבחנים",
    "Arabic": "اختبار",
    "Vietnamese": "Kiểm tra những bài kiểm tra",
    "signs": "α ≤ β → ★ ♥ ½ ∞",
}


def made(folder: Path, title: str, profile: str = PROFILE) -> Cv:
    return build_text(folder, profile, BIB % title)


def font(folder: Path, text: str) -> Path:
    """A font that has the letters of a text, each as a square, and nothing else."""
    builder = pytest.importorskip("fontTools.fontBuilder").FontBuilder(1000, isTTF=True)
    pens = pytest.importorskip("fontTools.pens.ttGlyphPen")
    names = {ord(character): f"u{ord(character):04X}" for character in text}
    order = [".notdef", *names.values()]

    def square() -> Any:
        pen = pens.TTGlyphPen(None)
        pen.moveTo((100, 0))
        for point in ((100, 700), (800, 700), (800, 0)):
            pen.lineTo(point)
        pen.closePath()
        return pen.glyph()

    builder.setupGlyphOrder(order)
    builder.setupCharacterMap(names)
    builder.setupGlyf({name: square() for name in order})
    builder.setupHorizontalMetrics(dict.fromkeys(order, (900, 100)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable(
        {"familyName": "Squares", "styleName": "Regular", "psName": "Squares", "fullName": "Squares"}
    )
    builder.setupOS2(sTypoAscender=800, sTypoDescender=-200)
    builder.setupPost()
    builder.save(folder / "squares.ttf")
    return folder


@NEEDS_PDFTOTEXT
@pytest.mark.parametrize("script", EMBEDDED)
def test_scripts_that_the_fonts_of_typst_have(tmp_path: Path, script: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(typst, "_machine_fonts", None)  # nothing of this machine is needed
    shown = unicodedata.normalize("NFKC", printed_text(made(tmp_path, EMBEDDED[script]), tmp_path))
    # pdftotext prints a line that runs from right to left word by word
    assert [word for word in EMBEDDED[script].split() if unicodedata.normalize("NFKC", word) not in shown] == []


@NEEDS_PDFTOTEXT
@pytest.mark.parametrize(
    ("title", "order"), [("אחד Testing שתיים 2020", [3, 2, 1, 0]), ("Testing אחד 2020", [0, 2, 1])]
)
def test_the_words_of_a_title_stand_in_the_order_of_its_script(tmp_path: Path, title: str, order: list[int]):
    boxes = printed_text(made(tmp_path, title), tmp_path, "-bbox")
    found = re.findall(r'<word xMin="([\d.]+)" yMin="([\d.]+)"[^>]*>\W*([^<]*?)\W*</word>', boxes)
    (line,) = {y for _, y, word in found if word == "Testing"}
    shown = [word for x, y, word in sorted(found, key=lambda box: float(box[0])) if y == line and word != "1"]
    # pdftotext prints the letters of these boxes from left to right, whatever their script
    assert [shown.index(word if word.isascii() else word[::-1]) for word in title.split()] == order


@NEEDS_PDFTOTEXT
def test_a_font_of_the_machine_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    title = "测试 시험 試験"
    monkeypatch.setenv("TYPST_FONT_PATHS", str(font(tmp_path, title.replace(" ", ""))))
    for profile in (PROFILE, f"{PROFILE}fonts: [Squares]\n"):
        assert bare(title) in bare(printed_text(made(tmp_path, title, profile), tmp_path))


@NEEDS_PDFTOTEXT
def test_emoji_of_the_fonts_that_come_with_matplotlib(tmp_path: Path):
    pytest.importorskip("matplotlib")
    assert "Tests 😀" in printed_text(made(tmp_path, "Tests 😀"), tmp_path)


UNPRINTABLE = "\U00013000"  # a hieroglyph
WHAT = f"one: '{UNPRINTABLE}' (U+13000) cannot be printed"


@pytest.mark.parametrize("format_", ["pdf", pytest.param("latex.pdf", marks=NEEDS_LATEX)])
def test_what_no_font_has_is_an_error_of_the_entry(tmp_path: Path, format_: str):
    with pytest.raises(UnprintableError) as caught:
        render(format_, made(tmp_path, f"A {UNPRINTABLE} Sign"), {}, STAMP)
    assert str(caught.value).startswith(WHAT)


def test_the_command_names_the_line_too_and_writes_nothing(files: Files, tmp_path: Path):
    files.write(PROFILE, BIB % f"A {UNPRINTABLE} Sign")
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments(files, tmp_path / "out"))
    assert f"{tmp_path}/publications.bib:1: {WHAT}" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_font_that_is_not_here(tmp_path: Path):
    what = "the font 'Libertinus Sarif' is not on this machine; did you mean 'Libertinus S"
    with pytest.raises(ValueError, match=what):
        render("pdf", made(tmp_path, "T", f"{PROFILE}fonts: [Libertinus Sarif]\n"), {}, STAMP)


def test_each_entry_lists_its_signs_in_one_line(files: Files, tmp_path: Path):
    """Signs that are joined to one are reported as such, not in the words of the compiler."""
    signs = [chr(ord(UNPRINTABLE) + index) for index in range(6)]
    text = BIB % "".join(signs) + (BIB % f"{signs[0]}\u200d\U00013010").replace("{one", "{two").replace("J}", "K}")
    files.write(PROFILE, text)
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments(files, tmp_path / "out", "--formats", "pdf"))
    one, two = str(caught.value).removeprefix("advgen cv: ").replace(f"{tmp_path}/", "").split("\n")
    others = ", ".join(map(repr, signs[1:4]))
    assert one.startswith(f"publications.bib:1: {WHAT} (nor {others} and 2 more), no font has it; install one")
    what = WHAT.replace("one", "two")
    assert two.startswith(f"publications.bib:2: {what} (nor '\\u200d', '\U00013010'),")


LATIN = "On 𝒪(n), ℝᵈ, 𝐱, ½ ⅓ ≤ C♯ ɛ ⊨ non‑breaking"


@NEEDS_LATEX
def test_signs_of_titles_that_latex_has(tmp_path: Path):
    (tmp_path / "cv.pdf").write_bytes(render("latex.pdf", made(tmp_path, LATIN), {}, STAMP))
    shown = pdf_text(tmp_path / "cv.pdf") if shutil.which("pdftotext") else bare(LATIN)
    assert bare(LATIN).replace("‑", "-") in bare(shown)


@NEEDS_LATEX
@pytest.mark.parametrize("title", ["Проверка", "∬", "ʔ", "𝓁"])
def test_signs_that_latex_lacks_are_reported(tmp_path: Path, title: str):
    what = rf"one: '{title[0]}' \(U\+[0-9A-F]+\) cannot be printed, LaTeX has no font"
    with pytest.raises(UnprintableError, match=what):
        render("latex.pdf", made(tmp_path, title), {}, STAMP)
