"""What a network should output for a batch, one file per network family."""
