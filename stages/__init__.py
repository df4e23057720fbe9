"""The stages: one module per command, each with a pure function `run` and a thin click command."""
