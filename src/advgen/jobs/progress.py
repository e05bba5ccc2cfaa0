"""Progress lines: jobs print them into their logs, and the driver reads from them how far a job is."""

import math
import re
import time
from collections.abc import Mapping
from typing import NamedTuple, TextIO

PROGRESS_SECONDS = 5.0
"""The least time between two progress lines."""

CACHE_HIT = ": result reused from the cache in "
"""Part of the line that a job prints if it reuses a cached result."""
_PROGRESS_LINE = re.compile(
    r"^[^:]+: (?P<text>\d+/\d+ \(\d+%\).*?)(?:  (?P<remaining>[\d:]+) left)?$|^(?:.*: )?(?P<waiting>waits for .*)$"
)


class Progress:
    """Print progress as whole lines on `stream` (default: stdout), at most one every five seconds.

    Called as `progress(step, total, numbers)`. Each line has the step, the numbers that are not NaN, and an estimate
    of the remaining time from the pace since the first call.
    """

    def __init__(self, label: str, stream: TextIO | None = None):
        self.label, self.stream, self.first_step = label, stream, -1
        self.start = self.last_print = time.monotonic()

    def __call__(self, step: int, total: int, numbers: Mapping[str, float] | None = None) -> None:
        """Report that `step` of `total` is done."""
        now = time.monotonic()
        if self.first_step < 0:
            self.start, self.first_step = now, step
        if now - self.last_print < PROGRESS_SECONDS:
            return
        self.last_print = now
        done = max(step - self.first_step, 1)
        remaining = format_duration((now - self.start) / done * (total - step))
        # some numbers exist only once per epoch and are NaN in between
        values = "".join(f"  {name} {value:.3g}" for name, value in (numbers or {}).items() if not math.isnan(value))
        line = f"{self.label}: {step}/{total} ({step / total:.0%}){values}  {remaining} left"
        print(line, file=self.stream, flush=True)


class ParsedProgress(NamedTuple):
    """A progress line: its text without label and time, and the remaining seconds if the line has them."""

    text: str
    remaining: float | None


def parse_progress(line: str) -> ParsedProgress | None:
    """Parse a line that `Progress` printed, or one that says what a job waits for; None for any other line."""
    match = _PROGRESS_LINE.match(line)
    if match is None:
        return None
    if match["waiting"]:
        return ParsedProgress(match["waiting"], None)
    return ParsedProgress(match["text"], parse_duration(match["remaining"]) if match["remaining"] else None)


def format_duration(seconds: float) -> str:
    """Format seconds as 1:05 or 2:10:00."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def parse_duration(text: str) -> float:
    """Return the seconds in a text that `format_duration` wrote."""
    total = 0.0
    for part in text.split(":"):
        total = total * 60 + int(part)
    return total
