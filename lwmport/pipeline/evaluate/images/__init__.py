"""Pictures of two folders, held against each other by their names."""
