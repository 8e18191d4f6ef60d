"""Vendors' devices: a folder and a record each, and the machinery of rules, fixes, compilers and checks they share."""
