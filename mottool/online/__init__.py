"""Networks and trackers as objects, for images and detections that are in memory."""
