"""Bibliographies as programs and people write them, read back entry by entry. Nothing in them exists."""

import logging
import re
from pathlib import Path
from typing import Any

import pytest

from .conftest import STAMP, build_text, publications, section
from .reading import PRINTED, list_printed, read_back

COMMONMARK = pytest.importorskip("markdown_it").MarkdownIt("commonmark")

PROFILE = """\
name: Ádám Próba
aliases: [A. Próba, Adam Proba]
updated: 2025-03-04
style: {citation: full}
order: [publications]
"""
# dialect: (entry, what is printed: title, authors, venue with details, year, links)
DIALECTS: dict[str, tuple[str, tuple[str, str, str, Any, list[str]]]] = {
    "arXiv": (
        r"""@misc{proba2024shape,
      title={On the Shape of $\ell_2$-Tests}, author={Ádám Próba and Bea Minta}, year={2024},
      eprint={2403.01234}, archivePrefix={arXiv}, primaryClass={cs.LG},
           url={https://arxiv.org/abs/2403.01234}, }""",
        ("On the Shape of ℓ₂-Tests", "Ádám Próba and Bea Minta", "arXiv:2403.01234", 2024,
           ["arXiv:2403.01234"]),
    ),
    "arXiv, no year": (
        r"""@misc{a, title={T}, author={Ádám Próba}, eprint={1912.00001}, eprinttype={arxiv},
           eprintclass={cs.CV}}""",
        ("T", "Ádám Próba", "arXiv:1912.00001 Dec", 2019, ["arXiv:1912.00001"]),
    ),
    "Zotero, BibTeX": (
        r"""@article{proba_what_2021,
	title = {What {Tests} {Know}},
	volume = {12}, issn = {1234-5678}, url = {https://journal.example.org/1}, doi = {10.1000/jt.12.3},
	abstract = {We test.}, language = {en}, number = {3}, urldate = {2023-01-02},
	journal = {Journal of Tests}, author = {Próba, Ádám and van der Berg, Ann}, month = mar, year = {2021},
	note = {Publisher: Testers}, keywords = {testing, knowing}, pages = {45--67},
           file = {PDF:/home/x/a.pdf:application/pdf}, }""",
        (
            "What Tests Know", "Ádám Próba and Ann van der Berg", "Journal of Tests 12(3), 45–67, Mar", 2021,
            ["doi:10.1000/jt.12.3"],
        ),
    ),
    "Zotero, biblatex": (
        r"""@article{proba2020,
  title = {Second Tests}, subtitle = {A Sequel}, author = {family=Próba,
           given=Ádám and family=Berg, given=Ann, prefix=van der},
  date = {2020-06-01}, journaltitle = {Annals of Tests}, shortjournal = {Ann. Tests}, volume = {7}, issue = {2},
  pages = {1--9}, langid = {english}, urldate = {2024-01-01} }""",
        (
            "Second Tests: A Sequel", "Ádám Próba and Ann van der Berg", "Annals of Tests 7(2), 1–9, Jun",
            2020, [],
        ),
    ),
    "biblatex, online": (
        r"""@online{web, author={Próba, Ádám}, title={Tests on the Web}, date={2019},
           url={https://www.tests.example.org/a}}""",
        ("Tests on the Web", "Ádám Próba", "tests.example.org", 2019, []),
    ),
    "biblatex, patent": (
        r"""@patent{pat, author={Próba, Ádám and Minta, Bea}, title={Apparatus for Tests}, number={US1234567B2},
           type={patentus}, holder={Works Inc.}, date={2018-05-06}}""",
        ("Apparatus for Tests", "Ádám Próba and Bea Minta", "US1234567B2 May", 2018, []),
    ),
    "biblatex, thesis": (
        r"""@thesis{phd, author={Próba, Ádám}, title={A Thesis}, type={phdthesis},
           institution={University of Nowhere}, date={2015}}""",
        ("A Thesis", "Ádám Próba", "University of Nowhere", 2015, []),
    ),
    "biblatex, data set": (
        r"""@dataset{data, author={Próba, Ádám}, title={Ten Thousand Tests}, publisher={Zenotest},
           version={1.2},
           doi={10.5072/zenodo.1}, year={2022}}""",
        ("Ten Thousand Tests", "Ádám Próba", "Zenotest", 2022, ["doi:10.5072/zenodo.1"]),
    ),
    "biblatex, software": (
        r"""@software{soft, author={Próba, Ádám and {The Test Team}}, title={testlib},
           version={2.0}, date={2023},
           url={https://code.example.org/testlib}}""",
        ("testlib", "Ádám Próba and The Test Team", "Version 2.0", 2023, []),
    ),
    "DBLP": (
        r"""@article{DBLP:journals/corr/abs-2001-00001,
  author       = {{\'{A}}d{\'{a}}m Pr{\'{o}}ba and
                  Wei Muster 0001},
  title        = {Tests at Scale},
  journal      = {CoRR},
  volume       = {abs/2001.00001},
  year         = {2020},
  url          = {http://arxiv.org/abs/2001.00001},
  eprinttype    = {arXiv},
  eprint       = {2001.00001},
  timestamp    = {Mon, 01 Jan 2020 00:00:00 +0100},
  biburl       = {https://dblp.org/rec/journals/corr/abs-2001-00001.bib},
  bibsource    = {dblp computer science bibliography, https://dblp.org}
}""",
        ("Tests at Scale", "Ádám Próba and Wei Muster", "arXiv:2001.00001", 2020, ["arXiv:2001.00001"]),
    ),
    "DBLP, crossref": (
        r"""@inproceedings{DBLP:conf/tests/Proba17, author={{\'{A}}d{\'{a}}m Pr{\'{o}}ba},
           title={Norms in Tests},
  pages={1--10}, crossref={DBLP:conf/tests/2017}}
@proceedings{DBLP:conf/tests/2017, editor={Bea Minta}, title={Proceedings of the Test Conference},
           publisher={Testers},
  year={2017}}""",
        ("Norms in Tests", "Ádám Próba", "Proceedings of the Test Conference, 1–10, Testers,", 2017, []),
    ),
    "biblatex, xdata": (
        r"""@xdata{testers, publisher={Testers}, date={2016}}
@incollection{chap, author={Próba, Ádám}, title={A Chapter}, booktitle={The Book of Tests},
           pages={3-30}, xdata={testers}}""",
        ("A Chapter", "Ádám Próba", "The Book of Tests, 3–30, Testers,", 2016, []),
    ),
    "Google Scholar": (
        r"""@article{proba2019tests,
  title={Tests you can trust},
  author={Pr{\'o}ba, {\'A}d{\'a}m and Minta, Bea and others},
  journal={arXiv preprint arXiv:1905.00001},
  volume={5},
  year={2019}
}""",
        (
            "Tests you can trust", "Ádám Próba, Bea Minta, and others",
           "arXiv preprint arXiv:1905.00001 5,", 2019,
            ["arXiv:1905.00001"],
        ),
    ),
    "submitted, and where it is": (
        r"""@article{sent, title={Sent}, author={A. Próba}, journal={}, year={submitted, pre-print at the library}}""",
        ("Sent", "A. Próba", "", "submitted", []),
    ),
    "submitted in a year": (
        r"""@article{dated, title={Dated}, author={A. Próba}, journal={JoT}, year={submitted, 2024}}""",
        ("Dated", "A. Próba", "JoT", 2024, []),
    ),
    "to appear": (
        r"""@inproceedings{soon, title={Soon}, author={A. Próba}, booktitle={ToT}, year={to appear}}""",
        ("Soon", "A. Próba", "ToT", "to appear", []),
    ),
    "in press": (
        r"""@article{press, title={Pressed}, author={A. Próba}, journaltitle={JoT}, pubstate={inpress}}""",
        ("Pressed", "A. Próba", "JoT", "in press", []),
    ),
    "edited book": (
        r"""@book{edited, title={A Book of $\frac{1}{2}$ Tests}, editor={Próba, Ádám and Minta,
           Bea}, publisher={Testers}, year=2014}""",
        ("A Book of 1/2 Tests", "Ádám Próba and Bea Minta (eds.)", "Testers", 2014, []),
    ),
    "names": (
        r"""@article{names, title={Names},
           author={Adam Proba and Ludwig von Muster Jr. and de la Probe, Jr., Juan and {World
           Test Organization} and Jean-Luc {Le Test}}, journal={JoT}, year=2013, number=4}""",
        (
            "Names",
            "Adam Proba, Ludwig von Muster Jr., Juan de la Probe Jr., World Test Organization, "
            "and Jean-Luc Le Test",
            "JoT no. 4,", 2013, [],
        ),
    ),
    "links": (
        r"""@inproceedings{links, title={Links}, author={A. Próba}, booktitle={ToT}, year={2012},
           pdf={https://e.example.org/a.pdf}, video={https://e.example.org/v},
           poster={https://e.example.org/p_1},
           website={https://e.example.org}, slides={https://e.example.org/s},
           code={https://e.example.org/c}}""",
        ("Links", "A. Próba", "ToT", 2012, ["code", "pdf", "poster", "slides", "video", "website"]),
    ),
    "misc with an address": (
        r"""@misc{howp, title={How Published}, author={A. Próba},
           howpublished={\url{https://blog.example.org/x}}, year={2011}}""",
        ("How Published", "A. Próba", "blog.example.org", 2011, []),
    ),
    "ADS": (
        r"""@ARTICLE{2019ApJ...871L...1P, author = {{Pr{\'o}ba}, {\'A}d{\'a}m and {de la Cruz}, J.~B.},
        title = "{A Test at z{\ensuremath{\sim}}7}", journal = {\apjl}, year = 2019, month = jan, volume = {871},
          eid = {L1}, adsurl = {https://ads.example.org/1}, adsnote = {Provided by ADS} }""",
        ("A Test at z∼7", "Ádám Próba and J. B. de la Cruz", "ApJ 871, L1, Jan", 2019, []),
    ),
    "ACM": (
        r"""@inproceedings{10.1145/1, author = {Pr\'{o}ba, \'{A}d\'{a}m}, title = {Tests}, year = {2020},
publisher = {Testers}, booktitle = {Proceedings of Norms \&amp; Tests}, pages = {1–10}, numpages = {10},
location = {Virtual Event}, series = {NT '20} }""",
        ("Tests", "Ádám Próba", "Proceedings of Norms & Tests, NT '20, 1–10, Testers,", 2020, []),
    ),
    "IEEE": (
        r"""@INPROCEEDINGS{9123456,
  author={Próba, Ádám}, booktitle={2020 Conference on Tests (CoT)}, title={More Tests}, year={2020},
  volume={}, number={}, pages={1-5}, keywords={Norms;Tests}, ISSN={1234-5678}, month={Oct},}""",
        ("More Tests", "Ádám Próba", "2020 Conference on Tests (CoT), 1–5, Oct", 2020, []),
    ),
    "accents": (
        r"""@string{jt = "Journal of T{\'e}sts"}
@article{accents, title = "{\"U}ber {\c S}tests, na{\"\i}ve \textcommabelow{t}",
           author = {Pr{\'o}ba, {\'A}d{\'a}m and Nguy{\~{\^e}}n,
           {\DJ}inh and {\v{S}}im{\r u}nek, Ji{\v r}{\'\i}}, journal = jt, year = 2010}""",
        ("Über Ştests, naïve ț", "Ádám Próba, Đinh Nguyễn, and Jiří Šimůnek", "Journal of Tésts", 2010, []),
    ),
}  # fmt: skip


def made(folder: Path, text: str, profile: str = PROFILE) -> list[dict[str, Any]]:
    return publications(build_text(folder, profile, text))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_entry_of_each_dialect(tmp_path: Path, dialect: str, caplog: pytest.LogCaptureFixture):
    text, expected = DIALECTS[dialect]
    with caplog.at_level(logging.WARNING):
        (entry,) = made(tmp_path, text)
    shown, labels = f"{entry['venue']}{entry['details']}", [link["label"] for link in entry["links"]]
    assert (entry["title"], entry["authors"], shown, entry["year"], labels) == expected
    assert [line for line in caplog.messages if "not printed" in line] == []


@pytest.mark.parametrize("format_", PRINTED)
def test_every_dialect_reads_back(tmp_path: Path, format_: str):
    cv = build_text(tmp_path, PROFILE, "\n\n".join(text for text, _ in DIALECTS.values()))
    expected = list_printed(cv)
    assert len(expected["publications"]) == len(DIALECTS) == 25
    assert read_back(cv, format_, {}, STAMP, tmp_path) == expected


ENTRY = "@article{k, title={T}, author={A. Próba}, journal={J}, year={2020},\n  %s\n}\n"


@pytest.mark.parametrize(
    ("field", "what"),
    [
        ("impactfactor = {3.2}", "the field impactfactor is unknown and is not printed"),
        ("pdf = {papers/a.pdf}", "the field pdf has no web address and is not printed"),
        (r"note = {\sometimes so}", r"note: \sometimes is unknown, and its text is printed as it is"),
    ],
)
def test_unknown_fields_are_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture, field: str, what: str):
    with caplog.at_level(logging.WARNING):
        made(tmp_path, ENTRY % field)
    assert any(f"publications.bib:2: {what}" in line for line in caplog.messages), caplog.messages


def test_a_crossref_to_nothing(tmp_path: Path):
    with pytest.raises(ValueError, match=r"publications\.bib:1: k refers to 'lost', which is no entry; add it"):
        made(tmp_path, ENTRY % "crossref = {lost}")


def test_others_who_may_be_the_owner(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        (entry,) = made(tmp_path, ENTRY.replace("A. Próba", "Bea Minta and others") % "")
    assert entry["authors"] == "Bea Minta and others"
    assert any("'and others' hides the owner of this CV in k" in line for line in caplog.messages)


def test_the_likely_spelling_of_the_owner_is_named(tmp_path: Path):
    with pytest.raises(
        ValueError, match="no author of k is the owner of this CV; add the spelling 'Àdam Próba' to alia"
    ):
        made(tmp_path, ENTRY.replace("A. Próba", "Bea Minta and Àdam Próba") % "")


@pytest.mark.parametrize(
    ("style", "shown"),
    [
        ("{}", "Jean-Luc von Muster Jr. and Ádám Próba"),
        ("{given: initials}", "J.-L. von Muster Jr. and Á. Próba"),
        ("{given: initials, order: family-first}", "von Muster, Jr., J.-L. and Próba, Á."),
        ("{order: family-first}", "von Muster, Jr., Jean-Luc and Próba, Ádám"),
    ],
)
def test_forms_of_names(tmp_path: Path, style: str, shown: str):
    text = ENTRY.replace("A. Próba", "von Muster, Jr., Jean-Luc and Próba, Ádám") % ""
    (entry,) = made(tmp_path, text, PROFILE.replace("{citation: full}", style))
    assert entry["authors"] == shown


@pytest.mark.parametrize(
    ("field", "line", "address"),
    [
        ("url = {https://[y/}", 2, "https://[y/"),
        ("howpublished = {https://[x.example.org/}", 1, "https://[x.example.org/"),
        ("eprint = {2001.0 1}, archiveprefix = {arXiv}", 1, "https://arxiv.org/abs/2001.0 1"),
    ],
)
def test_an_address_that_is_none_is_reported_with_its_line(tmp_path: Path, field: str, line: int, address: str):
    with pytest.raises(ValueError, match=r"is not a web address; begin with") as caught:
        made(tmp_path, ENTRY % field)
    what = rf"\S+/publications\.bib:{line}: \w+: {re.escape(repr(address))} is not a web address; begin with https://.*"
    assert all(re.fullmatch(what, said) for said in str(caught.value).split("\n"))


def test_a_macro_in_the_number_of_a_patent_is_reported_with_its_entry(tmp_path: Path):
    text = "@patent{p, title={T}, author={A. Próba}, year={2020}, number={\\lder 1}}\n"
    with pytest.raises(ValueError, match=r"\A\S+publications\.bib:1: p: \\lder is unknown; write the char"):
        made(tmp_path, text)


def test_a_key_on_two_lines_is_reported_on_one(tmp_path: Path):
    with pytest.raises(ValueError, match=r"\A\S+publications\.bib:1: a b has no title; add the field\Z"):
        made(tmp_path, "@article{a\nb, author={A. Próba}, journal={J}, year={2020}}\n")


def test_a_volume_that_its_editor_made_is_kept_beside_its_chapters(tmp_path: Path):
    volume = "@book{v, title={Volume}, editor={Ádám Próba and Bea Minta}, publisher={P}, year={2020}, series={LNT}%s}\n"
    text = "@incollection{c, title={Chapter}, author={A. Próba}, pages={3}, crossref={v}}\n" + volume % ", volume={7}"
    kept = [(entry["key"], entry["venue"] + entry["details"]) for entry in made(tmp_path, text)]
    assert kept == [("c", "Volume, LNT 7, 3, P,"), ("v", "P, LNT 7,")]
    (entry,) = made(tmp_path, text.replace("Ádám Próba and ", ""))
    assert entry["key"] == "c"


@pytest.mark.parametrize(
    ("venue", "shown"),
    [
        ("Conference on Tests, CoT 2020", "Conference on Tests, CoT 2020"),
        ("CoT 2020, Ulm, May 1 - 2, 2020", "CoT 2020, Ulm, May 1 - 2, 2020"),
        ("Conference on Tests (2020)", "Conference on Tests 2020"),
        ("CoT 2019", "CoT 2019 2020"),
        ("Tests of the 2020", "Tests of the 2020"),
        ("2020", "2020 2020"),
    ],
)
def test_a_year_that_ends_the_venue_is_printed_once(tmp_path: Path, venue: str, shown: str):
    text = ENTRY.replace("journal={J}", f"journal={{{venue}}}") % ""
    (entry,) = made(tmp_path, text, PROFILE.replace("style: {citation: full}\n", ""))
    assert f"{entry['venue']}{entry['details']} {entry['year']}" == shown


@pytest.mark.parametrize(
    ("field", "name", "shown"),
    [
        ("_venue = cot # { 12}", "venue", "Tests, # 12"),
        ('_venue = "A # " # cot # 3', "venue", "A # Tests, #3"),
        ("_venue = twice", "venue", "Tests, # & Tests, #"),
        ('month = jun # "--" # jul', "details", " Jun"),
    ],
)
def test_what_is_put_together_of_parts(tmp_path: Path, field: str, name: str, shown: str):
    strings = '@string{cot = "Tests, \\#"}\n@string{twice = cot # { \\& } # cot}\n'
    (entry,) = made(tmp_path, strings + ENTRY % field)
    assert entry[name] == shown


def test_a_part_that_is_no_string_is_reported(tmp_path: Path):
    with pytest.raises(ValueError, match=r"publications\.bib:2: _venue = lost # \{ 12\} is not a defined @string; put"):
        made(tmp_path, ENTRY % "_venue = lost # { 12}")


@pytest.mark.parametrize(
    ("text", "venue"),
    [
        ("@patent{p, number={{US10000000B2}}, type={patentus},", "US10000000B2"),
        ("@misc{p, publisher={Google Patents}, note={US Patent 10,234,567},", "Google Patents"),
        ("@misc{p, howpublished={Patent DE 7},", "Patent DE 7"),
    ],
)
def test_patents_of_each_dialect(tmp_path: Path, text: str, venue: str):
    (entry,) = made(tmp_path, text + " title={T}, author={A. Próba}, year={2020}}\n")
    assert (entry["kind"], entry["venue"]) == ("patent", venue)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Charles Jean de la Vallée Poussin", "de la Vallée Poussin, C. J."),
        ("Ludwig van den Berg", "van den Berg, L."),
        ("山田, 太郎", "山田太郎"),
        ("山田 太郎", "山田太郎"),
        ("李明", "李明"),
        ("김, 민수", "김민수"),
        ("Иванов, Иван", "Иванов, И."),
    ],
)
def test_family_names_of_several_words_and_of_the_east(tmp_path: Path, name: str, shown: str):
    profile = PROFILE.replace("{citation: full}", "{given: initials, order: family-first}")
    (entry,) = made(tmp_path, ENTRY.replace("A. Próba", f"{name} and Próba, Ádám") % "", profile)
    assert entry["authors"] == f"{shown} and Próba, Á."


@pytest.mark.parametrize("owner", ["山田太郎", "山田 太郎"])
@pytest.mark.parametrize("author", ["山田, 太郎", "山田 太郎", "山田太郎"])
def test_an_owner_of_the_east_is_found(tmp_path: Path, owner: str, author: str):
    profile = PROFILE.replace("name: Ádám Próba", f"name: {owner}")
    cv = build_text(tmp_path, profile, ENTRY.replace("A. Próba", author) % "")
    assert [one["owner"] for one in section(cv, "publications")["groups"][0]["entries"][0]["authors"]] == [True]
