"""The image side of MiniGPT-4: EVA's vision transformer, the Q-Former, and the projection to the language model."""
