"""LWM's pickles, read by allow-list: nothing in them is executed."""
