"""Write the verdict on the sanity checks."""

from advgen.files.provenance import write_bytes
from advgen.io.tables import read_table
from advgen.jobs.job import Job
from advgen.outcomes.sanity.outcome import Qa


def run(job: Job[Qa]) -> None:
    """Write the verdict; raises ValueError with the failed checks, if any."""
    checks = read_table(job.input("checks"), "sanity_checks").to_pylist()
    failed = [check for check in checks if not check["holds"] and check["kind"] == "check"]
    warnings = [check for check in checks if not check["holds"] and check["kind"] == "warning"]
    if failed:
        lines = [f"  {check['check']} ({check['subject']}): {check['detail']}" for check in failed]
        raise ValueError("\n".join([f"{len(failed)} sanity checks fail:", *lines]))
    lines = [f"# {len(checks)} checks, none failed, {len(warnings)} with a warning", ""]
    for check in checks:
        mark = "holds" if check["holds"] else "warning"
        lines.append(f"- {check['check']} ({check['subject']}): {mark}. {check['detail']}")
    text = "\n".join([*lines, "", f"<!-- {job.stamp.token()} -->", ""])
    write_bytes(job.output(), text.encode())
