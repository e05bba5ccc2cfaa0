"""The command line: words in any order, and the nearest name where one is misspelt."""

import os
from pathlib import Path

import pytest

from advgen.cli import TASKS, TOOLS, main
from advgen.commands.run import split_words


@pytest.mark.parametrize(
    ("words", "study", "rest"),
    [
        ("", "config/config.yaml", ""),
        ("-n", "config/config.yaml", "-n"),
        ("figures -n", "config/config.yaml", "figures -n"),
        ("my.yaml -n", "my.yaml", "-n"),
        ("-n my.yaml", "my.yaml", "-n"),
        ("--cores 2 -n my.yml figures", "my.yml", "figures --cores 2 -n"),
        ("figures my.yaml --until draw", "my.yaml", "figures --until draw"),
        ("--until draw my.yaml figures", "my.yaml", "figures --until draw"),
        ("--configfile other.yaml my.yaml", "my.yaml", "--configfile other.yaml"),
        ("results/cv/cv.pdf", "config/config.yaml", "results/cv/cv.pdf"),
        ("study -n", "study", "-n"),
    ],
)
def test_the_study_stands_anywhere(words: str, study: str, rest: str) -> None:
    assert split_words(words.split()) == (study, rest.split())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("rnu", "advgen: unknown command 'rnu'; did you mean run? (advgen --help lists all commands)"),
        ("--verison", "advgen: unknown option --verison; did you mean --version? (advgen --help lists all options)"),
        ("cv buld", "advgen cv: unknown 'buld'; did you mean build? (write build, import, diff, refresh, or"),
        ("prune --yse", "advgen prune: unknown option --yse; did you mean --yes? (advgen prune --help"),
        ("draw --spce={}", "advgen draw: unknown option --spce; did you mean --spec? (advgen draw --help"),
        ("run my.yaml --croes 2", "advgen run: unknown option --croes; did you mean --cores? (snakemake --help"),
        ("quite-another", "advgen: unknown command 'quite-another'; advgen --help lists all commands"),
    ],
)
def test_a_misspelt_word(
    words: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my.yaml").touch()
    with pytest.raises(SystemExit) as caught:
        main(words.split())
    said = capsys.readouterr().err
    assert caught.value.code == 2
    assert said.startswith(told) and said.count("\n") == 1


def test_every_command_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    for command in (*TOOLS, *TASKS):
        with pytest.raises(SystemExit) as caught:
            main([command, "--tracebakc"] if command != "run" else ["run", "--dry-rnu"])
        near = "--dry-run" if command == "run" else "--traceback"
        assert caught.value.code == 2
        assert f"did you mean {near}?" in capsys.readouterr().err, command


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("run sutdy.yaml", "advgen run: sutdy.yaml: no such study; did you mean 'study.yaml'?"),
        ("run figurs", "advgen run: figurs: no such study; did you mean 'figures'?"),
        ("run study.yaml other.yaml", "advgen run: study.yaml and other.yaml: a run is of one study; run one after"),
        ("run study.yaml --config seeds=3", "advgen run: --config: only the study can be configured; edit the study"),
        ("run folder", "advgen run: folder: is a folder; name a file"),
        ("plan folder", "advgen plan: folder: is a folder; name a file"),
        ("run pipe.yaml", "advgen run: pipe.yaml: is a pipe or a device; name a file"),
        ("plan pipe.yaml", "advgen plan: pipe.yaml: is a pipe or a device; name a file"),
        ("cv --profile pipe.yaml --out made", "advgen cv: pipe.yaml: is a pipe or a device; name a file"),
        ("verify /dev/zero", "advgen verify: /dev/zero: is a pipe or a device; name a file"),
    ],
)
def test_no_study_to_run(words: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("study.yaml").touch()
    Path("folder").mkdir()
    os.mkfifo("pipe.yaml")
    with pytest.raises(SystemExit) as caught:
        main(words.split())
    said = str(caught.value.code)
    assert said.startswith(told) and "\n" not in said
