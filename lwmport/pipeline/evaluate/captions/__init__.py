"""Captions of the same pictures by two devices, and how well each fits its picture."""
