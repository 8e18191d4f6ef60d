"""A GGUF file: a whole language model with its tokenizer, for llama.cpp and whatever is built on it."""
