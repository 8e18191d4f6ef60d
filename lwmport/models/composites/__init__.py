"""Composites: parts of a model that backends have a name for, each with the decomposition that defines it."""
