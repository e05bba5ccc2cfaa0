"""Every registered figure is drawn from synthetic tables: right size, not blank, reproducible, without torch."""

import base64
import hashlib
import importlib
import io
import json
import os
import re
import subprocess
import sys
import zlib
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pyarrow as pa
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text
from tests.fake_tables import fake_specs, fake_tables

from advgen import registry
from advgen.figures.findings import to_json_rows
from advgen.figures.formatting import format_number
from advgen.figures.layout import Page
from advgen.figures.statistics import running_mean
from advgen.figures.style import DARK_PAPER, darken, save_figure, style_sheet
from advgen.figures.text import text_width, wrap_text
from advgen.outcomes.figures.outcome import caption_file
from advgen.report.page import first_sentence, rst_to_html

ROOT = Path(__file__).parents[2]
STAMP = "advgen:eyJjb21tYW5kIjoiZHJhdyJ9-_=="
KINDS = registry.kinds("figures")
SPECS = {kind: dict(fake_specs(cls)) for kind, cls in KINDS.items()}  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def fakes() -> dict[str, pa.Table]:
    return fake_tables()


@pytest.fixture(scope="module")
def colourful() -> dict[str, pa.Table]:
    return fake_tables(shape=(3, 8, 8))


def to_files(figure: Figure) -> tuple[bytes, bytes]:
    """Return the figure's PDF and PNG."""
    pdf, png = io.BytesIO(), io.BytesIO()
    save_figure(figure, pdf, png, STAMP)
    return pdf.getvalue(), png.getvalue()


DRAW = f"""
import hashlib, io, sys
from tests.fake_tables import fake_specs, fake_tables
from advgen import registry
from advgen.figures.style import save_figure
tables = fake_tables()
for kind, cls in registry.kinds("figures").items():
    spec, pdf, png = dict(fake_specs(cls))["full"], io.BytesIO(), io.BytesIO()
    save_figure(registry.resolve(spec)(tables, spec), pdf, png, {STAMP!r})
    print(kind, *(hashlib.sha256(file.getvalue()).hexdigest() for file in (pdf, png)))
assert not {{"torch", "matplotlib.pyplot"}} & set(sys.modules), "torch or pyplot was imported"
"""


@pytest.fixture(scope="module")
def digests_of_another_process() -> dict[str, list[str]]:
    """Return digests of each figure's files from another process, without torch and with another hash seed."""
    here = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", "PYTHONHASHSEED": "2"}
    done = subprocess.run([sys.executable, "-c", DRAW], env=here, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {kind: digests for kind, *digests in map(str.split, done.stdout.splitlines())}


def draw_layout(figure: Figure) -> Figure:
    """Return the figure after matplotlib has computed its layout."""
    FigureCanvasAgg(figure)
    with style_sheet():
        figure.draw_without_rendering()
    return figure


def overlapping_ticks(figure: Figure) -> list[tuple[str, str]]:
    """Return pairs of tick labels that overlap."""
    found = []
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [
                label
                for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]
                for label in (tick.label1, tick.label2)
                if low <= tick.get_loc() <= high and label.get_visible() and label.get_text()
            ]
            boxes = sorted(
                ((tick.get_window_extent(), tick.get_text()) for tick in ticks), key=lambda one: one[0].x0 + one[0].y0
            )
            found += [(a[1], b[1]) for a, b in pairwise(boxes) if a[0].overlaps(b[0])]
    return found


def check_layout(figure: Figure) -> None:
    """Check that the axes are inside the figure and that tick labels do not overlap."""
    assert all(0 <= edge <= 1 for axes in figure.axes for edge in axes.get_position().extents)
    assert not overlapping_ticks(figure)


def check_nothing_is_cut_off(figure: Figure) -> None:
    """Check that all content is inside the figure."""
    content = figure.get_tightbbox()
    assert min(content.x0, content.y0) >= -0.01
    assert content.x1 <= figure.get_figwidth() + 0.01
    assert content.y1 <= figure.get_figheight() + 0.01
    check_layout(figure)


@pytest.mark.parametrize("kind", KINDS)
def test_files_are_reproducible_and_no_text_is_cut_off(
    kind: str, fakes: dict[str, pa.Table], digests_of_another_process: dict[str, list[str]]
) -> None:
    spec = SPECS[kind]["full"]
    figure = registry.resolve(spec)(fakes, spec)
    pdf, png = to_files(figure)
    assert [hashlib.sha256(file).hexdigest() for file in (pdf, png)] == digests_of_another_process[kind]
    pixels = imread(io.BytesIO(png))
    assert abs(pixels.shape[1] - spec.width_mm / 25.4 * 200) <= 1
    assert pixels[..., :3].var() > 1e-3
    assert re.findall(rb"advgen:[\w=-]+", pdf) == [STAMP.encode()]
    assert re.findall(rb"tEXtadvgen\0(advgen:[\w=-]+=)", png) == [STAMP.encode()]
    assert b"CreationDate" not in pdf
    assert b"/Type3" not in pdf
    fonts = [
        zlib.decompress(font) for font in re.findall(rb"/Length1[^>]*>>\s*stream\n(.*?)\nendstream", pdf, re.DOTALL)
    ]
    assert fonts and not any(table in font[:400] for font in fonts for table in (b"GDEF", b"GPOS", b"GSUB"))
    check_nothing_is_cut_off(draw_layout(figure))


@pytest.mark.parametrize("kind", KINDS)
def test_no_text_is_cut_off_in_a_minimal_figure(kind: str, fakes: dict[str, pa.Table]) -> None:
    spec = SPECS[kind]["minimal"]
    check_nothing_is_cut_off(draw_layout(registry.resolve(spec)(fakes, spec)))


@pytest.mark.parametrize(("width", "which"), [(60, ("minimal", "full")), (400, ("full",))])
@pytest.mark.parametrize("kind", KINDS)
def test_any_width(kind: str, width: float, which: tuple[str, ...], fakes: dict[str, pa.Table]) -> None:
    for spec in map(SPECS[kind].__getitem__, which):
        wide = spec.model_copy(update={"width_mm": width})
        figure = draw_layout(registry.resolve(wide)(fakes, wide))
        assert figure.get_figwidth() == pytest.approx(width / 25.4)
        check_layout(figure)


@pytest.mark.parametrize(
    ("low", "ratio"),
    [
        (1.0, 1.0),
        (240.0, 1.2),
        (1.0, 1.9),
        (240.0, 2.9),
        (1.0, 5.0),
        (240.0, 9.0),
        (1.0, 11.0),
        (240.0, 90.0),
        (1.0, 1000.0),
    ],
)
def test_tick_labels_do_not_overlap_for_any_range_of_distances(
    low: float, ratio: float, fakes: dict[str, pa.Table]
) -> None:
    table = fakes["gan_quality"]
    frechet_distance = low * ratio ** np.linspace(0, 1, len(table))
    table = table.set_column(
        table.column_names.index("frechet_distance"), "frechet_distance", pa.array(frechet_distance)
    )
    for spec in SPECS["gan_comparison"].values():
        for width in (60, 180):
            spec = spec.model_copy(update={"width_mm": width})
            figure = registry.resolve(spec)({**fakes, "gan_quality": table}, spec)
            assert not overlapping_ticks(draw_layout(figure))


@pytest.mark.parametrize("epochs", [0.03, 0.6, 1.2, 16, 500])
def test_tick_labels_do_not_overlap_for_any_number_of_epochs(epochs: float, fakes: dict[str, pa.Table]) -> None:
    table = fakes["gan_history"]
    epoch = np.array(table["epoch"]) * epochs / max(table["epoch"].to_pylist())
    table = table.set_column(table.column_names.index("epoch"), "epoch", pa.array(epoch))
    for spec in SPECS["loss_curves"].values():
        figure = registry.resolve(spec)({**fakes, "gan_history": table}, spec)
        assert not overlapping_ticks(draw_layout(figure))


@pytest.mark.parametrize("kind", KINDS)
def test_finding(kind: str, fakes: dict[str, pa.Table]) -> None:
    for spec in SPECS[kind].values():
        module = importlib.import_module(registry.target(spec).split(":")[0])
        finding = module.finding(fakes, spec)
        assert finding.title != kind and finding.title[0].isupper()
        assert re.search(r"\d", finding.sentence) and finding.sentence.endswith(".")
        assert not re.search(r"nan|None|  |\bn = 0\b", finding.sentence)
        assert len(finding.sentence) < 900
        rows = json.loads(json.dumps(to_json_rows(finding.rows), allow_nan=False))
        assert rows and len({tuple(row) for row in rows}) <= 2  # an interval may be missing, a name may not
        if hasattr(module, "explorer"):
            check_explorer(module.explorer(fakes, spec).to_json())


@pytest.mark.parametrize(
    "kind", [kind for kind, specs in SPECS.items() if any(need.family == "attacks" for need in specs["full"].needs())]
)
def test_finding_of_models_at_chance(kind: str, fakes: dict[str, pa.Table]) -> None:
    examples = fakes["examples"]
    place, column = examples.column_names.index("predicted_clean"), examples.column("predicted_clean")
    constant = examples.set_column(place, "predicted_clean", pa.array([0] * len(column), column.type))
    spec = SPECS[kind]["full"]
    module = importlib.import_module(registry.target(spec).split(":")[0])
    assert module.finding({**fakes, "examples": constant}, spec).sentence.endswith(".")


def check_explorer(packed: dict[str, Any]) -> None:
    """Check that every combination of options has images, and that the strips differ."""
    sheet = imread(io.BytesIO(base64.b64decode(packed["sheet"])))
    height, width = packed["size"]
    assert sheet.shape[:2] == (packed["down"] * height, packed["across"] * width)
    stops = product(*(range(len(choice["stops"])) for choice in packed["choices"]))
    assert {",".join(map(str, one)) for one in stops} == set(packed["strips"])
    for strip in packed["strips"].values():
        assert strip
        assert all(0 <= place < packed["across"] * packed["down"] for place, _, _ in strip)
        assert all(words for _, words, _ in strip)
    assert len({str(strip) for strip in packed["strips"].values()}) > 1


def luminance(colour: Any) -> float:
    """Return the relative luminance of a colour, for contrast ratios."""
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in colour]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


@pytest.mark.parametrize("kind", KINDS)
def test_colour_images_and_dark_paper(kind: str, colourful: dict[str, pa.Table]) -> None:
    paper = luminance(to_rgb(DARK_PAPER)) + 0.05
    for spec in SPECS[kind].values():
        figure = registry.resolve(spec)(colourful, spec)
        assert figure.axes
        darken(figure)
        assert to_rgb(figure.get_facecolor()) == to_rgb(DARK_PAPER)
        with style_sheet():  # The number of ticks depends on its font size.
            check_dark(draw_layout(figure), paper)


def check_dark(figure: Figure, paper: float) -> None:
    """Check the contrast of text with the paper; its background and the grid have low contrast."""
    for text in figure.findobj(Text):
        if text.get_text() and text.get_gid() is None:
            assert (luminance(to_rgb(text.get_color())) + 0.05) / paper > 4.5, text.get_text()
            backing = text.get_bbox_patch()
            assert backing is None or luminance(to_rgb(backing.get_facecolor())) + 0.05 < 1.1 * paper
    for axes in figure.axes:
        for line in (*axes.get_xgridlines(), *axes.get_ygridlines()):
            assert luminance(to_rgb(line.get_color())) < 0.1


def test_all_ticks_are_dark() -> None:
    with style_sheet():
        page = Page(60, 50)
        page.axes(13, 5, 40, 40).set_ylim(0, 0.18)
    to_files(page.figure)  # creates all ticks, as a job does
    darken(page.figure)
    with style_sheet():
        figure = draw_layout(page.figure)
        assert len([tick for tick in figure.axes[0].get_yticks() if tick <= 0.18]) > 6
        check_dark(figure, luminance(to_rgb(DARK_PAPER)) + 0.05)


def test_matplotlib_settings_of_the_user_have_no_effect(fakes: dict[str, pa.Table]) -> None:
    spec = SPECS["robustness"]["minimal"]
    draw = registry.resolve(spec)
    before = to_files(draw(fakes, spec))
    with matplotlib.rc_context({"font.size": 30, "axes.grid": False, "savefig.dpi": 50, "pdf.fonttype": 3}):
        assert to_files(draw(fakes, spec)) == before


@pytest.mark.parametrize("kind", KINDS)
def test_caption(kind: str) -> None:
    text = Path(caption_file(SPECS[kind]["full"])).read_text(encoding="utf-8")
    assert rst_to_html(text).startswith("<p>")
    assert 20 < len(first_sentence(text)) < 250
    # Snakemake's report reads captions as Jinja templates.
    assert not re.search(r"{[{%#]", text)


def test_no_caption_without_a_figure() -> None:
    assert {path.stem for path in (ROOT / "src/advgen").rglob("*.rst")} == {*KINDS}


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1339.4, "1,339"), (73, "73.0"), (0.0123, "0.0123"), (2.345e-8, "2.35e-08"), (-0.5, "-0.500")],
)
def test_number(value: float, text: str) -> None:
    assert format_number(value) == text


def test_wrapped_lines_fit() -> None:
    lines = wrap_text("a classifier-with-a-long-name under attack", 20)
    assert "".join(lines).replace(" ", "") == "aclassifier-with-a-long-nameunderattack"
    assert len(lines) > 1
    assert all(text_width(line, 6.5) <= 20.01 for line in lines)


def test_running_mean_keeps_its_ends() -> None:
    values = np.arange(10.0)
    np.testing.assert_allclose(running_mean(values, 3)[1:-1], values[1:-1])
    np.testing.assert_allclose(running_mean(np.ones(5), 99), 1)
