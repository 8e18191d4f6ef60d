"""One folder that holds all of a model that runs: artifacts, tokenizer, and what belongs together."""
