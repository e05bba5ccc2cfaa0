"""Time and memory of a job, in the columns of Snakemake's benchmarks. The job itself measures them."""

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from advgen.files.provenance import write_bytes

KIB = 1024 if sys.platform == "linux" else 1
"""Bytes in the unit of `ru_maxrss`."""


@contextmanager
def record_benchmark(path: Path | None) -> Iterator[None]:
    """Write time and memory of a block to a table if the block succeeds.

    The columns are wall-clock seconds, peak memory in MB of this process or a child, their input and output in MB, and
    their CPU seconds, which include those before the block.
    """
    start = time.monotonic()
    yield
    if path is None:
        return
    seconds = time.monotonic() - start
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    processor = sum(one.ru_utime + one.ru_stime for one in used)
    row = {
        "s": f"{seconds:.4f}",
        "h:m:s": str(timedelta(seconds=round(seconds))),
        "max_rss": f"{max(one.ru_maxrss for one in used) * KIB / 1e6:.2f}",
        "io_in": f"{sum(one.ru_inblock for one in used) * 512 / 1e6:.2f}",
        "io_out": f"{sum(one.ru_oublock for one in used) * 512 / 1e6:.2f}",
        "mean_load": f"{100 * processor / max(seconds, 1e-9):.2f}",
        "cpu_time": f"{processor:.2f}",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, ("\t".join(row) + "\n" + "\t".join(row.values()) + "\n").encode())
