"""`python -m advgen`: run a command in the warm server of a run if there is one, else in this process."""

import sys

from advgen.driver.workers import run_in_server

try:
    if not run_in_server():
        from advgen.cli import main

        main()
except KeyboardInterrupt:  # while modules are imported
    sys.exit("advgen: interrupted")
