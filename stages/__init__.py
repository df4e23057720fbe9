"""The stages: one module per command, each a pure `run` and the thin click command around it."""
