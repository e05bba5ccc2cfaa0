"""`advgen docs`: the pages that are told by the code itself."""

import argparse
from pathlib import Path

from advgen.core.provenance import write_bytes
from advgen.driver.pages import results_page, rules_page
from advgen.study.reference import reference, schema_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `advgen docs`."""
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a page is out of date")


def run(arguments: argparse.Namespace) -> None:
    """Write or check all pages."""
    pages = {
        Path("config/README.md"): reference(),
        Path("config/config.schema.json"): schema_text(),
        Path("docs/rules.md"): rules_page(Path("config/smoke.yaml")),
        Path("results/README.md"): results_page(),
    }
    for path, text in pages.items():
        if not arguments.check:
            write_bytes(path, text.encode())
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            raise ValueError(f"{path} is out of date; run `python -m advgen docs`")
