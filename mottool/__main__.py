"""`python -m mottool` is the same command as `mottool`."""

from mottool.cli.main import main

main()
