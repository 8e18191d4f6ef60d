"""PyTorch's archives, read by allow-list: nothing in them is executed."""
