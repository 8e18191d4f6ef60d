"""Checkpoints made and converted."""
