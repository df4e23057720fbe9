"""What is known of each network by its name; nothing heavy is imported here."""
