"""Networks, one file each, and what reads their authors' checkpoints."""
