"""The table of checks agrees with the code: each name is reported by the function beside it."""

import ast
import re
from pathlib import Path

import pytest
from tests.project import ROOT

from advgen.core.catalog import TABLES
from advgen.metrics.sanity.table import CHECKS, FAILS, STORED, WARNS

SOURCE = {
    name: (ROOT / f"src/advgen/metrics/sanity/{name}.py").read_text(encoding="utf-8")
    for name in sorted({Path(check.function.__code__.co_filename).stem for check in CHECKS})
}


def test_every_check_states_what_it_protects_from_and_takes_existing_tables():
    assert all(check.protects_from and check.source and check.on_failure for check in CHECKS)
    assert all(set(check.tables) <= TABLES.keys() for check in CHECKS if check.group != STORED)
    assert {check.on_failure.split(",")[0] for check in CHECKS} == {FAILS, WARNS}


@pytest.mark.parametrize("name", SOURCE)
def test_every_function_that_checks_a_table_is_in_the_table_of_checks(name):
    listed = {check.function.__name__ for check in CHECKS if check.function.__module__.endswith(f".{name}")}
    functions = [node for node in ast.parse(SOURCE[name]).body if isinstance(node, ast.FunctionDef) and node.returns]
    returning_rows = {node.name for node in functions if ast.unparse(node.returns).endswith("[Check]")}
    assert listed == {function for function in returning_rows if not function.startswith("_")}


def test_keys_of_the_bibliography_exist():
    bibliography = (ROOT / "docs/references.bib").read_text(encoding="utf-8")
    keys = {key for check in CHECKS for key in re.findall(r"^[a-z]+\d{4}\w+", check.source)}
    assert keys and all(f"{{{key}," in bibliography for key in keys)
