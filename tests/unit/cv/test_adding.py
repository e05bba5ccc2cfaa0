"""The listings of docs/adding/theme.md and section.md, followed step by step."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from advgen import cli
from advgen.cv.formats import FORMATS
from advgen.cv.themes import BUILT_IN

from .conftest import ROOT
from .reading import docx_part

NO_LATEX = [name for name in FORMATS if name != "latex.pdf"]


VALIDATOR = """\
    url: Url | None = None

    def model_post_init(self, context: object) -> None:
        print(self.tilte)
"""


def follow(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Write the files of a page, and run its command. Returns the page."""
    text = (ROOT / "docs/adding" / page).read_text(encoding="utf-8")
    for name, listing in re.findall(r"^\d\. `([\w./]+)`(?:.*\n){1,2}?\n   ```\w+\n((?:.*\n)*?)   ```$", text, re.M):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(textwrap.dedent(listing), encoding="utf-8")
    monkeypatch.chdir(folder)
    (command,) = re.findall(r"^python -m advgen (cv .*)$", text, re.M)
    cli.main([*command.split(), "--formats", *NO_LATEX])
    return text


def test_a_theme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    follow("theme.md", tmp_path, monkeypatch)
    assert Path("made/cv.md").read_text(encoding="utf-8").startswith("# Zoë Quillåker (October 15, 2025)\n\n- Skills\n")
    page = Path("made/cv.html").read_text(encoding="utf-8")
    assert '<body class="academic forest">' in page
    light, dark = (rule.split(";")[0] for rule in re.findall(r"^ *\.forest \{.*", page, re.M))
    assert (light, dark) == (".forest { --accent: #2f5d3a", ".forest { --accent: #9ccfa8")
    source = Path("made/cv.tex").read_text(encoding="utf-8")
    assert r"\definecolor{accent}{HTML}{24344F}" in source  # of academic, whose setting for tex is more specific
    assert r"\definecolor{tint}{HTML}{EAF2EC}" in source and r"\colorbox{accent}" in source
    styles = docx_part(Path("made/cv.docx").read_bytes(), "word/styles.xml")
    assert "Georgia" in str([one.attrib for one in styles.iter()])
    assert Path("made/cv.pdf").read_bytes().startswith(b"%PDF")


def test_a_section_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    follow("section.md", tmp_path, monkeypatch)
    assert "## Patents\n\n1. **Apparatus for *tests***, US 1234567 (USPTO) · 2018\n" in (
        text := Path("made/cv.md").read_text(encoding="utf-8")
    )
    assert "2. **A better apparatus**, EP 7654321 · May 2020 – Present\\\n    with B. Minta\n" in text
    for name in NO_LATEX:
        content = Path(f"made/cv.{name}").read_bytes()
        assert content.startswith(b"%PDF") or b"Apparatus for" in content, name


def test_a_setting_that_no_template_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    follow("theme.md", tmp_path, monkeypatch)
    assert caplog.messages == []
    with Path("forest/theme.yaml").open("a", encoding="utf-8") as file:
        file.write("acent: x\nshadow: x\ntints: x\n")
    with Path("forest/cv.md.j2").open("a", encoding="utf-8") as file:
        file.write("{# theme.tints #}")
    cli.main(["cv", "--profile", "profile.yaml", "--out", "made", "--formats", "md", "tex"])
    assert caplog.messages == ["forest/theme.yaml:6: no template reads acent; did you mean 'accent'?"]


def test_files_and_classes_that_nothing_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    follow("theme.md", tmp_path, monkeypatch)
    Path("forest").rename("forest-2")
    Path("profile.yaml").write_text(Path("profile.yaml").read_text(encoding="utf-8").replace("forest", "forest-2"))
    Path("forest-2/theme.css").write_text(".forest-2 h2 { color: red; }")
    for name in ("themes.css", "notes.txt", ".theme.css.swp"):
        Path("forest-2", name).touch()
    cli.main(["cv", "--profile", "profile.yaml", "--out", "made", "--formats", "md"])
    assert caplog.messages == [
        "forest-2/themes.css is read by no format; did you mean theme.css?",
        "forest-2/dark.css:1: no rule is for .forest-2; the class of the page is the name of the folder",
    ]


def test_the_entries_of_a_section_type_need_no_dates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    follow("section.md", tmp_path, monkeypatch)
    source = Path("patents.py").read_text(encoding="utf-8").replace("DatedEntry", "Entry")
    Path("patents.py").write_text(re.sub(r"(?s)Row\(.*?\n", "Row(title)\n", source), encoding="utf-8")
    profile = Path("profile.yaml").read_text(encoding="utf-8")
    Path("profile.yaml").write_text(re.sub(", (date|start): [^}]*", "", profile), encoding="utf-8")
    cli.main(["cv", "--profile", "profile.yaml", "--out", "made", "--formats", "md"])
    assert "2. **A better apparatus**, EP 7654321\n" in Path("made/cv.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("page", "file", "old", "new", "what"),
    [
        ("section.md", "profile.yaml", "number: EP", "numbr: EP",
         r"profile\.yaml:10: unknown key .*numbr.; did you mean .number.\?"),
        ("section.md", "profile.yaml", "type: patents.py", "type: patent.py",
         r"patent\.py: no such Python file; check the path"),
        ("section.md", "patents.py", "SECTION = ", "TYPE = ",
         r"patents\.py:1: defines no SECTION; end the file with SECTION"),
        ("section.md", "patents.py", "import DatedEntry, Text", "import DatedEntry, Txt",
         r"patents\.py:3: ImportError: .*; correct"),
        ("section.md", "patents.py", "title: Text\n", "title: Text(\n",
         r"patents\.py:\d+: SyntaxError: (?!.*patents\.py.*line).*; correct this file$"),
        ("section.md", "patents.py", 'texts.text("detail")', 'texts.text("detial")',
         r"patents\.py:19: 'Patent' has no 'detial'; did you mean 'detail'\? \(entry profile\.yaml:10\)$"),
        ("section.md", "patents.py", "patent.url", "patent.link",
         r"patents\.py:18: 'Patent' has no 'link'; it has id, tags, date, .*, url \(entry profile\.yaml:9\)$"),
        ("section.md", "patents.py", "return Row(title,", "return Row(1 / 0,",
         r"patents\.py:19: ZeroDivisionError: division by zero; correct this file \(entry profile\.yaml:9\)$"),
        ("section.md", "patents.py", "    url: Url | None = None\n", VALIDATOR,
         r"patents\.py:16: 'Patent' has no 'tilte'; did you mean 'title'\?$"),
        ("section.md", "patents.py", "return Row(title", "Row(title",
         r"patents\.py:1: TypeError: write_row returns NoneType, not a Row; correct this file \(entry profile"),
        ("section.md", "patents.py", 'texts.linked("title", patent.url)', "patent.title",
         r"patents\.py:19: 'strong' needs a list of nodes, not a string; use texts\.text\(…\) \(entry profile"),
        ("section.md", "patents.py", '[texts.text("detail")]', "[patent.detail]",
         r"patents\.py:19: each of lines needs a list of nodes, not a string; use texts"),
        ("section.md", "patents.py", "return Row(title,", "return Row([*title, patent],",
         r"patents\.py:19: text has a Patent as a node; write a string, or a map"),
        ("theme.md", "profile.yaml", "forest", "clasic",
         r"profile\.yaml:3: theme is 'clasic', but there is no such folder next to the .*; did you mean 'classic'\?"),
        ("theme.md", "profile.yaml", "forest", "forests",
         r"profile\.yaml:3: theme is 'forests', but there is no such folder .*; did you mean 'forest'\? allowed: ac"),
        ("theme.md", "profile.yaml", "theme: forest", "templates: forst",
         r"profile\.yaml:3: templates is 'forst', but there is no such .*; did you mean 'forest'\? allowed: forest$"),
        ("theme.md", "forest/theme.yaml", "extends: academic", "extends: clasic",
         r" forest/theme\.yaml:1: extends is 'clasic'; did you mean 'classic'\? allowed: academic, cl"),
        ("theme.md", "forest/theme.yaml", "headings: filled", "headings: fileld",
         r" forest/theme\.yaml:2: headings is 'fileld'; did you mean 'filled'\? allowed: rule, small-caps, filled$"),
        ("theme.md", "forest/theme.yaml", '"2F5D3A"', "navy",
         r" forest/theme\.yaml:3: accent is 'navy'; write six hexadecimal digits in quotes, such as \"0B4A5C\"$"),
        ("theme.md", "forest/theme.yaml", '"2F5D3A"', "112233", r"\.yaml:3: accent is 112233; write six hexa"),
        ("theme.md", "forest/theme.yaml", '"2F5D3A"', '"#1B2F4B"', r"\.yaml:3: accent is '#1B2F4B'; write six hexa"),
        ("theme.md", "forest/theme.yaml", "{font: Georgia}", "{margin_x: wide}",
         r"\.yaml:5: margin_x is 'wide'; write a number, such as 23$"),
        ("theme.md", "forest/theme.yaml", "{font: Georgia}", "Georgia",
         r"\.yaml:5: docx is 'Georgia'; write its settings, such as \{font: Georgia\}$"),
        ("theme.md", "forest/theme.yaml", "headings: filled", "centered: 'yes'",
         r"\.yaml:2: centered is 'yes'; write true or false$"),
        ("theme.md", "forest/theme.yaml", 'accent: "', 'accent: ["', r"forest/theme\.yaml:\d: not valid YAML"),
        ("theme.md", "forest/theme.yaml", "", "", r"forest/theme\.yaml:1: not a map of keys to values"),
    ],
)  # fmt: skip
def test_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str, file: str, old: str, new: str, what: str):
    follow(page, tmp_path, monkeypatch)
    text = Path(file).read_text(encoding="utf-8")
    assert old in text
    Path(file).write_text(text.replace(old, new) if old else "- accent", encoding="utf-8")
    with pytest.raises(SystemExit, match=what) as caught:
        cli.main(["cv", "--profile", "profile.yaml", "--out", "made", "--formats", "tex"])
    assert page != "theme.md" or "\n" not in str(caught.value)


def test_the_pages_name_every_file_of_a_theme():
    page = (ROOT / "docs/adding/theme.md").read_text(encoding="utf-8")
    files = {path.name for theme in BUILT_IN for path in (ROOT / "src/advgen/cv/themes" / theme).iterdir()}
    assert [name for name in sorted(files) if f"`{name}`" not in page] == []
