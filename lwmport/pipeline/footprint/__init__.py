"""What a model takes of a device's memory, known from its shapes alone."""
