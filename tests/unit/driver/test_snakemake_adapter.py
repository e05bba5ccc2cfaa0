"""One test per assumption about Snakemake: each fails if the installed version behaves differently.

`python -m tests.oldest_snakemake` runs them with the oldest supported version.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from advgen.driver import snakemake_adapter as adapter
from advgen.driver.snakemake_adapter import OutputRecord, find_cause, read_output_record

LONG = f"{'x' * 100}/{'y' * 100}"
"""A path whose record has a name of more than 255 letters."""
SNAKEFILE = """
import json
from advgen.driver import snakemake_adapter as adapter

observed = {
    "driver": adapter.is_driver(workflow),
    "local": adapter.runs_locally(workflow),
    "provider": adapter.storage_provider(workflow),
    "moved": adapter.modifies_path(workflow, "results/a"),
    "configfiles": [str(path) for path in workflow.configfiles],
}

rule all:
    input: "second.txt", "LONG.txt"

for name, inputs, output in [("first", ["given.txt"], "first.txt"), ("second", ["first.txt"], "second.txt")]:
    rule:
        name: name
        input: [adapter.ignore_modification_time(path) if path == "first.txt" else path for path in inputs]
        output: output
        log: f"results/logs/{name}/{name}.log"
        resources: gpu=int(name == "second")
        params: spec=SPEC, code="0123abcd"
        shell: "echo {params.spec:q} > {output} 2> {log}"

    adapter.set_docstring(rules, name, f"What {name} does.")

rule long_name:
    output: "LONG.txt"
    log: "results/logs/long_name/long_name.log"
    shell: "touch {output} > {log} 2>&1"

onstart:
    observed["locks"] = [type(workflow.scheduler._lock).__name__, hasattr(workflow.scheduler, "job_rate_limiter")]
    adapter.patch_scheduler(workflow)
    observed["run"] = adapter.describe_run(workflow, "a study")
    observed["jobs to run"] = len(list(workflow.dag.needrun_jobs()))
    adapter.log_plan(observed["run"])
    with open("observed.json", "w") as file:
        json.dump(observed, file)

onsuccess:
    adapter.log_farewell("Goodbye")
""".replace("LONG", LONG)
SPEC = '{"a":"b \'c\'"}'
FAILING = """
rule all:
    output: "out.txt"
    log: "results/logs/all/all.log"
    shell: "(echo trouble; exit 3) > {log} 2>&1"

onstart:
    from advgen.driver import snakemake_adapter as adapter
    adapter.log_plan(adapter.describe_run(workflow, "a study"))
"""


def snakemake(folder: Path, *arguments: str) -> str:
    """Run Snakemake in a folder; return what it prints."""
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--logger", "advgen", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100)
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "given.txt").write_text("given")
    (folder / "old").touch()
    (folder / "Snakefile").write_text(f"SPEC = {SPEC!r}\n{SNAKEFILE}")
    (folder / "printed.txt").write_text(snakemake(folder, "--resources", "gpu=2"))
    return folder


@pytest.fixture
def observed(finished: Path) -> dict[str, Any]:
    printed = (finished / "printed.txt").read_text()
    assert (finished / "observed.json").exists(), printed
    return dict(json.loads((finished / "observed.json").read_text()))


@pytest.fixture
def in_folder(finished: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(finished)
    return finished


def test_a_workflow_has_its_settings(observed: dict[str, Any]) -> None:
    assert observed["driver"] and observed["local"] and not observed["moved"]
    assert observed["provider"] is None and observed["configfiles"] == []


def test_the_jobs_to_run_are_known_when_a_run_starts(observed: dict[str, Any]) -> None:
    logs = {name: f"results/logs/{name}/{name}.log" for name in ("first", "second", "long_name")}
    run = observed["run"]
    assert (run["study"], run["cores"], run["gpus"]) == ("a study", 1, 2)
    jobs = {job["log"]: (job["gpu"], job["after"], job["cause"]) for job in run["jobs"]}
    assert jobs == {
        logs["first"]: (0, [], "missing"),
        logs["second"]: (1, [logs["first"]], "missing"),
        logs["long_name"]: (0, [], "missing"),
    }
    assert observed["jobs to run"] == 4  # also `all`, which has no log


def test_the_scheduler_has_the_faults_that_are_patched(observed: dict[str, Any]) -> None:
    """If this fails, `patch_scheduler` may be unnecessary, or it may set attributes that nothing reads."""
    assert observed["locks"] == ["lock", True]
    scheduler = SimpleNamespace(_lock=threading.Lock(), job_rate_limiter=object(), print_progress=False)
    adapter.patch_scheduler(SimpleNamespace(scheduler=scheduler))
    assert scheduler.job_rate_limiter is None and scheduler.print_progress
    with scheduler._lock:
        assert scheduler._lock.acquire(blocking=False)


def test_rules_made_in_a_loop_have_docstrings(finished: Path) -> None:
    assert "What second does." in snakemake(finished, "--list-rules")


def test_log_records_of_a_run_have_what_the_console_prints(finished: Path, observed: dict[str, Any]) -> None:
    """The plug-in reads them through `EventReader`."""
    lines = (finished / "printed.txt").read_text().splitlines()
    assert lines[0].startswith("3 jobs to run, about ") and lines[0].endswith(": 3 missing"), lines
    assert [line.split()[1] for line in lines[1:4]].count("first") == 1
    assert lines[4:] == [next(line for line in lines if line.startswith("3 of 3 jobs done in ")), "Goodbye"]


def test_log_records_of_a_dry_run_have_causes_and_counts(finished: Path) -> None:
    printed = snakemake(finished, "-n", "--forcerun", "first")
    assert printed.startswith("first  forced\n") and "\nfirst      1\n" in printed
    assert "1 job would run: 1 forced\n" in printed


def test_log_records_of_a_failure_have_log_and_command(tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text(FAILING)
    printed = snakemake(tmp_path)
    assert "FAILED all" in printed and "    trouble\n" in printed
    assert "  command:  (echo trouble; exit 3)\n" in printed
    assert "Full log with all commands: .snakemake/log/" in printed
    assert "RuleException" not in printed and "At least one job did not complete" not in printed


@pytest.mark.parametrize("name", ["second.txt", f"{LONG}.txt"])
def test_records_of_outputs_are_where_they_are_looked_for(name: str, in_folder: Path) -> None:
    assert adapter.has_output_record(name) and not adapter.has_output_record("given.txt")
    assert read_output_record("given.txt") == OutputRecord()


def test_a_record_has_params_inputs_and_checksums(in_folder: Path) -> None:
    record = read_output_record("first.txt")
    assert not record.incomplete and record.inputs == {"given.txt"}
    assert not record.differs_in(SPEC) and not record.differs_in("0123abcd") and record.differs_in("other code")
    assert record.spec() == SPEC
    assert record.checksums == {"given.txt": f"sha256:{sha256(b'given').hexdigest()}"}


def test_a_marked_output_is_made_again(in_folder: Path) -> None:
    assert "Nothing to be done" in snakemake(in_folder, "-n")
    adapter.mark_incomplete("second.txt")
    printed = snakemake(in_folder, "-n", "--rerun-incomplete")
    adapter._path_below(adapter.INCOMPLETE, "second.txt").unlink()
    assert "second  forced\n" in printed


def test_an_input_without_modification_time_may_be_newer(in_folder: Path) -> None:
    os.utime("first.txt")
    assert "Nothing to be done" in snakemake(in_folder, "-n")


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda folder: (folder / "given.txt").write_text("changed"), "inputs changed"),
        (lambda folder: (folder / "second.txt").unlink(), "missing"),
        (lambda folder: _replace(folder / "Snakefile", "0123abcd", "4567abcd"), "settings or code changed"),
        (
            lambda folder: _replace(folder / "Snakefile", '["given.txt"]', '["given.txt", "observed.json"]'),
            "other inputs",
        ),
    ],
)
def test_reasons_are_recognised(change: Callable[[Path], None], cause: str, finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    subprocess.run(["cp", "-a", finished, folder], check=True)
    change(folder)
    printed = snakemake(folder, "-n", "--rerun-triggers", "mtime", "params", "input")
    assert cause in printed and "other reasons" not in printed


def _replace(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("Missing output files: a; Input files updated by another job: b", "missing"),
        ("Input files updated by another job: b; Params have changed since last execution", "settings or code changed"),
        ("Software environment definition has changed since last execution", "other reasons"),
    ],
)
def test_the_strongest_reason_counts(reason: str, cause: str) -> None:
    assert find_cause(reason) == cause


def test_options_of_the_command_line() -> None:
    options = adapter.get_argument_parser()._option_string_actions
    assert {
        "--config",
        "--cores",
        "--resources",
        "--configfile",
        "--configfiles",
        "--report-metadata",
    } <= options.keys()
    assert {"--report-metadata", "--default-storage-provider", "--logger-advgen-plain"} <= options.keys()


def test_the_settings_that_a_logger_plug_in_gets() -> None:
    from snakemake.settings.types import OutputSettings
    from snakemake_interface_logger_plugins.settings import OutputSettingsLoggerInterface

    assert issubclass(OutputSettings, OutputSettingsLoggerInterface)
    settings: Any = OutputSettings()
    assert adapter.console_options(settings) == {"quiet": [], "dryrun": False, "colour": True}
    assert not adapter.prints_itself(settings)


def test_a_module_statement_that_moves_results_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "inner").write_text(
        "from advgen.driver import snakemake_adapter as adapter\n"
        "print('moved', adapter.modifies_path(workflow, 'results/report'))\n"
        "rule all:\n    shell: 'true'\n"
    )
    (tmp_path / "Snakefile").write_text(
        "module inner:\n    snakefile: 'inner'\n    prefix: 'there'\nuse rule * from inner\n"
    )
    assert "moved True" in snakemake(tmp_path, "-n")
