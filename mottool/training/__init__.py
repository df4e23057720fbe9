"""Training: what each paper's pipeline learns from, the loop, and what is kept of it."""
