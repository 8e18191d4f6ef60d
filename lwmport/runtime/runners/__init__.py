"""Runtimes on a CPU: one module each, behind one protocol (`lwmport.types.Runner`)."""
