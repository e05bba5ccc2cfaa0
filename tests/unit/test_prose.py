"""tools/prose.py applies rules in Vale's format to prose, and to nothing else."""

from pathlib import Path

import pytest
from tools.prose import STYLES, find_problems, load_rules

RULES = load_rules(STYLES)
LONG = " ".join(["word"] * 31) + "."


def problems(path: Path, text: str) -> list[str]:
    path.write_text(text, encoding="utf-8")
    return [f"{problem.line} {problem.rule} {problem.message}" for problem in find_problems(path, RULES)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Fine.\n\nThe nets are trained.\n", ["3 Terms Use 'model, classifier' instead of 'nets'."]),
        ("`nets: 1`\n\n```yaml\nnets: told\n```\n\n[x](nets.md) {{ told('a') }}", []),
        (f"Short. {LONG}", ["1 SentenceLength This sentence has more than 30 words."]),
        (f"| {LONG[:90]} | {LONG[:90]} |\n\n- a list\n- {LONG[:90]}", []),
        ("A file\nknows it.", ["1 Anthropomorphism 'file knows': things do not know, ask, tell or want;"]),
    ],
)
def test_problems_in_markdown(text: str, expected: list[str], tmp_path: Path) -> None:
    found = problems(tmp_path / "page.md", text)
    assert len(found) == len(expected)
    assert all(message.startswith(start) for message, start in zip(found, expected, strict=True))


def test_problems_in_python(tmp_path: Path) -> None:
    source = '"""A module of nets."""\n\nnets = {"nets": 1}  # nets\nraise ValueError(f"{nets} nets\\nare too many")\n'
    assert [line.split()[0] for line in problems(tmp_path / "code.py", source)] == ["1", "3", "4"]


def test_unknown_rules_are_errors(tmp_path: Path) -> None:
    (tmp_path / "Rule.yml").write_text("{extends: capitalization, level: error, message: x}")
    with pytest.raises(ValueError, match="only substitution, existence, and occurrence"):
        load_rules(tmp_path)
