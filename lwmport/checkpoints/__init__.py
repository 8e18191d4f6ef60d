"""Checkpoints as lazy indexes: formats, seeded weights, writing, and the fit to a model."""
