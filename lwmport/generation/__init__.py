"""Generation: logits of a session become tokens, with a seed that gives the same tokens on every runner."""
