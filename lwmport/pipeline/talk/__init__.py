"""Talks: questions about texts, pictures and videos answered by an assembled model, and pictures made by it."""
