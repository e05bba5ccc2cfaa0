"""Entry point of `python -m advgen`. Runs in a process forked from the server of a run if there is one."""

import sys

from advgen.driver.workers import served

try:
    if not served():
        from advgen.cli import main

        main()
except KeyboardInterrupt:  # while modules are imported
    sys.exit("advgen: interrupted")
