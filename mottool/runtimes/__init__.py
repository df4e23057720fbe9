"""Runtimes: what computes a network's `forward`, chosen by name or by measurement."""
