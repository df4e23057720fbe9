"""Training losses, one file per family; each term is a function named as in its paper."""
