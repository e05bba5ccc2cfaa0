"""`advgen init`: a folder with a study, or a CV, of one's own."""

import argparse
from pathlib import Path

from advgen.files.provenance import write_bytes
from advgen.workflow import PROJECT

SNAKEFILE = '''"""{name}: what is made, and how, comes with advgen; rules of your own may stand below."""

from advgen.workflow import SNAKEFILE


include: SNAKEFILE


workflow.default_target = "all"  # what is included names none
'''
README = """# {name}

```
advgen run              # everything that config/config.yaml asks for, into results/
advgen run -n           # what that would make
advgen status           # how far it is
advgen verify           # whether what lies there is what the study asks for
```

Start at results/report/index.html. The keys of a study: config/README.md. Whose CV is made: config/cv/.
"""
CV_README = """# {name}

```
advgen cv --profile profile.yaml --bibliography publications.bib --metrics metrics.yaml --out made
```

Add `--watch` to have it made again after every save. The person in these files is invented: put yourself there.
"""
IGNORED = "results/\n.snakemake/\n"
PROFILES = ("profiles/default/config.yaml", "profiles/slurm/config.v8+.yaml")
REFERENCE = ("config/README.md", "config/config.schema.json")
STUDY = ("config/config.yaml", *(f"config/cv/{name}" for name in ("profile.yaml", "publications.bib", "metrics.yaml")))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `advgen init`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        "The study is the example that comes with advgen: every kind of experiment once, some minutes on two cores.\n\n"
        "  advgen init my-study && cd my-study && advgen run\n"
        "  advgen init --cv my-cv            profile, bibliography and numbers of a CV; needs no torch, no Snakemake"
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="new, or empty")
    parser.add_argument("--cv", action="store_true", help="a CV alone, without experiments")


def run(arguments: argparse.Namespace) -> None:
    """Write the folder; ValueError if something lies there."""
    folder = arguments.folder
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder}: is there already; name a new folder, or an empty one")
    name = folder.resolve().name
    files = cv_files(name) if arguments.cv else study_files(name)
    for path, content in files.items():
        write_bytes(folder / path, content)
    next_ = "advgen run" if not arguments.cv else CV_README.splitlines()[3]
    print(f"{folder}: {len(files)} files\ncd {folder} && {next_}")


def study_files(name: str) -> dict[str, bytes]:
    """What a study of one's own needs, by path: everything else comes with the package."""
    copied = {path: (PROJECT / path).read_bytes() for path in (*PROFILES, *REFERENCE, *STUDY)}
    written = {"Snakefile": SNAKEFILE, "README.md": README, ".gitignore": IGNORED}
    return {path: text.replace("{name}", name).encode() for path, text in written.items()} | copied


def cv_files(name: str) -> dict[str, bytes]:
    """What a CV needs, by path, without what only a study gives."""
    profile, *others = (PROJECT / path for path in STUDY[1:])
    copied = {path.name: path.read_bytes() for path in others}
    text = without_experiments(profile.read_text(encoding="utf-8"))
    return {"README.md": CV_README.replace("{name}", name).encode(), "profile.yaml": text.encode(), **copied}


def without_experiments(profile: str) -> str:
    """The example's profile without the section whose numbers and pictures come from a study."""
    for start, end in (("  - section: experiments\n", "  - honors\n"), ("\nexperiments:\n", "\nhonors:\n")):
        before, after = profile.split(start)
        profile = before + end + after.split(end, 1)[1]
    return profile
