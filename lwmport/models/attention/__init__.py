"""Causal attention in every form: at once, in blocks, in a loop, in a ring."""
