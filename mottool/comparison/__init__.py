"""Compare pipelines and trackers on the same sequences: accuracy, speed and their ranks."""
