"""Racing the ways in which this machine may run a model."""
