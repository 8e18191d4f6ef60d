"""The record of a race between the ways to run a model, and how it is shown."""
