"""`python -m advgen`."""

import sys

try:
    from advgen.cli import main

    main()
except KeyboardInterrupt:  # while its own modules were read
    sys.exit("advgen: interrupted")
