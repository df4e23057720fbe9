"""Frames of videos and image folders."""
