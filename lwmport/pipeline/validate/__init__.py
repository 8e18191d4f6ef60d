"""Artifacts beside their reference: inputs, runs on both sides, comparison."""
