import logging
from pathlib import Path

import pytest

from advgen.cv.byline import format_byline
from advgen.cv.grouping import group_entries
from advgen.cv.tex import decode

from .conftest import Files, load_text, publications, split_authors

ENTRY = "@article{%s,\n  title = {%s},\n  author = {%s},\n  journal = {J},\n  year = {%s}%s\n}\n"


def entry(key: str = "k", title: str = "T", author: str = "A. Próba", year: str = "2020", more: str = "") -> str:
    return ENTRY % (key, title, author, year, f",\n  {more}" if more else "")


SAME_CODE = "codeurl = {https://e.org/c}"


@pytest.mark.parametrize(
    ("tex", "text"),
    [
        ("plain", "plain"),
        (r"Caf\'e", "Café"),
        (r"Caf{\'e}", "Café"),
        (r"Caf\'{e}", "Café"),
        (r"{\'{E}}t{\'e}", "Été"),
        (r"Erd\H{o}s", "Erdős"),
        (r"{\O}re {\o}re", "Øre øre"),
        (r"{\L}uk {\l}uk", "Łuk łuk"),
        (r"\c{c} \c{C} {\c c}", "ç Ç ç"),
        (r"\v{s} \v C \u{g}", "š Č ğ"),
        (r"{\'\i} \'{\i} \'i", "í í í"),
        (r"{\i}ki \.I", "ıki İ"),
        (r"\k{a} \.z \r{a} {\aa} {\AA}", "ą ż å å Å"),
        (r"\~n \~{n} \^o \`a \=a", "ñ ñ ô à ā"),
        (r"{\ss} {\ae} {\OE}", "ß æ Œ"),
        (r"Nguy{\~{\^e}}n", "Nguyễn"),
        (r"\d{i} \b{b}", "ị ḇ"),
        (r"H\"older next to Hölder", "Hölder next to Hölder"),
        ("e\u0301", "é"),
        ("100% of it", "100% of it"),
        (r"100\% of it", "100% of it"),
        ("Security & Privacy", "Security & Privacy"),
        (r"Security \& Privacy", "Security & Privacy"),
        (r"a_b \_ \# # \$5", "a_b _ # # $5"),
        (r"``quoted'' and `single'", "“quoted” and ‘single’"),
        ("Dijkstra's", "Dijkstra's"),
        ("a--b---c", "a–b—c"),
        ("a~b\\ c", "a b c"),
        (r"{GAN}s for {\emph{All}}", "GANs for All"),
        (r"\textit{a} {\em b} \textsc{c}", "a b c"),
        (r"$O(n^2)$", "O(n²)"),
        (r"$O(n \log n)$", "O(n log n)"),
        (r"$\ell_2$ and $\ell_{\infty}$", "ℓ₂ and ℓ∞"),
        (r"$\mathcal{L}_p$ on $\mathbb{R}^d$", "ℒₚ on ℝᵈ"),
        (r"{$\alpha$-GAN}", "α-GAN"),
        (r"\ensuremath{\beta_1}", "β₁"),
        (r"1\textsuperscript{st}, H\textsubscript{2}O", "1ˢᵗ, H₂O"),
        (r"{\LaTeX} and \TeX{} too", "LaTeX and TeX too"),
        (r"C\#, C++ \ldots", "C#, C++ …"),
        ("two\n   lines", "two lines"),
        (r"\mbox{CNN}-free", "CNN-free"),
        (r"\{x\} \textbackslash", "{x} \\"),
        ("李 ★ ½ ﬁ", "李 ★ ½ ﬁ"),
        (r"$\frac{1}{2}$, $\frac{a+b}{2}$, \nicefrac{3}{4}", "1/2, (a+b)/2, 3/4"),
        (r"$O(\sqrt{n})$", "O(√n)"),
        (r"\texorpdfstring{$\ell_1$}{l1}", "ℓ₁"),
        (r"\textcommabelow{s} \h{a} \h o \t{oo} \SS", "ș ả ỏ o͡o ẞ"),
        (r"\varheart\S\flqq", "♥§«"),
        (r"hy\-phen\/ation", "hyphenation"),
    ],
)
def test_decode(tex: str, text: str):
    assert decode(tex) == text


@pytest.mark.parametrize(
    "tex",
    [
        r"\href{https://e.org}{x}", r"\foo{x}", r"\foo", r"\input{x}", r"\cite{x}",
        r"\begin{a}x\end{a}", "a { b", "a } b", "a $ b", "a } { b", "} {", "{ } } {",
        "trailing \\", r"\'", r"$x_q$", r"\verb|x|",
        r"\uppercase{a}", "\ue000", r"\footnote{x}", r"\thanks{x}",
    ],
)  # fmt: skip
def test_tex_that_would_be_damaged_is_refused(tex: str):
    with pytest.raises(ValueError, match=r"write|add|cannot|lose|remove|balance") as caught:
        decode(tex)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("tex", "names"),
    [
        ("Ann Lee", [("Ann Lee", "")]),
        ("Lee, Ann and Bo Ray", [("Ann Lee", ""), ("Bo Ray", "")]),
        ("Lee, Ann* and Ray*, Bo", [("Ann Lee", "*"), ("Bo Ray", "*")]),
        (r"Ann Lee$^{\dagger}$ and Bo Ray$^*$", [("Ann Lee", "†"), ("Bo Ray", "*")]),
        (r"Ann Lee\textsuperscript{*,†} and Bo Ray{*}", [("Ann Lee", "*†"), ("Bo Ray", "*")]),
        (r"Ann Lee\dag{} and {Bo Ray*} and Cy\ddag", [("Ann Lee", "†"), ("Bo Ray", "*"), ("Cy", "‡")]),
        ("Fictus, Jr., Harold", [("Harold Fictus Jr.", "")]),
        ("{The Group, Inc.} and {Rock and Roll}", [("The Group, Inc.", ""), ("Rock and Roll", "")]),
        ("van der Berg, A. and\n Brandt, B.", [("A. van der Berg", ""), ("B. Brandt", "")]),
        (r"{\O}re, S{\o}ren", [("Søren Øre", "")]),
        (r"Ann Lee and \'Elie Cartan", [("Ann Lee", ""), ("Élie Cartan", "")]),
        (
            "Próba, Ádám and Próba, Jr., Ádám and Ádám Próba*",
            [("Ádám Próba", ""), ("Ádám Próba Jr.", ""), ("Ádám Próba", "*")],
        ),
    ],
)
def test_authors(tex: str, names: list[tuple[str, str]]):
    assert split_authors(tex) == names


@pytest.mark.parametrize(
    "tex",
    [
        "A and and B", "and A", "A and others", "Ann Lee, Bo Ray, Cy Fox", ", A", "", "*",
        "{}, Ádám", "Próba, {}", "Próba, Jr., Ádám, X", "Próba, Q, Ádám",
    ],
)  # fmt: skip
def test_author_lists_that_are_refused(tex: str):
    with pytest.raises(ValueError, match="name"):
        split_authors(tex)


def author(name: str, mark: str = "", owner: bool = False, url: str | None = None) -> dict[str, object]:
    return {"name": name, "mark": mark, "owner": owner, "url": url}


def test_byline():
    a, b, c = author("A", "*", owner=True), author("B", "†", url="https://b.example.org"), author("C")
    assert format_byline([a]) == [{"strong": ["A*"]}]
    assert format_byline([c, a]) == ["C and ", {"strong": ["A*"]}]
    linked = {"link": ["B"], "url": "https://b.example.org"}
    assert format_byline([a, b, c]) == [{"strong": ["A*"]}, ", ", linked, "†, and C"]


def test_groups_keep_file_order_and_number_through():
    years = {"a": 1999, "b": 2024, "c": 2023, "d": 2024, "e": 2001, "f": 1999, "g": 2023}
    entries = [{"key": key, "year": year} for key, year in years.items()]
    grouped = group_entries(entries, earlier=2001)
    assert [(g["title"], [(e["number"], e["key"]) for e in g["entries"]]) for g in grouped] == [
        ("2024", [(1, "b"), (2, "d")]),
        ("2023", [(3, "c"), (4, "g")]),
        ("2001 and earlier", [(5, "e"), (6, "a"), (7, "f")]),
    ]
    assert [g["title"] for g in group_entries(entries, earlier=None)] == ["2024", "2023", "2001", "1999"]


def test_entries_of_the_fixture(files: Files):
    assert [
        (p["group"], p["number"], p["title"], p["authors"], p["venue"], p["note"]) for p in publications(files.build())
    ] == [
        ("2024", 1, "Tests_with #signs", "Ádám Próba*, Bea Minta*, and The Group, Inc.", "Proc. of Tests", "Oral"),
        ("2024", 2, "A Third Test", "B. Minta and A. Próba", "JoT", ""),
        ("2001 and earlier", 3, "Older Still", "A. Próba", "Preprint", ""),
        ("2001 and earlier", 4, "Old Tests, 100% & more", "Ádám Próba", "Journal of Tests", ""),
    ]


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        (entry() + entry(), 7, "the key 'k' is taken (line 1)"),
        (entry("k") + entry("K"), 7, "K has the same key as k"),
        (entry(more="year = 2021"), 1, "the field year appears twice"),
        (entry(more="Year = 2021"), 6, "the field year appears twice"),
        (entry(title=""), 1, "k has no title"),
        (entry(author=""), 1, "k has no author"),
        (entry(year=""), 1, "k has no year"),
        (entry().replace("journal", "pages"), 1, "k has no venue"),
        (entry(year="2020a"), 5, "the year '2020a' is not a year"),
        (entry(year="soon"), 5, "the year 'soon' is not a year"),
        (entry(author="Bea Minta"), 3, "no author of k is the owner"),
        (entry(author="A. Próba and Ádám Próba"), 3, "2 authors of k are the owner"),
        (entry(author="A. Próba and others and B"), 3, "'others' is not a name; write it at the end of a list"),
        (entry(title=r"\href{x}{y}"), 2, r"title: \href is not supported here"),
        (entry(more="url = {javascript:alert(1)}"), 6, "url: 'javascript:alert(1)' is not a web address"),
        (entry(more="doi = {nope}"), 6, "'nope' is not a DOI"),
        (entry(more="selected = {maybe}"), 6, "neither true nor false"),
        (entry().replace("{J}", "jmlr"), 4, "journal = jmlr is not a defined @string"),
        ("@" + entry(), 1, "text outside an entry: '@'"),
        ("\nsome text\n" + entry(), 2, "text outside an entry: 'some text'"),
        ("% @article{old}\n" + entry(), 1, "an entry begins inside this line"),
        (entry() + entry("b").strip() + " " + entry("c").strip(), 12, "an entry begins inside this line"),
        (entry().replace("{T}", "{T"), 1, "cannot be read"),
        (entry().replace("{T}", "{T") + entry("b"), 1, "cannot be read"),
        (entry().replace(",\n  author", "\n  author"), 2, "end title with a comma"),
        (entry().replace("k,", ","), 1, "the entry has no key"),
        ("@comments{x}\n" + entry(), 1, "the entry @comments was not read"),
        (entry(title="a\x07b"), 2, "control character U+0007"),
    ],
)  # fmt: skip
def test_errors_name_file_and_line(files: Files, text: str, line: int, what: str):
    files.write(bibliography=text)
    errors = files.errors()
    assert any(error.startswith(f"publications.bib:{line}: ") and what in error for error in errors), errors


def test_all_errors_come_at_once(files: Files):
    files.write(bibliography=entry("a", year="x") + entry("b", title="") + entry("c", author="B"))
    assert [error.split(" ")[0] for error in files.errors()] == [f"publications.bib:{n}:" for n in (5, 7, 15)]


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        (entry(more="code_url = {https://e.org}"), 6, "did you mean codeurl?"),
        (entry(author="A. Próba and Cy Fox"), 1, "co-authors without an address: Cy Fox; add them to people"),
        (entry(more="codeUrl = {https://e.org}"), 6, "the field codeUrl is read as codeurl; write codeurl"),
        (entry("a", title="Same") + entry("b", title="same"), 7, "b has the same title as a"),
        (entry("a", "A", more=SAME_CODE) + entry("b", "B", more=SAME_CODE), 8, "b has the same codeurl as a"),
    ],
)
def test_warnings(files: Files, caplog: pytest.LogCaptureFixture, text: str, line: int, what: str):
    files.write(bibliography=text)
    with caplog.at_level(logging.WARNING):
        files.build()
    assert any(f"publications.bib:{line}: " in message and what in message for message in caplog.messages)


def test_field_names_in_any_case_and_disabled_fields(tmp_path: Path):
    (read,) = load_text(tmp_path, entry(more="codeUrl = {https://e.org/c},\n  _talkurl = {https://e.org/t}"))
    assert read["links"] == [{"label": "code", "url": "https://e.org/c"}]


def test_addresses(tmp_path: Path):
    text = entry("a", more=r"url = {https://e.org/a\_b?x=1\&y=100\%25}")
    text += entry("b", more="doi = {https://doi.org/10.1000/a_b}") + entry("c")
    expected = ["https://e.org/a_b?x=1&y=100%25", "https://doi.org/10.1000/a_b", None]
    assert [read["url"] for read in load_text(tmp_path, text)] == expected
