"""The integers of a model file, seen while it runs an operator at a time."""
