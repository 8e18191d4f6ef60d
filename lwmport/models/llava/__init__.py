"""The image side of LLaVA: CLIP's vision transformer without its end, and the projector to the language model."""
