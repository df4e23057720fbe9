"""The names of the decoders of videos. Imports no av."""

__all__ = ["AUTO", "CPU", "DECODERS"]

CPU, AUTO = "cpu", "auto"
DECODERS = (CPU, "gpu", AUTO)
