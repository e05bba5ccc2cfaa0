"""`advgen check-plugin`: whether what a plug-in registers keeps the contract of its family."""

import argparse
import json
import sys
from pathlib import Path

from pydantic import ValidationError

from advgen import registry
from advgen.core import catalog, plugins  # the catalog loads those that are installed
from advgen.core.code import PLUGIN_MODULE_ROOT, PLUGIN_PACKAGES
from advgen.study.errors import explain
from advgen.study.yaml import Source


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `advgen check-plugin`."""
    parser.add_argument("plugin", help="a Python file, or the module of an installed one")
    parser.add_argument(
        "--keys", default="{}", metavar="JSON", help="keys of each kind: those without a default, and smaller budgets"
    )


def run(arguments: argparse.Namespace) -> None:
    """Print a line for each check; ValueError if one fails."""
    assert catalog.KINDS
    module, path = arguments.plugin, Path(arguments.plugin)
    torch_before = "torch" in sys.modules
    if path.suffix == ".py":
        plugins.load([path])
        module = f"{PLUGIN_MODULE_ROOT}.{path.stem}"
    brought = plugins.specs_from_module(module)
    if not brought:
        known = ", ".join(sorted(PLUGIN_PACKAGES)) or "none"
        raise ValueError(f"{arguments.plugin}: registers nothing here; give a .py file, or an installed one ({known})")
    if "torch" in sys.modules and not torch_before:
        print("note  imports torch: import it in the function, or each plan of a study takes two seconds longer")
    from advgen.contracts import run_checks  # needs torch

    try:
        keys = json.loads(arguments.keys)
    except ValueError as error:
        raise ValueError(f"--keys {arguments.keys}: no JSON: {error}") from None
    failed = 0
    for family, spec in brought:
        kind = registry.kind_of(spec)
        try:
            one = spec(kind=kind, **keys.get(kind, {}))
        except ValidationError as error:
            told = explain(error, Source("--keys", {}), spec).splitlines()[0]
            raise ValueError(f"{kind}: {told}; give keys as --keys '{{\"{kind}\": {{…}}}}'") from None
        for status, words, reason in run_checks(family, one):
            failed += status == "fail"
            print(f"{status}  {family} {kind} {words}{f': {reason}' if reason else ''}", flush=True)
    if failed:
        raise ValueError(f"{arguments.plugin}: {failed} checks fail")
    print(f"{arguments.plugin}: keeps its contract")
