"""Check the wording of the documentation and of the texts in src: `python -m tools.prose`, or with PATHS.

The rules are in styles/advgen, in the format of Vale (https://vale.sh), so that editors with Vale show the same
problems. This module applies them without Vale's binary, which pip cannot install offline. It supports the rule types
`substitution`, `existence`, and `occurrence` for sentences. Problems with the level `error` make it fail.
"""

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tools.strings import extract_strings

ROOT = Path(__file__).parents[1]
STYLES = ROOT / "styles/advgen"
ACCEPTED = STYLES.parent / "config/vocabularies/advgen/accept.txt"
"""Names in stored results, which do not change."""
PATHS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs", "config", "results/README.md", "src", "tools")
SUFFIXES = {".md", ".py", ".rst"}
CODE = re.compile(r"```.*?```|``.*?``|`[^`]*`|<!--.*?-->|\]\([^)]*\)|https?://\S+|\{\{.*?\}\}", re.DOTALL)
"""Parts of a text that are not prose."""
SENTENCE_END = re.compile(r"[.!?:;](?=\s)|\n\s*\n|\n(?=\s*[-*#|:>])|\|")


@dataclass(frozen=True)
class Problem:
    """A place where a text breaks a rule."""

    path: Path
    line: int
    level: str
    message: str
    rule: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.level}: {self.message} [{self.rule}]"


class Rule:
    """A rule of Vale."""

    def __init__(self, path: Path) -> None:
        content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        self.name, self.level, self.message = path.stem, content["level"], content["message"]
        self.kind = content["extends"]
        flags = re.IGNORECASE if content.get("ignorecase") else 0
        if self.kind == "substitution":
            self.swap = {_compile(key, flags): value for key, value in content["swap"].items()}
        elif self.kind == "existence":
            self.swap = {_compile(token, flags): "" for token in content["tokens"]}
        elif self.kind == "occurrence" and content["scope"] == "sentence":
            self.token, self.most = re.compile(content["token"]), content["max"]
        else:
            raise ValueError(f"{path}: only substitution, existence, and occurrence in a sentence are supported")

    def find(self, text: str) -> Iterator[tuple[int, str]]:
        """Yield the offset and the message of each problem in a text."""
        if self.kind == "occurrence":
            start = 0
            for end in [*(match.end() for match in SENTENCE_END.finditer(text)), len(text)]:
                if len(self.token.findall(text, start, end)) > self.most:
                    yield start + len(text[start:end]) - len(text[start:end].lstrip()), self.message
                start = end
            return
        for pattern, replacement in self.swap.items():
            for match in pattern.finditer(text):
                words = (replacement, match[0]) if replacement else (match[0],)
                yield match.start(), self.message % tuple(" ".join(word.split()) for word in words)


def _compile(words: str, flags: int) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{words})\b".replace(" ", r"\s+"), flags)


def load_rules(styles: Path = STYLES) -> list[Rule]:
    """Return the rules of a folder."""
    return [Rule(path) for path in sorted(styles.glob("*.yml"))]


def list_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the files to check: the given ones, and those in the given folders."""
    for path in paths:
        if path.is_dir():
            yield from sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES)
        else:
            yield path


def read_texts(path: Path) -> Iterable[tuple[int, str]]:
    """Return the texts of a file with the line where each begins."""
    return extract_strings(path) if path.suffix == ".py" else [(1, path.read_text(encoding="utf-8"))]


def blank_code(text: str) -> str:
    """Replace each part that is not prose, or an accepted name, by a word that keeps the line breaks."""
    for name in ACCEPTED.read_text(encoding="utf-8").splitlines():
        text = text.replace(name, "X")
    return CODE.sub(lambda match: "X" + "\n" * match[0].count("\n"), text)


def find_problems(path: Path, rules: Iterable[Rule]) -> list[Problem]:
    """Return the problems of a file, in the order of lines."""
    found = {
        Problem(path, line + text.count("\n", 0, offset), rule.level, message, rule.name)
        for line, original in read_texts(path)
        for text in [blank_code(original)]
        for rule in rules
        for offset, message in rule.find(text)
    }
    return sorted(found, key=lambda problem: (problem.line, problem.message))


def main() -> None:
    """Print the problems of the files; exit with status 1 if one is an error."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", type=Path, default=[ROOT / path for path in PATHS])
    parser.add_argument("--warnings", action="store_true", help="print warnings, too")
    parser.add_argument("--count", action="store_true", help="print only the number of problems per file")
    options = parser.parse_args()
    rules = load_rules()
    levels = {"error", "warning"} if options.warnings else {"error"}
    problems = [one for path in list_files(options.paths) for one in find_problems(path, rules) if one.level in levels]
    if options.count:
        for path, count in Counter(problem.path for problem in problems).most_common():
            print(f"{count:5d}  {path}")
    else:
        print(*problems, sep="\n")
    if errors := sum(problem.level == "error" for problem in problems):
        sys.exit(f"{errors} errors of wording; python -m tools.prose --count lists the files")


if __name__ == "__main__":
    main()
