"""The name of the layout of caches. Imports no h5py, because plans compare it with records."""

__all__ = ["SCHEMA"]

SCHEMA = "mottool/detections/1"
