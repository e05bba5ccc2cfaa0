"""The CV's page and the report in a real browser: accessible, on a phone, in the dark, and printed."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.browser.conftest import VIEWS, Browser
from tests.fake_tables import fake_specs, fake_tables

from advgen import registry
from advgen.cv.build import build
from advgen.cv.formats import render
from advgen.figures import common
from advgen.report import page

ROOT = Path(__file__).parents[2]
STAMP = "eyJhIjoxfQ=="


def drawn(kind: str) -> bytes:
    """A figure of synthetic tables."""
    spec = dict(fake_specs(registry.kinds("figures")[kind]))["full"]  # type: ignore[arg-type]
    png = io.BytesIO()
    common.save(registry.resolve(spec)(fake_tables(), spec), io.BytesIO(), png, f"advgen:{STAMP}")
    return png.getvalue()


def cv(sources: Path, figures: dict[str, Path], theme: str = "classic") -> str:
    files = [sources / name for name in ("profile.yaml", "publications.bib", "metrics.yaml")]
    made = build(files[0], files[1], files[2], lambda reference: 0.4137)
    return render("html", {**made, "theme": theme}, figures, STAMP).decode()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The example's CV in each theme, a long one, and a report."""
    folder = tmp_path_factory.mktemp("pages")
    picture = drawn("transfer_matrix")
    (folder / "transfer.png").write_bytes(picture)
    tables = fake_tables()
    figure = page.Figure("transfer", "A matrix.", picture)
    sections = [
        page.Section("Adversarial lab", "Transfer", "What *moves*.", [figure]),
        page.Section("Adversarial lab", "Tables", tables=[page.Table("Transfer", tables["transfer"], "x.parquet")]),
        page.Section("Generative lab", "Inpainting", tables=[page.Table("Errors", tables["inpainting_summary"])]),
    ]
    html = {
        "example": cv(ROOT / "config/cv", {"transfer": folder / "transfer.png"}),
        "academic": cv(ROOT / "config/cv", {"transfer": folder / "transfer.png"}, "academic"),
        "compact": cv(ROOT / "config/cv", {"transfer": folder / "transfer.png"}, "compact"),
        "long": cv(ROOT / "tests/unit/cv/fixture", {}),
        "report": page.render("A study", sections, f"advgen:{STAMP}", tables["sanity_checks"], {"torch": "2"}),
    }
    for name, text in html.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in html}


NAMES = ("example", "academic", "compact", "long", "report")


@pytest.fixture(scope="module")
def seen(browser: Browser, pages: dict[str, Path]) -> dict[str, dict[str, dict[str, Any]]]:
    return {name: browser.look(page) for name, page in pages.items()}


@pytest.mark.parametrize("view", [view for view, _, _ in VIEWS])
@pytest.mark.parametrize("page", NAMES)
def test_no_serious_finding(seen: dict[str, dict[str, dict[str, Any]]], page: str, view: str) -> None:
    answer = seen[page][view]
    serious = [finding for finding in answer["violations"] if finding["impact"] in ("serious", "critical")]
    assert serious == []
    assert answer["rules"] > 15


@pytest.mark.parametrize("view", [view for view, _, _ in VIEWS])
@pytest.mark.parametrize("page", NAMES)
def test_fits_and_stands_alone(seen: dict[str, dict[str, dict[str, Any]]], page: str, view: str) -> None:
    answer = seen[page][view]
    assert answer["scrollWidth"] <= answer["innerWidth"], "the page scrolls sideways"
    assert answer["fontSize"] >= 15
    assert answer["requests"] == []
    assert answer["broken"] == 0


@pytest.mark.parametrize("page", NAMES)
def test_light_and_dark(seen: dict[str, dict[str, dict[str, Any]]], page: str) -> None:
    def brightness(view: str) -> float:
        numbers = re.findall(r"[\d.]+", seen[page][view]["background"])
        return sum(map(float, numbers[:3])) / 3

    assert brightness("desktop light") > 225
    assert brightness("desktop dark") < 60


@pytest.mark.parametrize("page", NAMES)
def test_printing(browser: Browser, pages: dict[str, Path], page: str) -> None:
    printed = browser.print(pages[page])
    assert printed.read_bytes().startswith(b"%PDF")
    if not shutil.which("pdftotext"):
        pytest.skip("needs pdftotext (poppler-utils)")
    done = subprocess.run(["pdftotext", "-layout", printed, "-"], capture_output=True, text=True, check=True)
    pages_, text = done.stdout.count("\f"), done.stdout
    assert pages_ <= 12
    if page == "long":
        assert "Michal Rolínek" in text
        # the buttons are not printed; a title has the word, which other fonts break elsewhere
        assert "BibTeX" not in text.replace("YAML/BibTeX", "")
    # nothing stands alone on the last page but a line or two
    assert all(len(part.split()) > 5 for part in text.split("\f")[:-1])
