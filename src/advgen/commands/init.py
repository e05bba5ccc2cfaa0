"""`advgen init`: create a folder with a study or a CV."""

import argparse
from pathlib import Path

from advgen.files.provenance import write_bytes
from advgen.workflow import PROJECT

SNAKEFILE = '''"""{name}: the rules come with advgen; add your own below."""

from advgen.workflow import SNAKEFILE


include: SNAKEFILE


workflow.default_target = "all"  # the included file sets none
'''
README = """# {name}

```
advgen run              # run the study config/config.yaml; output goes to results/
advgen run -n           # list the jobs without running them
advgen status           # print the progress of the run
advgen verify           # compare all files with the study
```

Start with results/report/index.html. config/README.md lists the keys of a study. The CV is in config/cv/.
"""
CV_README = """# {name}

```
advgen cv --profile profile.yaml --bibliography publications.bib --metrics metrics.yaml --out made
```

Add `--watch` to rebuild the CV after every save. The person in these files is fictional: replace the entries.
"""
IGNORED = "results/\n.snakemake/\n"
PROFILES = ("profiles/default/config.yaml", "profiles/slurm/config.v8+.yaml")
REFERENCE = ("config/README.md", "config/config.schema.json")
STUDY = ("config/config.yaml", *(f"config/cv/{name}" for name in ("profile.yaml", "publications.bib", "metrics.yaml")))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `advgen init`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        "The study is the example of advgen: one experiment of each kind, a few minutes on two cores.\n\n"
        "  advgen init my-study && cd my-study && advgen run\n"
        "  advgen init --cv my-cv            only a CV; needs neither torch nor Snakemake"
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a new or empty folder")
    parser.add_argument("--cv", action="store_true", help="create only a CV, without experiments")


def run(arguments: argparse.Namespace) -> None:
    """Write the folder; raise ValueError if it is not empty."""
    folder = arguments.folder
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder}: already exists; choose a new or empty folder")
    name = folder.resolve().name
    files = cv_files(name) if arguments.cv else study_files(name)
    for path, content in files.items():
        write_bytes(folder / path, content)
    command = CV_README.splitlines()[3] if arguments.cv else "advgen run"
    print(f"{folder}: {len(files)} files\ncd {folder} && {command}")


def study_files(name: str) -> dict[str, bytes]:
    """Return the files of a new study by path; everything else is part of the package."""
    copied = {path: (PROJECT / path).read_bytes() for path in (*PROFILES, *REFERENCE, *STUDY)}
    written = {"Snakefile": SNAKEFILE, "README.md": README, ".gitignore": IGNORED}
    return {path: text.replace("{name}", name).encode() for path, text in written.items()} | copied


def cv_files(name: str) -> dict[str, bytes]:
    """Return the files of a new CV by path, without parts that need a study."""
    profile, *others = (PROJECT / path for path in STUDY[1:])
    copied = {path.name: path.read_bytes() for path in others}
    text = without_experiments(profile.read_text(encoding="utf-8"))
    return {"README.md": CV_README.replace("{name}", name).encode(), "profile.yaml": text.encode(), **copied}


def without_experiments(profile: str) -> str:
    """Return the example's profile without the section that quotes a study."""
    for start, end in (("  - section: experiments\n", "  - honors\n"), ("\nexperiments:\n", "\nhonors:\n")):
        before, after = profile.split(start)
        profile = before + end + after.split(end, 1)[1]
    return profile
