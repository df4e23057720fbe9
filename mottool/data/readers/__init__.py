"""Readers of dataset formats, one file per format."""
