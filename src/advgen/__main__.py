"""`python -m advgen`."""

from advgen.cli import main

main()
