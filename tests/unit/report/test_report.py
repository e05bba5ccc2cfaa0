"""The report page is valid, self-contained HTML with every figure, caption, table and check."""

import base64
import io
import re
import struct
import subprocess
import sys
import zlib
from html.parser import HTMLParser

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from advgen.core.catalog import TABLES
from advgen.io.tables import arrow_table
from advgen.report import page

STAMP = "advgen:eyJhIjoxfQ=="
VOID = {"meta", "img", "br", "link", "hr", "input", "col"}


def png(width: int = 4, height: int = 2) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return page.PNG + head + chunk(b"IDAT", zlib.compress(b"\0" * (height * (width + 1)))) + chunk(b"IEND", b"")


def checks() -> pa.Table:
    return arrow_table(
        "sanity_checks",
        {
            "check": ["ball", "box", "order"],
            "subject": ["a <b>", "b", "c"],
            "kind": ["check", "check", "warning"],
            "holds": [True, False, False],
            "n": [200, 1000, None],
            "estimate": None,
            "low": None,
            "high": None,
            "detail": ["fine", "leaves the box", "undecided"],
        },
    )


class Page(HTMLParser):
    """Tags with their attributes; complains about tags that do not match."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture
def html() -> str:
    figure = page.Figure(
        "gan-samples",
        "Samples of *each* generator & more. Read them so.",
        png(),
        dark=png(),
        title="Samples <of> the generators",
        sentence="It covers 10 classes & more.",
        rows=pa.table({"gan": ["a", "b"], "share": [0.5, 0.25], "share_low": [0.4, 0.2], "share_high": [0.6, 0.3]}),
        definition="figures:\n  gan-samples: {kind: gan_samples}\n",
        command="snakemake --cores 1 results/figures/gan-samples.png",
        inputs={"results/gans/a/samples.parquet": "0123456789ab" + 52 * "c"},
        explorer={"about": "</script><b>"},
        checks=page.select_checks(checks().to_pylist(), ["b", "c"]),
    )
    table = page.Table("Robustness", pa.table({"source": ["a", "b"], "n": [1000, 1000]}), "results/tables/x.parquet")
    sections = [
        page.Section("Generative lab", "Samples", "Some *text*.", figures=[figure]),
        page.Section("Adversarial lab", "Samples", tables=[table]),
        page.Section("Generative lab", "More", figures=[page.Figure("b", "Two.", png(), "../x/b.pdf")]),
        page.Section(
            "Adversarial lab", "Gone", figures=[page.Figure("gone", "Three.", None, command="snakemake gone")]
        ),
    ]
    return page.render("A <title>", sections, STAMP, checks(), {"torch": "2.14.1"})


def test_page_is_whole_and_self_contained(html: str) -> None:
    page = Page(html)
    assert {"name": "advgen", "content": STAMP} in page.all("meta")
    for attrs in page.all("img"):
        assert str(attrs["src"]).startswith("data:image/png;base64,")
        assert attrs["alt"]
        assert attrs["loading"] == "lazy"
        assert (attrs["width"], attrs["height"]) == ("4", "2")
    assert {attrs.get("type") for attrs in page.all("script")} == {None, "application/json"}
    assert not any("src" in attrs for attrs in page.all("script"))
    assert not page.all("link")
    assert not re.search(r"(src|href|url\()=?[\"']?(https?:)?//", html)
    assert "A &lt;title&gt;" in html
    assert "a &lt;b&gt;" in html


def test_links_lead_somewhere(html: str) -> None:
    page = Page(html)
    ids = [str(attrs["id"]) for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    targets = [str(attrs["href"]) for attrs in page.all("a")]
    assert {target[1:] for target in targets if target.startswith("#")} <= set(ids)
    files = [target for target in targets if not target.startswith(("#", "data:"))]
    assert files == ["../figures/gan-samples.pdf", "../figures/gan-samples.png", "../x/b.pdf"]
    for _, attrs in page.tags:
        assert attrs.get("aria-labelledby", ids[0]) in ids


def test_groups_and_captions(html: str) -> None:
    assert re.findall(r"<h2[^>]*>([^<]*)", html) == [
        "Findings",
        "Generative lab",
        "Adversarial lab",
        "Sanity checks",
        "Provenance",
    ]
    assert html.index("More</h3>") < html.index("Adversarial lab</h2>")
    assert "<em>each</em>" in html
    assert 'alt="Samples of each generator &amp; more."' in html
    assert "In every row: n <strong>1,000</strong>" in html


def test_laws(html: str) -> None:
    assert [page.check_status(check) for check in checks().to_pylist()] == ["passed", "failed", "warning"]
    for status in page.STATUSES:
        assert f"1 {status}" in html
    listed = html[html.index('id="checks"') :]
    assert listed.index("leaves the box") < listed.index("undecided") < listed.index("fine")


def test_what_was_found_comes_first(html: str) -> None:
    first = html[html.index('id="findings"') : html.index('id="generative-lab"')]
    assert "Samples &lt;of&gt; the generators" in first
    assert "It covers 10 classes &amp; more." in first
    assert "check failed" in first  # that the box holds is a check on what it shows
    assert "missing" in first


def test_a_figure_says_how_it_is_made(html: str) -> None:
    its = html[html.index('id="figure-gan-samples"') : html.index('id="figure-b"')]
    for text in ("gan-samples: {kind: gan_samples}", "snakemake --cores 1 results/figures/gan-samples.png"):
        assert text in its
    assert ">0123456789ab<" in its
    assert "leaves the box" in its and "undecided" in its and "fine" not in its
    assert "0.500 [0.400, 0.600]" in its
    assert "</script><b>" not in its  # as data cannot end the element that it stands in


def test_a_figure_that_was_not_made_is_told(html: str) -> None:
    its = html[html.index('id="figure-gone"') :]
    assert "snakemake gone" in its
    assert "<img" not in its


@pytest.mark.parametrize(
    ("subject", "concerned"),
    [
        ("pgd on cnn seed 0", True),
        ("fgsm + pgd against noise on cnn seed 3", True),
        ("cnn seed 0", True),
        ("square with dcgan seed 0 in restore", False),
        ("lbfgs on cnn seed 0", False),
        ("pgd on fc100 seed 0", False),
    ],
)
def test_a_check_concerns_what_shows_all_that_it_names(subject: str, concerned: bool) -> None:
    found = page.select_checks([{"subject": subject}], ["cnn", "pgd", "fgsm", "noise", "linf"])
    assert bool(found) == concerned


def test_downloads_are_the_table(html: str) -> None:
    its = re.findall(r'download="x\.(csv|parquet)" href="data:[^,]*,([^"]*)"', html)
    files = {kind: base64.b64decode(content) for kind, content in its}
    assert files["csv"].decode() == '"source","n"\n"a",1000\n"b",1000\n'
    assert pq.read_table(io.BytesIO(files["parquet"])).to_pylist() == [
        {"source": "a", "n": 1000},
        {"source": "b", "n": 1000},
    ]


def test_same_twice_and_without_laws() -> None:
    assert page.render("t", [], STAMP) == page.render("t", [], STAMP)
    assert "Sanity checks" not in page.render("t", [], STAMP)


def test_cells() -> None:
    table = arrow_table(
        "robustness",
        {
            **dict.fromkeys(
                ["source", "kind", "dataset", "tested_on", "defence", "access", "target", "loss", "inside"], "net"
            ),
            **dict.fromkeys(["images", "parameters"], 1000),
            **dict.fromkeys(
                ["success", "success_rounded", "success_unaimed", "success_target", "success_target_unaimed"], 0.5
            ),
            **dict.fromkeys(["median_l0", "median_linf"], 0.5),
            **dict.fromkeys(["zero_gradients", "gradient_calls", "forward_calls"], 0.0),
            "attack": ["fgsm", "pgd"],
            **{
                "source_seed": 0,
                "norm": "linf",
                "eps": 0.25,
                "steps": [1, 40],
                "restarts": 1,
                "step_size": [0.25, 0.01],
            },
            **{"n": 1000, "clean_accuracy": 0.99, "accuracy": [0.5, 0.0]},
            **{"accuracy_low": [0.45, 0.0], "accuracy_high": [0.55, 0.004]},
            **{"confidence_on_mistakes": [0.5, float("nan")], "median_l2": [1.5, 2.5], "mean_rms": [0.1, 0.2]},
        },
    )
    shown = page.format_table(table)
    heads = [name for name, _ in shown.heads]
    assert heads == [
        "source",
        "attack",
        "steps",
        "step size",
        "accuracy",
        "confidence on mistakes",
        "median L2",
        "mean RMS",
    ]
    first = dict(zip(heads, shown.rows[0], strict=True))
    assert first["accuracy"] == "0.500 [0.450, 0.550]"
    assert first["steps"] == "1"
    assert shown.rows[1][heads.index("confidence on mistakes")] == "–"
    assert ("n", "1,000") in shown.same
    assert ("eps", "0.250") in shown.same
    # what was measured stays beside the rest, though it is the same in all rows
    assert ("clean accuracy", "0.990") in shown.same
    measured = page.format_table(table, TABLES["robustness"].measured)
    assert "clean accuracy" in dict(measured.heads) and "success" in dict(measured.heads)
    assert ("eps", "0.250") in measured.same
    assert dict(shown.heads)["accuracy"]
    assert not dict(shown.heads)["attack"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "yes"),
        (None, "–"),
        (12345, "12,345"),
        (0.0, "0"),
        (1234.5, "1,234"),
        (1e-9, "1.00e-09"),
        ("ab" * 32, "abababababab…"),
    ],
)
def test_cell(value: object, text: str) -> None:
    assert page.format_cell(value) == text


def test_bad_parts_are_named() -> None:
    with pytest.raises(ValueError, match="not valid reStructuredText"):
        page.rst_to_html("A *broken caption.")
    with pytest.raises(ValueError, match="not valid reStructuredText"):
        page.rst_to_html(".. include:: /etc/passwd")
    with pytest.raises(ValueError, match="not valid reStructuredText"):
        page.rst_to_html(".. raw:: html\n\n   <script>alert(1)</script>")
    with pytest.raises(ValueError, match="not a PNG"):
        page.embed_png(b"GIF89a")


def test_no_torch() -> None:
    code = "import sys, advgen.report.page; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_no_result_folds_away():
    """A real number in a table of the report is a result, or one of the settings that are named here."""
    settings = {"eps", "lr", "sigma", "step_size", "threshold"}
    for kind, table in TABLES.items():
        reals = {name for name, type_ in table.columns.items() if type_ in ("float32", "float64") and table.title}
        results = {name for name in reals if not name.endswith(("_low", "_high")) and name not in ("low", "high")}
        assert results - settings - {*table.key, *table.hidden} <= {*table.measured}, kind
