"""Multi-object tracking in stages: networks once, association a hundred times."""

__all__ = ["__version__"]

__version__ = "0.1.0"
