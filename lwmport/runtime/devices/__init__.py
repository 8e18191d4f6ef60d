"""Runtimes of vendors' devices and of vendors' executors: one module each, behind the same protocol."""
