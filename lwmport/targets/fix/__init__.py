"""Mending a model for a target: safe rewrites, and a proof on random inputs that the numbers stayed."""
