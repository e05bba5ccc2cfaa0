"""The website builds without a warning, has no broken link or anchor, and loads nothing from the network."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import jsonschema
import pytest
import yaml
from tests.project import ROOT
from tools.config_reference import schema
from tools.reference import commands_page, find_examples

import advgen
from advgen.cli import TOOLS
from advgen.core.catalog import FIGURES, TABLES, TASKS

GENERATED_PAGES = {"genindex.html", "search.html", "py-modindex.html"}


class Page(HTMLParser):
    """The anchors and addresses of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if values.get(name)}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if "src" in values:
            self.loaded.append(values["src"])
        if tag == "link" and values.get("rel") in ("stylesheet", "icon", "preload", "modulepreload"):
            self.loaded.append(values["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    command = re.search(r"^docs-site:.*\n\tpython (.*) build/site$", makefile, flags=re.MULTILINE)
    assert command, "make docs-site no longer calls one command"
    words = command[1].replace("build/doctrees", str(folder / "doctrees")).split()
    result = subprocess.run(
        [sys.executable, *words, str(folder / "site")], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr[-4000:]
    return folder / "site"


def test_no_link_is_broken(site: Path) -> None:
    pages = {path: Page(path) for path in site.rglob("*.html") if path.name not in GENERATED_PAGES}
    assert {"README.html", "CONTRIBUTING.html", "CHANGELOG.html", "docs/index.html", "config/README.html"} <= {
        path.relative_to(site).as_posix() for path in pages
    }
    broken = []
    for path, page in pages.items():
        for address in [*page.links, *page.loaded]:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                broken.append(f"{path.relative_to(site)}: {address}")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                broken.append(f"{path.relative_to(site)}: {address} has no such anchor")
    assert not broken, broken[:20]


def test_no_page_loads_anything_from_the_network(site: Path) -> None:
    for path in site.rglob("*.html"):
        assert not [address for address in Page(path).loaded if urlsplit(address).netloc], path
    for path in site.rglob("*.css"):
        assert not re.search(r"@import|url\(['\"]?(?:https?:)?//", path.read_text(encoding="utf-8")), path


def test_every_page_is_in_the_navigation(site: Path) -> None:
    listed = {
        (site / "docs" / unquote(urlsplit(address).path)).resolve()
        for address in Page(site / "docs/index.html").links
        if urlsplit(address).path
    }
    missing = {
        path for path in site.rglob("*.html") if path.name not in GENERATED_PAGES and path.parent.name != "_modules"
    }
    missing -= {*listed, site / "index.html", site / "docs/index.html"}
    assert not missing, sorted(missing)


def test_diagrams_are_rendered(site: Path) -> None:
    for name in ("architecture", "rules"):
        text = (site / f"docs/{name}.html").read_text(encoding="utf-8")
        assert '<div class="diagram"><svg' in text and "var(--color-foreground-primary)" in text
        assert "flowchart" not in re.sub(r"<svg.*?</svg>", "", text, flags=re.DOTALL)


def test_the_site_shows_every_kind_of_figure_and_every_function(site: Path) -> None:
    gallery = (site / "docs/gallery.html").read_text(encoding="utf-8")
    assert all(f"{kind}.png" in gallery for kind in FIGURES)
    interface = Page(site / "docs/reference/python.html").anchors
    assert {f"advgen.{name}" for name in dir(advgen) if not name.startswith("_")} <= interface


def test_every_environment_variable_is_documented() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py")]
    names = {name for source in sources for name in re.findall(r"\bADVGEN_[A-Z_]*[A-Z]\b", source)}
    page = (ROOT / "docs/reference/environment.md").read_text(encoding="utf-8")
    assert len(names) > 5
    assert not {name for name in names if f"`{name}`" not in page}


def test_every_column_has_a_description() -> None:
    missing = [(kind, name) for kind, table in TABLES.items() for name in table.columns if not table.descriptions[name]]
    assert not missing, "add the description to the tables.yaml of its kind"


def test_every_table_of_attacks_has_a_rounded_accuracy() -> None:
    """Or its description says why not. A comparison of accuracies counts as a table of attacks, too."""
    attacked = [kind for kind, table in TABLES.items() if "attack" in table.columns or kind == "comparison"]
    assert {"examples", "robustness", "transfer", "transferred", "convergence"} < set(attacked)
    for kind in attacked:
        descriptions = TABLES[kind].descriptions.items()
        assert any(name.endswith("_rounded") or "not rounded" in text for name, text in descriptions), kind


def test_every_kind_of_figure_has_a_small_picture() -> None:
    pictures = [*(ROOT / "docs/images").rglob("*.png")]
    gallery = {path.stem: path.stat().st_size for path in pictures if path.parent.name == "gallery"}
    assert find_examples().keys() == FIGURES.keys() == gallery.keys()
    assert sum(gallery.values()) < 1.5e6
    assert all(path.stat().st_size < 150_000 for path in pictures)


def test_every_command_is_on_its_page_with_its_arguments() -> None:
    page = commands_page()
    for name in TOOLS:
        assert f"\n## {name.replace('cv-', 'cv ')}\n" in page
    assert "| `--norm {linf,l2}` |" in page
    assert all(f"| `{name}` |" in page for name in TASKS if name not in TOOLS)


@pytest.mark.parametrize("page", sorted((ROOT / "docs/how-to").glob("*.md")), ids=lambda page: page.stem)
def test_yaml_on_pages_is_valid(page: Path) -> None:
    whole = schema()
    for block in re.findall(r"^```yaml\n(.*?)^```$", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE):
        for family, named in yaml.safe_load(block).items():
            jsonschema.validate(named, {"$defs": whole["$defs"], **whole["properties"][family]})
