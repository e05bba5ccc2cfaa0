"""The CV's page and the report in a real browser: accessible, on a phone, in the dark, and printed."""

import base64
import importlib
import io
import itertools
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.browser.conftest import VIEWS, Browser
from tests.fake_tables import fake_specs, fake_tables
from tests.unit.test_leaderboard import attack, study

from advgen import registry
from advgen.commands.leaderboard import render_page
from advgen.commands.leaderboard_entries import read_entries
from advgen.cv.build import build
from advgen.cv.formats import render
from advgen.figures.findings import to_json_rows
from advgen.figures.style import darken, save_figure
from advgen.files.provenance import Stamp
from advgen.report import page

ROOT = Path(__file__).parents[2]
STAMP = "eyJhIjoxfQ=="


def drawn(kind: str) -> page.Figure:
    """A figure of synthetic tables with all its parts."""
    spec, tables = dict(fake_specs(registry.kinds("figures")[kind]))["full"], fake_tables()  # type: ignore[arg-type]
    figure, module = registry.resolve(spec)(tables, spec), importlib.import_module(registry.target(spec).split(":")[0])
    light, dark = io.BytesIO(), io.BytesIO()
    save_figure(figure, None, light, f"advgen:{STAMP}")
    save_figure(darken(figure), None, dark, f"advgen:{STAMP}")
    finding = module.finding(tables, spec)
    return page.Figure(
        kind,
        "A picture.",
        light.getvalue(),
        dark=dark.getvalue(),
        title=finding.title,
        sentence=finding.sentence,
        rows=pa.Table.from_pylist(to_json_rows(finding.rows)),
        definition=f"figures:\n  {kind}: {{kind: {kind}}}\n",
        command=f"snakemake --cores 1 results/figures/{kind}.png",
        inputs={"results/tables/x.parquet": "0123456789abcdef" * 4},
        explorer=module.explorer(tables, spec).to_json(),
        checks=tables["sanity_checks"].to_pylist()[:1],
    )


EXPLORED = (
    *("transfer_matrix", "inpainting_gallery", "interpolation_strips"),
    *("inversion_gallery", "gan_samples", "accuracy_curves"),
)
"""Figures with images to look through: one for each way to do so."""


def cv(sources: Path, figures: dict[str, Path], theme: str = "classic") -> str:
    files = [sources / name for name in ("profile.yaml", "publications.bib", "metrics.yaml")]
    made = build(files[0], files[1], files[2], lambda reference: 0.4137)
    return render("html", {**made, "theme": theme}, figures, STAMP).decode()


def leaderboard(folder: Path) -> str:
    """Of eight nets within two radii, one of them unsound."""
    nets = {f"net-{number}": [attack("quick", number), attack("wide", 0, eps=0.2)] for number in range(8)}
    study(folder, nets, [("box", "quick on net-7 seed 0", False, "check")])
    return render_page(list(read_entries(folder, {})), Stamp("advgen leaderboard", {}, ""))[0]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The example's CV in each theme, a long one, and a report."""
    folder = tmp_path_factory.mktemp("pages")
    figures = [drawn(kind) for kind in EXPLORED]
    assert figures[0].png is not None
    (folder / "transfer.png").write_bytes(figures[0].png)
    tables = fake_tables()
    figures.append(page.Figure("gone", "A picture.", None, command="snakemake results/figures/gone.png"))
    sections = [
        page.Section("Adversarial lab", "Transfer", "What *moves*.", figures),
        page.Section("Adversarial lab", "Tables", tables=[page.Table("Transfer", tables["transfer"], "x.parquet")]),
        page.Section("Generative lab", "Inpainting", tables=[page.Table("Errors", tables["inpainting_summary"])]),
    ]
    html = {
        "example": cv(ROOT / "config/cv", {"transfer": folder / "transfer.png"}),
        "academic": cv(ROOT / "config/cv", {"transfer": folder / "transfer.png"}, "academic"),
        "compact": cv(ROOT / "config/cv", {"transfer": folder / "transfer.png"}, "compact"),
        "long": cv(ROOT / "tests/unit/cv/fixture", {}),
        "leaderboard": leaderboard(folder / "results"),
        "report": page.render("A study", sections, f"advgen:{STAMP}", tables["sanity_checks"], {"torch": "2"}),
    }
    for name, text in html.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in html}


NAMES = ("example", "academic", "compact", "long", "report", "leaderboard")


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
    assert pages_ <= (20 if page == "report" else 12)
    if page == "long":
        assert "Michal Rolínek" in text
        # the buttons are not printed; a title has the word, which other fonts break elsewhere
        assert "BibTeX" not in text.replace("YAML/BibTeX", "")
    # nothing stands alone on the last page but a line or two
    assert all(len(part.split()) > 5 for part in text.split("\f")[:-1])


def test_a_table_is_sorted_searched_and_filtered(browser: Browser, pages: dict[str, Path]) -> None:
    result = browser.act(
        pages["report"],
        """
        const box = document.getElementById("table-x-parquet");
        const shown = () => [...box.querySelectorAll("tbody tr")].filter(row => !row.hidden);
        const error = [...box.querySelectorAll("thead th")].findIndex(head => head.textContent.startsWith("error"));
        const column = number => shown().map(row => parseFloat(row.children[number].textContent));
        const result = {all: shown().length, said: box.querySelector(".status").textContent};
        box.querySelectorAll("thead button")[error].click();
        result.up = column(error);
        result.sorted = box.querySelectorAll("thead th")[error].getAttribute("aria-sort");
        box.querySelectorAll("thead button")[error].click();
        result.down = column(error);
        const search = box.querySelector("input[type=search]");
        search.value = "PGD net-b";
        search.dispatchEvent(new Event("input"));
        result.found = shown().map(row => row.textContent);
        search.value = "";
        search.dispatchEvent(new Event("input"));
        const choice = box.querySelector("select");
        choice.value = choice.options[1].value;
        choice.dispatchEvent(new Event("change"));
        result.chosen = shown().length;
        result.value = choice.value;
        return result;
        """,
    )
    assert result["said"] == f"{result['all']} rows"
    assert result["up"] == sorted(result["up"]) and result["down"] == sorted(result["up"], reverse=True)
    assert len(set(result["up"])) > 3
    assert result["sorted"] == "ascending"
    assert 0 < len(result["found"]) < result["all"]
    assert all("pgd" in row and "net-b" in row for row in result["found"])
    assert 0 < result["chosen"] < result["all"]


EXPLORER = """
const box = document.querySelector('[data-explorer="explorer-KIND"]');
const words = () => [...box.querySelectorAll(".words")].map(one => one.textContent);
const places = () => [...box.querySelectorAll(".tile")].map(one => getComputedStyle(one).backgroundPosition);
const radio = (name) => [...box.querySelectorAll("fieldset label")].find(one => one.textContent === name);
"""


def test_masked_and_inpainted_images_are_flipped(browser: Browser, pages: dict[str, Path]) -> None:
    result = browser.act(
        pages["report"],
        EXPLORER.replace("KIND", "inpainting-gallery")
        + """
        const result = {original: places(), words: words()};
        for (const name of ["masked", "inpainted", "square"]) { radio(name).click(); result[name] = places(); }
        result.inpainted_words = words();
        result.pictured = getComputedStyle(box.querySelector(".tile")).backgroundImage.slice(0, 27);
        radio("original").click();
        result.labels = words();
        return result;
        """,
    )
    strips = [result[name] for name in ("original", "masked", "inpainted", "square")]
    assert len(result["original"]) == 5
    assert all(a != b for a, b in itertools.pairwise(strips))
    assert all("→" in words for words in result["inpainted_words"])
    assert not any("→" in words for words in result["labels"])
    assert result["pictured"] == 'url("data:image/png;base64,'


def test_a_path_is_slid_along(browser: Browser, pages: dict[str, Path]) -> None:
    result = browser.act(
        pages["report"],
        EXPLORER.replace("KIND", "interpolation-strips")
        + """
        const range = box.querySelector("input[type=range]"), frames = [];
        for (let stop = 0; stop <= range.max; stop++) {
          range.value = stop;
          range.dispatchEvent(new Event("input"));
          frames.push([places().join(), range.getAttribute("aria-valuetext"), box.querySelector(".stop").textContent]);
        }
        return frames;
        """,
    )
    assert len({places for places, *_ in result}) == 9
    assert [value for _, value, _ in result] == [f"α = {frame / 8:.3g}" for frame in range(9)]
    assert all(value == shown for _, value, shown in result)


def test_a_transfer_cell_is_pointed_at(browser: Browser, pages: dict[str, Path]) -> None:
    result = browser.act(
        pages["report"],
        EXPLORER.replace("KIND", "transfer-matrix")
        + """
        const cells = [...box.querySelectorAll(".matrix button")];
        const on = one => one.getAttribute("aria-pressed") === "true";
        const pressed = () => cells.filter(on).map(one => cells.indexOf(one));
        const result = {first: [pressed(), places().join(), words().join()]};
        cells[3].dispatchEvent(new Event("mouseenter"));
        result.hovered = [pressed(), places().join(), words().join()];
        cells[4].focus();
        result.focused = [pressed(), places().join(), words().join()];
        radio("original").click();
        result.original = [pressed(), places().join(), words().join()];
        return result;
        """,
    )
    assert [result[name][0] for name in ("first", "hovered", "focused", "original")] == [[0], [3], [4], [4]]
    assert len({result[name][1] for name in ("first", "hovered", "focused", "original")}) == 4
    assert result["hovered"][2] != result["first"][2]


def test_downloads_hold_the_table(browser: Browser, pages: dict[str, Path]) -> None:
    links = browser.act(
        pages["report"],
        """
        const links = [...document.querySelectorAll("#table-x-parquet a[download]")];
        return links.map(one => [one.download, one.href]);
        """,
    )
    files = {name: base64.b64decode(link.split(",", 1)[1]) for name, link in links}
    table = fake_tables()["transfer"]
    assert pq.read_table(io.BytesIO(files["x.parquet"])).to_pylist() == table.to_pylist()
    assert files["x.csv"].decode().splitlines()[0].split(",") == [f'"{name}"' for name in table.column_names]
    assert len(files["x.csv"].splitlines()) == table.num_rows + 1


def test_what_is_linked_to_is_opened(browser: Browser, pages: dict[str, Path]) -> None:
    result = browser.act(
        pages["report"],
        """
        const numbers = document.getElementById("numbers-transfer-matrix"), before = numbers.closest("details").open;
        location.hash = "#numbers-transfer-matrix";
        await new Promise(done => setTimeout(done, 50));
        return [before, numbers.closest("details").open];
        """,
    )
    assert result == [False, True]


def test_the_picture_is_that_of_the_scheme(browser: Browser, pages: dict[str, Path]) -> None:
    look = """return [...document.querySelectorAll("#figure-transfer-matrix .plate img")].map(
        one => [one.className, getComputedStyle(one).display !== "none"]);"""
    assert browser.act(pages["report"], look) == [["light", True], ["dark", False]]


def test_samples_are_slid_over_the_steps_of_training(browser: Browser, pages: dict[str, Path]) -> None:
    result = browser.act(
        pages["report"],
        EXPLORER.replace("KIND", "gan-samples")
        + """
        const range = box.querySelector("input[type=range]"), result = [];
        for (let stop = 0; stop <= range.max; stop++) {
          range.value = stop;
          range.dispatchEvent(new Event("input"));
          result.push([box.querySelector(".stop").textContent, words()[0], places().join()]);
        }
        radio("gan-with-a-longer-name").click();
        result.push([box.querySelector(".stop").textContent, words()[0], places().join()]);
        return result;
        """,
    )
    assert [stop for stop, *_ in result] == [
        *("before training", "1/4 of the steps", "1/2 of the steps"),
        *("all steps", "all steps"),  # another GAN, at the same stop
    ]
    assert [words for _, words, _ in result] == ["step 0", "step 1", "step 2", "step 4", "step 4"]
    assert len({places for *_, places in result}) == 5


def test_a_search_is_slid_over_its_restarts_and_steps(browser: Browser, pages: dict[str, Path]) -> None:
    result = browser.act(
        pages["report"],
        EXPLORER.replace("KIND", "inversion-gallery")
        + """
        const [restart, step] = box.querySelectorAll("input[type=range]"), result = {};
        const move = (range, stop) => { range.value = stop; range.dispatchEvent(new Event("input")); };
        const slide = (range, stop) => { move(range, stop); return places().join(); };
        result.first = box.querySelectorAll(".stop")[1].textContent;
        result.steps = [0, 1, 2, 3, 4].map(stop => [slide(step, stop), box.querySelectorAll(".stop")[1].textContent]);
        result.restarts = [0, 1, 2].map(stop => [slide(restart, stop), box.querySelectorAll(".stop")[0].textContent]);
        result.best = [0, 1, 2].map(stop => { slide(restart, stop); return box.querySelectorAll(".framed").length; });
        result.said = box.querySelector(".status").textContent;
        return result;
        """,
    )
    assert result["first"] == "after 9 steps"
    assert [said for _, said in result["steps"]] == ["target", *(f"after {step} steps" for step in (0, 3, 6, 9))]
    assert len({places for places, _ in result["steps"]}) == 5
    assert [said for _, said in result["restarts"]] == [f"start {number} of 3" for number in (1, 2, 3)]
    assert len({places for places, _ in result["restarts"]}) == 3
    assert result["best"] == [0, 16, 0]
    assert result["said"] == "16 images"


def test_a_robustness_curve_is_slid_over_its_budgets(browser: Browser, pages: dict[str, Path]) -> None:
    result = browser.act(
        pages["report"],
        EXPLORER.replace("KIND", "accuracy-curves")
        + """
        const range = box.querySelector("input[type=range]"), result = [];
        for (let stop = 0; stop <= range.max; stop++) {
          range.value = stop;
          range.dispatchEvent(new Event("input"));
          result.push([
            box.querySelector(".stop").textContent, box.querySelectorAll(".framed").length, places().join(),
          ]);
        }
        return result;
        """,
    )
    stops = [stop for stop, *_ in result]
    assert stops[0] == "clean"
    smallest = [framed for stop, framed, _ in result if " up to " in stop]
    assert len(smallest) == 6 and smallest == sorted(smallest) and smallest[0] < smallest[-1]
    assert stops.index("fgsm-1: L∞ ≤ 0.1, 1 step") < stops.index("fgsm-2: L∞ ≤ 0.25, 1 step")
    assert len({places for *_, places in result}) > 5


ALL = """
const boxes = [...document.querySelectorAll(".explorer")];
const shown = box => [...box.querySelectorAll(".tile")].map(one => getComputedStyle(one).backgroundPosition).join()
  + [...box.querySelectorAll(".words")].map(one => one.textContent).join();
"""


def test_every_control_of_every_explorer_shows_other_images(browser: Browser, pages: dict[str, Path]) -> None:
    with browser.open(pages["report"]) as tab:
        result = tab.run(
            ALL
            + """
            const still = [];
            let used = 0;
            for (const box of boxes) for (const one of box.querySelectorAll("input[type=range], fieldset, .matrix")) {
              const seen = new Set();
              const stops = one.matches("[type=range]") ? [...Array(Number(one.max) + 1).keys()]
                : [...one.querySelectorAll("input, button")];
              for (const stop of stops) {
                if (one.matches("[type=range]")) { one.value = stop; one.dispatchEvent(new Event("input")); }
                else stop.click();
                seen.add(shown(box));
                used += 1;
              }
              if (seen.size < 2) still.push(one.outerHTML.slice(0, 200));
            }
            return {still, used, boxes: boxes.length};
            """
        )
    assert result["boxes"] == len(EXPLORED)
    assert result["still"] == []
    assert result["used"] > 30


def test_the_keyboard_reaches_and_works_every_kind_of_control(browser: Browser, pages: dict[str, Path]) -> None:
    with browser.open(pages["report"]) as tab:
        tab.press("Tab")
        assert tab.run("return document.activeElement.className") == "skip"
        tab.press("Enter")
        assert tab.run("return location.hash") == "#content"

        tab.tab_to(".matrix button")
        pressed = "return [...document.querySelectorAll('.matrix button')].findIndex(one => one.ariaPressed === 'true')"
        assert tab.run(pressed) == 0
        tab.press("Tab")
        assert tab.run(pressed) == 1

        tab.tab_to("input[type=radio]")
        before = tab.run("return document.activeElement.id")
        tab.press("ArrowRight")
        assert tab.run("return document.activeElement.id") != before
        assert tab.run("return document.activeElement.checked") is True

        tab.tab_to("summary")
        tab.press("Enter")
        assert tab.run("return document.activeElement.parentElement.open") is True
        tab.tab_to("details[open] .sort")
        tab.press("Space")
        assert tab.run("return document.activeElement.closest('th').getAttribute('aria-sort')") == "ascending"
        tab.press("Enter")
        assert tab.run("return document.activeElement.closest('th').getAttribute('aria-sort')") == "descending"

        tab.tab_to("input[type=range]")
        at = "return [document.activeElement.value, document.activeElement.getAttribute('aria-valuetext')]"
        first = tab.run(at)
        tab.press("ArrowRight", "ArrowRight")
        second = tab.run(at)
        tab.press("End")
        last = tab.run(at)
    assert [first[0], second[0]] == ["0", "2"]
    assert len({first[1], second[1], last[1]}) == 3


def test_what_has_the_focus_is_seen(browser: Browser, pages: dict[str, Path]) -> None:
    with browser.open(pages["report"]) as tab:
        for selector in ("nav a", ".matrix button", ".plate", "summary", "input[type=range]", "select", ".scroll"):
            tab.press("Home")
            tab.run(f"document.querySelector({selector!r}).closest('details')?.setAttribute('open', '')")
            tab.tab_to(selector)
            assert tab.run("return getComputedStyle(document.activeElement).outlineStyle") != "none", selector


def test_a_finger_and_a_pointer_choose_a_transfer_cell(browser: Browser, pages: dict[str, Path]) -> None:
    cell = ".matrix tbody tr:nth-child(2) td:nth-child(3) button"
    chosen = f"return document.querySelector({cell!r}).ariaPressed"
    with browser.open(pages["report"], 390, touch=True) as tab:
        before = tab.run(ALL + "return shown(boxes[0])")
        tab.tap(cell)
        assert tab.run(chosen) == "true"
        assert tab.run(ALL + "return shown(boxes[0])") != before
    with browser.open(pages["report"]) as tab:
        assert tab.run(chosen) == "false"
        tab.hover(cell)
        assert tab.run(chosen) == "true"


@pytest.mark.parametrize("width", [1200, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures_and_paper_follow_the_scheme(
    browser: Browser, pages: dict[str, Path], width: int, scheme: str
) -> None:
    with browser.open(pages["report"], width, scheme) as tab:
        result = tab.run(
            """
            const there = one => getComputedStyle(one).display !== "none";
            const seen = [...document.querySelectorAll(".plate img")].filter(there);
            return {
              classes: [...new Set(seen.map(one => one.className))],
              loaded: seen.length,
              wide: document.documentElement.scrollWidth <= innerWidth,
              paper: getComputedStyle(document.body).backgroundColor,
            };
            """
        )
    assert result["classes"] == [scheme] and result["loaded"] == len(EXPLORED)
    assert result["wide"]
    assert result["paper"] == {"light": "rgb(255, 255, 255)", "dark": "rgb(21, 24, 28)"}[scheme]


def test_what_was_not_made_is_told_and_the_rest_is_there(browser: Browser, pages: dict[str, Path]) -> None:
    with browser.open(pages["report"]) as tab:
        result = tab.run(
            """
            const gone = document.getElementById("figure-gone");
            return {
              badge: gone.querySelector(".badge").textContent, words: gone.querySelector(".absent").textContent,
              pictures: gone.querySelectorAll("img").length,
              found: document.querySelector(".findings .missing p").textContent,
              others: document.querySelectorAll(".plate").length,
            };
            """
        )
    assert result["badge"] == "missing"
    assert "snakemake results/figures/gone.png" in result["words"]
    assert result["pictures"] == 0 and result["others"] == len(EXPLORED)
    assert "Missing" in result["found"]


def test_a_leaderboard_is_sorted_by_another_column(browser: Browser, pages: dict[str, Path]) -> None:
    result = browser.act(
        pages["leaderboard"],
        """
        const box = [...document.querySelectorAll(".table")].find(one => one.textContent.includes("≤ 0.1"));
        const nets = () => [...box.querySelectorAll("tbody tr")].map(row => row.children[1].textContent);
        const heads = [...box.querySelectorAll("thead th")].map(head => head.textContent), begun = nets();
        box.querySelectorAll("thead button")[heads.indexOf("accuracy under attack")].click();
        return [begun, nets()];
        """,
    )
    assert result[0] == [f"net-{number} seed 0" for number in range(6, -1, -1)]
    assert result[1] == result[0][::-1]
