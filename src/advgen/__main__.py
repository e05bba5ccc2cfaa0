"""`python -m advgen`: in a process forked from the warm server of a run, where there is one, else in this one."""

import sys

from advgen.driver.workers import served

try:
    if not served():
        from advgen.cli import main

        main()
except KeyboardInterrupt:  # while its own modules were read
    sys.exit("advgen: interrupted")
