"""Read, check, describe and download weights files."""
