"""`advgen check-plugin`: test that the entries of a plug-in satisfy the contract of their family."""

import argparse
import json
import sys
from pathlib import Path

from pydantic import ValidationError

from advgen import registry
from advgen.core import catalog, plugins  # importing the catalog loads installed plug-ins
from advgen.core.code import PLUGIN_MODULE_ROOT, PLUGIN_PACKAGES
from advgen.study.errors import explain
from advgen.study.yaml import Source


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `advgen check-plugin`."""
    parser.add_argument("plugin", help="a Python file, or the module of an installed plug-in")
    keys = "keys for each kind: required ones, and smaller budgets"
    parser.add_argument("--keys", default="{}", metavar="JSON", help=keys)


def run(arguments: argparse.Namespace) -> None:
    """Print a line for each check; raise ValueError if one fails."""
    assert catalog.KINDS
    module, path = arguments.plugin, Path(arguments.plugin)
    torch_before = "torch" in sys.modules
    if path.suffix == ".py":
        plugins.load([path])
        module = f"{PLUGIN_MODULE_ROOT}.{path.stem}"
    specs = plugins.specs_from_module(module)
    if not specs:
        known = ", ".join(sorted(PLUGIN_PACKAGES)) or "none"
        raise ValueError(f"{arguments.plugin}: registers nothing; pass a .py file or an installed plug-in ({known})")
    if "torch" in sys.modules and not torch_before:
        reason = "because it adds two seconds to every plan of a study"
        print(f"note  imports torch: import it inside the function, {reason}")
    from advgen.contracts import run_checks  # needs torch

    try:
        keys = json.loads(arguments.keys)
    except ValueError as error:
        raise ValueError(f"--keys {arguments.keys}: not valid JSON: {error}") from None
    failed = 0
    for family, spec in specs:
        kind = registry.kind_of(spec)
        try:
            entry = spec(kind=kind, **keys.get(kind, {}))
        except ValidationError as error:
            message = explain(error, Source("--keys", {}), spec).splitlines()[0]
            raise ValueError(f"{kind}: {message}; pass keys as --keys '{{\"{kind}\": {{…}}}}'") from None
        for status, words, reason in run_checks(family, entry):
            failed += status == "fail"
            print(f"{status}  {family} {kind} {words}{f': {reason}' if reason else ''}", flush=True)
    if failed:
        raise ValueError(f"{arguments.plugin}: {failed} checks fail")
    print(f"{arguments.plugin}: all checks pass")
