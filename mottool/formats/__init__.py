"""Read and write tracks and ground truth in the formats of other programs."""
