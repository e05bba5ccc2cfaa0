"""The verdict on the laws."""

from advgen.core.provenance import write_bytes
from advgen.io.jobs import Job
from advgen.io.tables import read_table
from advgen.outcomes.laws.outcome import Qa


def run(job: Job[Qa]) -> None:
    """Write the verdict; ValueError names the broken laws, if any."""
    laws = read_table(job.input("laws"), "laws").to_pylist()
    broken = [law for law in laws if not law["holds"] and law["kind"] == "law"]
    flagged = [law for law in laws if not law["holds"] and law["kind"] == "flag"]
    if broken:
        lines = [f"  {law['law']} ({law['subject']}): {law['detail']}" for law in broken]
        raise ValueError("\n".join([f"{len(broken)} laws of honest evaluation are broken:", *lines]))
    lines = [f"# {len(laws)} checks, none broken, {len(flagged)} flagged", ""]
    for law in laws:
        mark = "holds" if law["holds"] else "flagged"
        lines.append(f"- {law['law']} ({law['subject']}): {mark}. {law['detail']}")
    text = "\n".join([*lines, "", f"<!-- {job.stamp.token()} -->", ""])
    write_bytes(job.output(), text.encode())
