"""The cache: detections, embeddings and occlusion maps of a sequence in one HDF5 file."""
