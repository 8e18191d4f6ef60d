"""Inputs that a user gives, by the kind of file that they are in."""
