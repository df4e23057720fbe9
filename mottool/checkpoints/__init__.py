"""Weights files: read, check, describe and download them."""
