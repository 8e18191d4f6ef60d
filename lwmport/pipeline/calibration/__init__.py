"""Runs of the reference on a text, from which weights are rounded by what they are multiplied with."""
