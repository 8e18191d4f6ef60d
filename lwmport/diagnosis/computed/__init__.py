"""Causes that values alone can prove: each computes what it would give for the right operator's own inputs."""
