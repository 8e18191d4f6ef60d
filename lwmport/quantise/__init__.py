"""Numbers in few bits: what rounding makes of weights, block by block, and how it is packed."""
