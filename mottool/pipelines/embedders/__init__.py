"""What describes a given box when a pipeline has two stages."""
