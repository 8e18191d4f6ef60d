"""A family of models in a package of its own."""
