"""What converted language models expect, choose and find in texts."""
