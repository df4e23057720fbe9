"""Folders and labels of benchmarks other than MOTChallenge."""
