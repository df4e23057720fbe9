"""The command line without its commands, which are in `stages/`."""
