"""Blocks of numbers as llama.cpp stores them: the bytes that its own quantiser writes without an importance matrix."""
