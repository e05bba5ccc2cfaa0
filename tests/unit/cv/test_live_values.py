import re
import subprocess
import sys
from pathlib import Path

import pytest

from advgen.cv.live_values import LiveValue, find_live_values
from advgen.cv.scan import scan_profile
from advgen.cv.yaml_files import read


def test_a_reference_is_read_with_its_format_and_line():
    text = "a\n{{ result('transfer', 'error', source='fc100', target_seed=-1, eps=0.3) | .1% }}"
    (value,) = find_live_values(text, line=7)
    where = (("eps", 0.3), ("source", "fc100"), ("target_seed", -1))
    assert value == LiveValue("transfer", "error", where, ".1%", 8)


def test_a_table_may_have_a_hyphen_in_its_name() -> None:
    """As those of transfers have, which a study names."""
    (value,) = find_live_values("{{ result('between-nets', 'error') | .1% }}")
    assert (value.table, value.column) == ("between-nets", "error")


@pytest.mark.parametrize(
    ("text", "format"),
    [
        ("{{result('t','c')}}", ""),
        ("{{ result('t', 'c') | .2f }}", ".2f"),
        ("{{ result('t', 'c', a='x|y') }}", ""),
        ("{{ result('t', 'c', a='x|y)') | ,d }}", ",d"),
        ("{{ result('t',\n 'c') | +.1e }}", "+.1e"),
    ],
)
def test_formats(text: str, format: str):
    assert [value.format for value in find_live_values(text)] == [format]


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("result('t', 'c'", "not a live value"),
        ("result('t')", "a table and a column"),
        ("result('t', 'c', 'd')", "a table and a column"),
        ("result('../t', 'c')", "a table and a column"),
        ("result(t, c)", "a table and a column"),
        ("__import__('os').system('true')", "calls result(…)"),
        ("result('t', 'c', a=open('x'))", "a= needs"),
        ("result('t', 'c', a=[1])", "a= needs"),
        ("result('t', 'c', a=True)", "a= needs"),
        ("result('t', 'c', a=1e999)", "a= needs"),
        ("result('t', 'c', **{'a': 1})", "**= needs"),
        ("result('t', 'c', a=1, a=2)", "a= appears twice"),
        ("result('t', 'c') | 999999999d", "not a number format"),
        ("result('t', 'c') | {x}", "not a number format"),
        ("result('t', 'c') |", "not a live value"),
        ("", "not a live value"),
    ],
)
def test_bad_syntax_names_the_line(body: str, what: str):
    with pytest.raises(ValueError, match=re.escape(what)) as caught:
        find_live_values("one\ntwo {{ " + body + " }}", line=3)
    message = str(caught.value)
    assert message.startswith("profile.yaml:4: ")
    assert what in message
    assert "\n" not in message


def test_an_unclosed_value_is_an_error():
    with pytest.raises(ValueError, match=r"profile\.yaml:2: '\{\{' is never closed"):
        find_live_values("one\n{{ result('t', 'c') }", line=1)


def test_scan_gives_the_line_of_the_braces_in_every_scalar_style(tmp_path: Path):
    path = tmp_path / "profile.yaml"
    value = "{{ result('t', 'c') }}"
    path.write_text(
        f"é: plain\nfolded: >-\n  one\n  two {value}\n  {value}\nliteral: |\n  one\n\n  {value}\n"
        f'quoted: "a\n  b {value}"\nflow: [{{a: "{value}", b: "{value}"}}]\n'
        "figures:\n  - {name: transfer, caption: x}\n  - name: gan-samples\n",
        encoding="utf-8",
    )
    content = scan_profile(path)
    live, figures = content.live_values, content.figures
    assert [value.line for value in live] == [4, 5, 9, 11, 12, 12]
    assert figures == ["transfer", "gan-samples"]


def test_scan_reports_every_error_of_a_profile(tmp_path: Path):
    path = tmp_path / "profile.yaml"
    path.write_text("a: '{{ x }}'\na: 1\nb: '{{ result(1, 2) }}'\n", encoding="utf-8")
    with pytest.raises(ValueError, match="duplicate key 'a'") as caught:
        scan_profile(path)
    lines = str(caught.value).split("\n")
    assert [line.split(": ")[0] for line in lines] == [f"{path}:{number}" for number in (1, 2, 3)]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("figures: transfer", ":1: figures is not a list"),
        ("figures:\n  - name: ../secret", ":2: a figure needs a name"),
        ("figures:\n  - caption: x", ":2: a figure needs a name"),
        ("figures:\n  - name: a\n  - name: a", ":3: the figure 'a' is listed twice"),
        ("a: [1", ": not valid YAML"),
        ("a: !!python/name:os.system x", ":1: the tag"),
        ("a: &x [1]\nb: *x", "an alias (*)"),
        ("a: &x [*x]", "an alias (*)"),
        ("a: 2025-13-45", ":1: '2025-13-45' is not a valid value"),
        ('a: "\\x00"', ":1: the text has the control character U+0000"),
        ('a: "\\ud800"', ":1: not valid YAML"),
        ("[1]: 2", ":1: a key must be one word"),
        ("[" * 5000 + "]" * 5000, "nested too deeply"),
    ],
)
def test_yaml_that_is_refused(tmp_path: Path, text: str, what: str):
    path = tmp_path / "profile.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(what)) as caught:
        scan_profile(path)
    assert what in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_and_badly_encoded_files(tmp_path: Path):
    with pytest.raises(ValueError, match="cannot be read"):
        scan_profile(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"name: Ren\xe9")
    with pytest.raises(ValueError, match="byte 9 is not UTF-8"):
        scan_profile(tmp_path / "latin.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"# a\n# b\nname: Ren\xe9\n")
    with pytest.raises(ValueError, match=r"latin\.yaml:3: "):
        scan_profile(tmp_path / "latin.yaml")


def test_lines_of_nested_values(tmp_path: Path):
    path = tmp_path / "x.yaml"
    path.write_text("a:\n  - b: 1\n    c: 2\n", encoding="utf-8")
    document = read(path)
    assert document.data == {"a": [{"b": 1, "c": 2}]}
    assert document.line(("a", 0, "c")) == 3
    assert document.line(("a", 0, "missing")) == 2


def test_a_format_must_fit_its_value():
    value = LiveValue("t", "c", (), ".1%", 1)
    assert value.format_value(0.4137) == "41.4%"
    with pytest.raises(ValueError, match="does not fit"):
        value.format_value("text")
    for empty in (None, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="the cell 'c' of 't' has no number"):
            value.format_value(empty)


def test_the_module_imports_nothing_heavy():
    heavy = "{'torch', 'numpy', 'pydantic', 'jinja2', 'typst'}"
    code = f"import sys, advgen.cv.scan; print(*{heavy} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == []
