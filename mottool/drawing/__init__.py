"""Overlays on frames, the videos that they are written to, and figures."""

import logging

# Matplotlib logs two lines if it cannot write to the user's folder, where it keeps a list of fonts.
logging.getLogger("matplotlib").setLevel(logging.ERROR)
