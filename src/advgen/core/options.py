"""Command lines that suggest the most similar command or option for an unknown one."""

import argparse
import difflib
import sys
from collections.abc import Sequence
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """A parser that suggests the most similar option for an unknown one before it reports other errors."""

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]
        """Check the names of the options, then parse as argparse does; exit with status 2 at an unknown option."""
        refuse_unknown_option(self, list(args or ()))
        return super().parse_known_args(args, namespace)


def refuse_unknown_option(
    parser: argparse.ArgumentParser, words: Sequence[str], prog: str = "", documented_by: str = ""
) -> None:
    """Exit with status 2 if one of the words is an option that the parser does not have."""
    prog = prog or parser.prog
    options = sorted(parser._option_string_actions)
    for word in words:
        option = word.partition("=")[0]
        if word == "--" or (not word.startswith("-") and parser._subparsers):
            return  # the remaining words belong to another parser
        if not option.startswith("--") or any(known.startswith(option) for known in options):
            continue
        advice = f"{documented_by or prog} --help lists all options"
        refuse(prog, f"unknown option {option}", option, options, advice)


def refuse(prog: str, message: str, word: str, known: Sequence[str], advice: str) -> NoReturn:
    """Print one line with the most similar known word, and exit with status 2 as argparse does."""
    near = difflib.get_close_matches(word, known, n=1)
    print(f"{prog}: {message}; {f'did you mean {near[0]}? ({advice})' if near else advice}", file=sys.stderr)
    sys.exit(2)
