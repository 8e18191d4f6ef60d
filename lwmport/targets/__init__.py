"""Vendors' devices: their dialects, checks and compilers."""
