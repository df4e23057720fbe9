"""Overlays on frames, and the video they are written to."""
