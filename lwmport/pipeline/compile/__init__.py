"""Artifacts compiled for a target."""
