"""Pipelines and trackers side by side: what each finds, how well, and how fast."""
