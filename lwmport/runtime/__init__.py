"""Runners: every runtime behind one protocol."""
