"""One learner per paper: its network, loss and optimiser."""
