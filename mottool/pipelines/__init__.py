"""What makes detections and embeddings, each named once in `registry.py`."""
