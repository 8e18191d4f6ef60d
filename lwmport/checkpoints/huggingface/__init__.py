"""Folders as Hugging Face's LLaMA has them."""
