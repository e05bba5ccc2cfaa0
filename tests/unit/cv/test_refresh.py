"""`advgen cv refresh` against answers that a server on this machine repeats."""

import http.server
import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from advgen import cli
from advgen.cv import refresh

ORCID = "0000-0002-1825-0097"
PROFILE = f"""\
name: Ádám Próba
order: [publications, repositories]
updated: 2025-03-04
links: [{{label: ORCID, url: "https://orcid.org/{ORCID}"}}]
repositories:
  - {{name: proba/one, description: One, year: 2020}}
  - {{name: proba/two, description: Two, year: 2020}}
  - {{name: proba/else, description: Elsewhere, year: 2020, url: "https://code.example.org/else"}}
"""
BIB = "@article{known, title={Known Tests}, author={Ádám Próba}, journal={J}, year={2020}, doi={10.1000/known}}\n"
METRICS = "# counted by hand\nas_of: 2024-01-01\ncitations: 10\n"
METRICS += "repositories:\n  proba/one: 5  # the first\n  proba/else: 3\n"


def work(title: str, doi: str = "") -> dict[str, Any]:
    ids = [{"external-id-type": "doi", "external-id-value": doi}] if doi else []
    return {
        "work-summary": [
            {
                "title": {"title": {"value": title}},
                "type": "journal-article",
                "journal-title": {"value": "Annals of Tests & Co."},
                "publication-date": {"year": {"value": "2024"}},
                "external-ids": {"external-id": ids},
            }
        ]
    }


ANSWERS: dict[str, Any] = {
    "/repos/proba/one": {"stargazers_count": 7},
    "/repos/proba/two": {"stargazers_count": 1234},
    f"/authors/orcid:{ORCID}": {"cited_by_count": 99, "summary_stats": {"h_index": 4}},
    "/works/10.1000/known": {"message": {"is-referenced-by-count": 12}},
    f"/v3.0/{ORCID}/works": {
        "group": [work("KNOWN tests"), work("Other", "10.1000/KNOWN"), work("New {Tests}", "10.1/n"), work("New Tests")]
    },
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Answers by path, which a test may change; "asked" holds the requests."""
    answers: dict[str, Any] = {**ANSWERS, "asked": []}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers["asked"].append((self.path, self.headers.get("Authorization")))
            answer = answers.get(self.path, 404)
            self.send_response(answer if isinstance(answer, int) else 200)
            self.end_headers()
            self.wfile.write(b"" if isinstance(answer, int) else json.dumps(answer).encode())

        def log_message(self, *_: Any) -> None:
            pass

    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    for name in ("GITHUB", "OPENALEX", "CROSSREF", "ORCID"):
        monkeypatch.setenv(f"ADVGEN_{name}_URL", f"http://127.0.0.1:{made.server_port}")
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    yield answers
    made.shutdown()
    made.server_close()


def run(folder: Path, *more: str, profile: str = PROFILE) -> None:
    for name, text in {"profile.yaml": profile, "all.bib": BIB, "metrics.yaml": METRICS}.items():
        (folder / name).write_text(text, encoding="utf-8")
    files = ["--profile", "profile.yaml", "--bibliography", "all.bib", "--metrics", "metrics.yaml"]
    cli.main(["cv", "refresh", *(str(folder / word) if "." in word else word for word in files), *more])


def test_the_change_is_proposed_and_nothing_written(
    server: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    run(tmp_path)
    said = capsys.readouterr().out
    for line in ("-citations: 10", "+citations: 99", "+h_index: 4", "-  proba/one: 5  # the first",
                 "+  proba/one: 7  # the first", "+  proba/two: 1234", "+@article{new2024,", "+  title = {New Tests},",
                 "+  author = {},", "+  journal = {Annals of Tests \\& Co.},", "+  doi = {10.1/n},"):  # fmt: skip
        assert line in said.splitlines(), said
    assert said.count("@article{new2024") == 1
    assert (tmp_path / "metrics.yaml").read_text() == METRICS
    assert (tmp_path / "all.bib").read_text() == BIB
    assert "/repos/proba/else" not in [path for path, _ in server["asked"]]


def test_it_is_written_on_demand(server: dict[str, Any], tmp_path: Path):
    run(tmp_path, "--write")
    text = (tmp_path / "metrics.yaml").read_text()
    data = yaml.safe_load(text)
    assert data["repositories"] == {"proba/one": 7, "proba/two": 1234, "proba/else": 3}
    assert (data["citations"], data["h_index"]) == (99, 4)
    assert str(data["as_of"]) > "2024-01-01"
    assert "# counted by hand" in text


def test_crossref_counts_where_openalex_knows_nobody(server: dict[str, Any], tmp_path: Path, capsys: Any):
    server[f"/authors/orcid:{ORCID}"] = 404
    with pytest.raises(SystemExit, match=r"openalex: /authors/.* returned 404"):
        run(tmp_path)
    assert "+citations: 12" in capsys.readouterr().out


def test_a_service_out_of_patience_is_asked_no_more(server: dict[str, Any], tmp_path: Path, capsys: Any):
    server["/repos/proba/one"] = 429
    what = r"github: over its limit for now \(429\); set GITHUB_TOKEN, or try again later"
    with pytest.raises(SystemExit, match=what):
        run(tmp_path)
    assert "/repos/proba/two" not in [path for path, _ in server["asked"]]
    assert "+citations: 99" in capsys.readouterr().out


def test_offline_it_says_so_and_proposes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    for name in ("GITHUB", "OPENALEX", "CROSSREF", "ORCID"):
        monkeypatch.setenv(f"ADVGEN_{name}_URL", "http://127.0.0.1:9")
    with pytest.raises(SystemExit) as caught:
        run(tmp_path, "--write")
    for name in ("github", "openalex", "crossref", "orcid"):
        assert f"{name}: cannot be reached" in str(caught.value)
    assert capsys.readouterr().out == ""
    assert (tmp_path / "metrics.yaml").read_text() == METRICS


WRONG = {"stargazers_count": True, "cited_by_count": "x", "message": {"is-referenced-by-count": -1}}
GROUPS = [{"group": None}, {"group": [None]}, {"group": [{"work-summary": []}]}, {"group": [{"work-summary": [7]}]}]


@pytest.mark.parametrize("answer", [[], {}, "text", WRONG, *GROUPS], ids=json.dumps)
def test_an_answer_that_is_none_is_reported_and_not_counted(
    server: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], answer: Any
):
    server |= dict.fromkeys(ANSWERS, answer)
    with pytest.raises(SystemExit) as caught:
        run(tmp_path, "--write")
    for name in ("github", "openalex", "crossref", "orcid"):
        assert re.search(rf"{name}: \S+ returned unexpected data; nothing was counted there", str(caught.value))
    assert capsys.readouterr().out == ""
    assert (tmp_path / "metrics.yaml").read_text() == METRICS
    assert (tmp_path / "all.bib").read_text() == BIB


def test_a_server_that_speaks_no_http(server: dict[str, Any], tmp_path: Path):
    server["/repos/proba/one"] = 1  # no status that there is
    with pytest.raises(SystemExit, match=r"github: cannot be reached \(HTTP/1\.0 1\); nothing was counted there"):
        run(tmp_path)


def test_numbers_that_stay_the_old_ones_are_not_of_today(server: dict[str, Any], tmp_path: Path):
    server["/repos/proba/two"] = 500
    with pytest.raises(SystemExit, match=r"github: /repos/proba/two returned 500"):
        run(tmp_path, "--write")
    data = yaml.safe_load((tmp_path / "metrics.yaml").read_text())
    assert (data["citations"], data["repositories"]["proba/one"], str(data["as_of"])) == (99, 7, "2024-01-01")


def test_a_token_comes_from_the_environment_and_goes_to_its_service_alone(
    server: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("GITHUB_TOKEN", "hush")
    run(tmp_path, "--write")
    assert {path.startswith("/repos/"): token for path, token in server["asked"]} == {True: "Bearer hush", False: None}
    assert "hush" not in capsys.readouterr().out + (tmp_path / "metrics.yaml").read_text()


def test_requests_are_spaced(server: dict[str, Any]):
    services = refresh.Services(pause=0.05)
    start = time.monotonic()
    refresh.fetch_stars(services, ["proba/one"] * 4)
    assert time.monotonic() - start >= 0.15


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ("repositories: {a/b: 1, a/c: 2}  # in braces\n", {"a/b": 7, "a/c": 2, "a/d": 8}),
        ("repositories: {}\n", {"a/b": 7, "a/d": 8}),
        ("repositories:  # stars\n    # the first\n    'a/b': 1\n", {"a/b": 7, "a/d": 8}),
        ("citations: 3\n", {"a/b": 7, "a/d": 8}),
    ],
)
def test_repositories_however_they_are_written(metrics: str, expected: dict[str, int]):
    text = refresh.update_metrics(metrics, {"a/b": 7, "a/d": 8}, "2025-01-01")
    assert yaml.safe_load(text)["repositories"] == expected
    assert [word in text for word in ("# in braces", "  # stars", "# the first")] == [
        word in metrics for word in ("# in braces", "  # stars", "# the first")
    ]


def test_new_works_get_keys_of_their_own_and_the_entry_of_their_type():
    services = refresh.Services(pause=0)
    first, second = work("The <i>One</i>"), work("The Other")
    second["work-summary"][0]["type"] = "patent"
    services.get = lambda *_: {"group": [first, second]}  # type: ignore[method-assign]
    known = [{"key": "The2024", "title": "Known", "facts": {}}]
    one, other = refresh.fetch_new_works(services, ORCID, known)
    assert one.startswith("@article{the2024a,\n  title = {The One},\n")
    assert other.startswith("@patent{the2024b,\n  title = {The Other},\n")


def test_works_of_a_second_bibliography_are_known(server: dict[str, Any], tmp_path: Path, capsys: Any):
    (tmp_path / "more.bib").write_text(BIB.replace("Known", "New").replace("known", "new"), encoding="utf-8")
    run(tmp_path, profile=PROFILE + "sections: {more: {type: bibliography, file: more.bib}}\n")
    assert "New" not in capsys.readouterr().out
