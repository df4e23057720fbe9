"""Tracks and ground truth in other programs' forms: CVAT, COCO, TrackEval, the server's zip."""
