"""Tensors that are described before they are read."""
