"""Training data: what images are labelled with, and what networks are to say about them."""
