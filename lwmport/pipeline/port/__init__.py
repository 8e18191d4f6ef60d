"""The whole road to a device: one port, or a matrix of them."""
