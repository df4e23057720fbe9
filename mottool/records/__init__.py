"""Records of what results were made from, and what is known of unchanged files."""
