"""Judges: metrics, tolerances and verdicts."""
