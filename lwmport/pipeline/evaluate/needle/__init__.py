"""The needle test: a number is hidden in a long text, and the model is asked for it."""
