"""Speed and memory of pipelines on this machine."""
