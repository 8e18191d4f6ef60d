"""Vendors' compilers: the exact command and configuration, the run where the tool is installed, and the verdict."""
