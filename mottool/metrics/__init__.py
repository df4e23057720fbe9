"""Tracking, detection and re-identification metrics, by the rules of MOTChallenge."""
