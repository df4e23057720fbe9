"""Where boxes come from when a pipeline has two stages."""
