"""The documentation as a site: it builds without a warning, no link or anchor is broken, and it asks no network."""

from __future__ import annotations

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
from tools.reference import COLUMNS, commands_page, find_examples, tables_page

import advgen
from advgen.cli import TOOLS
from advgen.core.catalog import FIGURES, TABLES, TASKS

ASIDE = {"genindex.html", "search.html", "py-modindex.html"}


class Page(HTMLParser):
    """The anchors and addresses of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        self.anchors |= {told[name] for name in ("id", "name") if told.get(name)}
        if tag == "a" and "href" in told:
            self.links.append(told["href"])
        if "src" in told:
            self.loaded.append(told["src"])
        if tag == "link" and told.get("rel") in ("stylesheet", "icon", "preload", "modulepreload"):
            self.loaded.append(told["href"])


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


def test_every_link_of_every_page_leads_somewhere(site: Path) -> None:
    pages = {path: Page(path) for path in site.rglob("*.html") if path.name not in ASIDE}
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


def test_every_page_stands_in_the_navigation(site: Path) -> None:
    listed = {
        (site / "docs" / unquote(urlsplit(address).path)).resolve()
        for address in Page(site / "docs/index.html").links
        if urlsplit(address).path
    }
    missing = {path for path in site.rglob("*.html") if path.name not in ASIDE and path.parent.name != "_modules"}
    missing -= {*listed, site / "index.html", site / "docs/index.html"}
    assert not missing, sorted(missing)


def test_diagrams_are_drawn(site: Path) -> None:
    for name in ("architecture", "rules"):
        text = (site / f"docs/{name}.html").read_text(encoding="utf-8")
        assert '<div class="diagram"><svg' in text and "var(--color-foreground-primary)" in text
        assert "flowchart" not in re.sub(r"<svg.*?</svg>", "", text, flags=re.DOTALL)


def test_the_site_shows_every_kind_of_figure_and_every_function(site: Path) -> None:
    gallery = (site / "docs/gallery.html").read_text(encoding="utf-8")
    assert all(f"{kind}.png" in gallery for kind in FIGURES)
    interface = Page(site / "docs/reference/python.html").anchors
    assert {f"advgen.{name}" for name in dir(advgen) if not name.startswith("_")} <= interface


def test_the_pictures_are_small() -> None:
    pictures = [*(ROOT / "docs/images").rglob("*.png")]
    assert sum(path.stat().st_size for path in pictures if path.parent.name == "gallery") < 1.5e6
    assert all(path.stat().st_size < 150_000 for path in pictures)


def test_every_environment_variable_is_told() -> None:
    sources = list((ROOT / "src").rglob("*.py"))
    read = {
        name for path in sources for name in re.findall(r"\bADVGEN_[A-Z_]*[A-Z]\b", path.read_text(encoding="utf-8"))
    }
    told = (ROOT / "docs/reference/environment.md").read_text(encoding="utf-8")
    assert len(read) > 5
    assert not {name for name in read if f"`{name}`" not in told}


def test_every_column_is_told_what_it_holds_and_none_that_is_not_there() -> None:
    assert not re.findall(r"^\| `\w+` \| [\w ]+ \|  \|$", tables_page(), flags=re.MULTILINE), "add it to columns.yaml"
    told = yaml.safe_load((ROOT / COLUMNS).read_text(encoding="utf-8"))
    there = {
        name for kind, table in TABLES.items() for column in table.columns for name in (column, f"{kind}.{column}")
    }
    assert not told.keys() - there


def test_every_table_of_attacks_says_what_rounding_leaves() -> None:
    """Or its column of what fools a net says why not. A comparison has an attack, too, where it is one of accuracy."""
    attacked = [kind for kind, table in TABLES.items() if "attack" in table.columns or kind == "comparison"]
    assert {"examples", "robustness", "transfer", "transferred", "convergence"} < set(attacked)
    told = yaml.safe_load((ROOT / COLUMNS).read_text(encoding="utf-8"))
    for kind in attacked:
        columns = TABLES[kind].columns
        assert any(name.endswith("_rounded") or "not rounded" in told.get(name, "") for name in columns), kind


def test_every_kind_of_figure_has_its_picture() -> None:
    assert (
        find_examples().keys() == FIGURES.keys() == {path.stem for path in (ROOT / "docs/images/gallery").glob("*.png")}
    )


def test_every_command_stands_on_its_page_with_its_arguments() -> None:
    page = commands_page()
    for name in TOOLS:
        assert f"\n## {name.replace('cv-', 'cv ')}\n" in page
    assert "| `--norm {linf,l2}` |" in page
    assert all(f"| `{name}` |" in page for name in TASKS if name not in TOOLS)


@pytest.mark.parametrize("page", sorted((ROOT / "docs/how-to").glob("*.md")), ids=lambda page: page.stem)
def test_what_pages_write_in_yaml_are_keys_of_a_study(page: Path) -> None:
    whole = schema()
    for block in re.findall(r"^```yaml\n(.*?)^```$", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE):
        for family, named in yaml.safe_load(block).items():
            jsonschema.validate(named, {"$defs": whole["$defs"], **whole["properties"][family]})
