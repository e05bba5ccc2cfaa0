"""Print the number of lines of Python in src and tests: `python -m tools.size`. It fails above a limit.

Physical lines count, blank ones and comments included, of the files that git tracks.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIMITS = {"src": 40_900, "tests": 37_500}
"""The most lines of each folder."""


def count_lines(folder: str) -> int:
    """Return the number of lines of the Python files in a folder."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", f"{folder}/*.py"]
    names = subprocess.check_output(command, cwd=ROOT, text=True).split("\0")
    return sum((ROOT / name).read_bytes().count(b"\n") for name in names if name and (ROOT / name).is_file())


def main() -> None:
    """Print the sizes; exit with status 1 if a folder is above its limit."""
    counts = {folder: count_lines(folder) for folder in LIMITS}
    for folder, count in counts.items():
        print(f"{folder}: {count:,} lines of Python (limit {LIMITS[folder]:,})")
    if any(count > LIMITS[folder] for folder, count in counts.items()):
        sys.exit("too many lines: remove code, or explain the new limit in tools/size.py")


if __name__ == "__main__":
    main()
