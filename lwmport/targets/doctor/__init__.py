"""Whether this machine can do the work: what is installed, which card, and what stands in the way."""
