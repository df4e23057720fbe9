"""Run the command `mottool` as `python -m mottool`."""

from mottool.cli.main import main

main()
