"""`python -m mottool` is the same command as `mottool`."""

from mottool.cli import main

main()
