"""Finding the first operator of a model file that computes something else than the reference."""
