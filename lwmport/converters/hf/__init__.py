"""A Hugging Face folder: a whole model under the names that the world has for it, for whatever runs such a folder."""
