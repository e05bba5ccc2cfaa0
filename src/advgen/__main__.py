"""`python -m advgen`: in a process forked from the warm server of a run, where there is one, else in this one."""

from advgen.driver.workers import served

if not served():
    from advgen.cli import main

    main()
