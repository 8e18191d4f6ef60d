"""What is found at a path, by what it is."""
