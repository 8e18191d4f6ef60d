"""How fast a model is here, for which lengths and batches, and where it ends."""
