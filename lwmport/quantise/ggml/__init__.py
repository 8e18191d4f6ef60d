"""Blocks of numbers as llama.cpp stores them: the same bytes as its own quantiser writes without an importance matrix."""
