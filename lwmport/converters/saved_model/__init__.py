"""TensorFlow: SavedModel and frozen graph of plain operators, channels last as in JAX, and jax2tf's own output."""
