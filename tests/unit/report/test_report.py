"""The report page is valid, self-contained HTML with every figure, caption, table and check."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
import zlib
from html.parser import HTMLParser

import pyarrow as pa
import pytest

from advgen.core.catalog import TABLES
from advgen.core.schema import REAL, REAL64
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
    figure = page.Figure("gan-samples", "Samples of *each* generator & more. Read them so.", png())
    table = page.Table("Robustness", pa.table({"source": ["a", "b"], "n": [1000, 1000]}), "results/tables/x.parquet")
    sections = [
        page.Section("Generative lab", "Samples", "Some *text*.", figures=[figure]),
        page.Section("Adversarial lab", "Samples", tables=[table]),
        page.Section("Generative lab", "More", figures=[page.Figure("b", "Two.", png(), "../x/b.pdf")]),
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
    assert not page.all("script")
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
    assert [t for t in targets if not t.startswith("#")] == ["../figures/gan-samples.pdf", "../x/b.pdf"]
    for _, attrs in page.tags:
        assert attrs.get("aria-labelledby", ids[0]) in ids


def test_groups_and_captions(html: str) -> None:
    assert re.findall(r"<h2[^>]*>([^<]*)", html) == [
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
    assert [page.status(check) for check in checks().to_pylist()] == ["passed", "failed", "warning"]
    for status in page.STATUSES:
        assert f"1 {status}" in html
    assert html.index("leaves the box") < html.index("undecided") < html.index("fine")


def test_same_twice_and_without_laws() -> None:
    assert page.render("t", [], STAMP) == page.render("t", [], STAMP)
    assert "Sanity checks" not in page.render("t", [], STAMP)


def test_cells() -> None:
    table = arrow_table(
        "robustness",
        {
            **dict.fromkeys(["source", "kind", "dataset", "defence", "access", "target", "loss", "inside"], "net"),
            **dict.fromkeys(["images", "parameters"], 1000),
            **dict.fromkeys(["success", "success_rounded", "median_l0", "median_linf"], 0.5),
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
    shown = page.cells(table)
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
    measured = page.cells(table, TABLES["robustness"].measured)
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
    assert page.cell(value) == text


def test_bad_parts_are_named() -> None:
    with pytest.raises(ValueError, match="not valid reStructuredText"):
        page.rst_html("A *broken caption.")
    with pytest.raises(ValueError, match="not valid reStructuredText"):
        page.rst_html(".. include:: /etc/passwd")
    with pytest.raises(ValueError, match="not valid reStructuredText"):
        page.rst_html(".. raw:: html\n\n   <script>alert(1)</script>")
    with pytest.raises(ValueError, match="no PNG"):
        page.picture(b"GIF89a")


def test_no_torch() -> None:
    code = "import sys, advgen.report.page; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_no_result_folds_away():
    """A real number in a table of the report is a result, or one of the settings that are named here."""
    settings = {"eps", "lr", "sigma", "step_size", "threshold"}
    for kind, table in TABLES.items():
        reals = {name for name, type_ in table.columns.items() if type_ in (REAL, REAL64) and table.title}
        results = {name for name in reals if not name.endswith(("_low", "_high")) and name not in ("low", "high")}
        assert results - settings - {*table.key, *table.hidden} <= {*table.measured}, kind
