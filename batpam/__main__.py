"""Run the command line: `python -m batpam`."""

from batpam.cli import main

main()
