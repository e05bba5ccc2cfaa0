import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advgen.cv import inline, renderers

from .reading import Tags

HOSTILE = [
    r"\input{/etc/passwd}",
    r"\write18{true} $x$ % cut",
    '#read("/etc/passwd") #let x = 1 $y$ @label <tag>',
    "<script>alert('x')</script> &amp; \"q\"",
    "]] }} {{ <% x %> << y >> {# #}",
    "` ``code`` ~~strike~~ | a | b |",
    "![img](x) <https://x.example.org> &lt;b&gt;",
    "a -- b --- c ,, '' `` ?` !` << >>",
    "# heading",
    "- item",
    "1. item",
    "=====",
    "{}[]()^~_\\",
]


@pytest.mark.parametrize(
    ("text", "nodes"),
    [
        ("plain", ["plain"]),
        ("*a* b", [{"em": ["a"]}, " b"]),
        ("**a *b* c**", [{"strong": ["a ", {"em": ["b"]}, " c"]}]),
        ("Ann*, Bo* and 5*3*2", ["Ann*, Bo* and 5*3*2"]),
        ("2 * 3 * 4", ["2 * 3 * 4"]),
        (r"\*a\* \[b](c) \\d", ["*a* [b](c) \\d"]),
        ("[a](https://e.org/x_(y))", [{"link": ["a"], "url": "https://e.org/x_(y)"}]),
        ("[*a*](mailto:a@e.org)", [{"link": [{"em": ["a"]}], "url": "mailto:a@e.org"}]),
        ("[a] (b)", ["[a] (b)"]),
        (" a\n  b\t c ", ["a b c"]),
        ("**a", ["**a"]),
        ("", []),
    ],
)
def test_parse(text: str, nodes: list[inline.Node]):
    assert inline.parse(text) == nodes


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:x",
        "data:text/html,x",
        "/etc/passwd",
        "x",
        "",
        "//e.org",
        "https://",
        "file:///x",
    ],
)
def test_links_that_are_refused(url: str):
    with pytest.raises(ValueError, match="not a web address"):
        inline.parse(f"[x]({url})")
    for renderer in (renderers.HTML, renderers.MARKDOWN, renderers.LATEX):
        with pytest.raises(ValueError, match="not a web address"):
            renderer([{"link": ["x"], "url": url}])


@given(st.text())
def test_escaped_text_is_plain_text(text: str):
    nodes = inline.parse(inline.escape(text))
    assert "".join(map(str, nodes)) == " ".join(text.split())


@given(st.text(alphabet="ab *[]()\\_`#<&"))
def test_parsing_never_loses_a_letter(text: str):
    # Where a link could begin, its address leaves the text or is refused.
    if "](" not in text:
        assert re.findall("[ab]", inline.plain_text(inline.parse(text))) == re.findall("[ab]", text)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text_in_html(text: str):
    shown = Tags(str(renderers.HTML([text])))
    assert shown.tags == []
    assert shown.text == text


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text_in_markdown(text: str):
    markdown = pytest.importorskip("markdown_it").MarkdownIt("commonmark").enable(["table", "strikethrough"])
    for wrapped in (str(renderers.MARKDOWN([text])), f"- {renderers.MARKDOWN([text])}"):
        shown = Tags(markdown.render(wrapped))
        assert set(shown.tags) <= {"p", "ul", "li"}
        assert shown.text.strip() == text


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text_in_latex(text: str):
    shown = str(renderers.LATEX([text]))
    commands = set(re.findall(r"\\[A-Za-z]+", shown))
    assert commands <= {
        r"\textbackslash", r"\textasciicircum", r"\textasciitilde", r"\textless", r"\textgreater", r"\textbar",
        r"\textquotedbl", r"\textasciigrave", r"\textquotesingle",
    }  # fmt: skip
    assert not re.search(r"(?<!\\)[%#&_$~^]", shown)
    bare = re.sub(r"\\.", "", shown)
    assert bare.count("{") == bare.count("}")
    assert not re.search(r"--|,,|''|<<|>>|[?!]`", shown)


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("Zoë Łuk", r"Zo{\"e} {\L}uk"),
        ("ễ", r"\cvsign{1EC5}{{\~{\^{e}}}}"),
        ("e\u0301", r"{\'e}"),
        ("★", r"\cvsign{2605}{$\star$}"),
        ("∞", r"\cvsign{221E}{{\ensuremath{\infty}}}"),
        ("李", "李"),
    ],
)
def test_latex_characters(text: str, latex: str):
    assert renderers.LATEX([text]) == latex


@pytest.mark.parametrize(
    ("renderer", "shown"),
    [
        (renderers.HTML, '<a href="https://e.org/a_(b)?x=1&amp;y=%25"><strong>A*</strong></a>'),
        (renderers.MARKDOWN, "[**A\\***](<https://e.org/a_(b)?x=1&y=%25>)"),
        (renderers.LATEX, r"\href{https://e.org/a\_(b)?x=1\&y=\%25}{\textbf{A*}}"),
    ],
)
def test_links(renderer: renderers.Renderer, shown: str):
    assert renderer([{"link": [{"strong": ["A*"]}], "url": "https://e.org/a_(b)?x=1&y=%25"}]) == shown
