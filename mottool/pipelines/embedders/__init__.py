"""Embedders of given boxes, for two-stage pipelines."""
