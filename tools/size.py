"""Print the number of lines of Python in src and tests: `python -m tools.size`. It fails above a limit.

It also fails if docs/decisions/files.md does not list a file of src with more than 300 lines.

Physical lines count, blank ones and comments included, of the files that git tracks.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIMITS = {"src": 40_900, "tests": 37_500}
"""The most lines of each folder."""
LONGEST = 300
"""The most lines of a file that needs no reason."""
REASONS = ROOT / "docs/decisions/files.md"


def count_lines(folder: str) -> dict[str, int]:
    """Return the number of lines of each Python file in a folder."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", f"{folder}/*.py"]
    names = subprocess.check_output(command, cwd=ROOT, text=True).split("\0")
    return {name: (ROOT / name).read_bytes().count(b"\n") for name in names if name and (ROOT / name).is_file()}


def main() -> None:
    """Print the sizes; exit with status 1 if a folder is above its limit."""
    files = {folder: count_lines(folder) for folder in LIMITS}
    counts = {folder: sum(lines.values()) for folder, lines in files.items()}
    for folder, count in counts.items():
        print(f"{folder}: {count:,} lines of Python (limit {LIMITS[folder]:,})")
    if any(count > LIMITS[folder] for folder, count in counts.items()):
        sys.exit("too many lines: remove code, or explain the new limit in tools/size.py")
    reasons = REASONS.read_text(encoding="utf-8")
    long_files = [name.removeprefix("src/advgen/") for name, lines in files["src"].items() if lines > LONGEST]
    if missing := [name for name in long_files if f"`{name}`" not in reasons]:
        sys.exit(f"more than {LONGEST} lines: {', '.join(missing)}; split them, or give a reason in {REASONS.name}")


if __name__ == "__main__":
    main()
