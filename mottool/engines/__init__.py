"""How many sequences are worked on at once: what gives stages a `concurrent.futures` executor."""
