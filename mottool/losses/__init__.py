"""Training losses, one file for each family; every term is a function named as in its paper."""
