"""Backbones shared by several networks."""
