"""CLIP as a judge: how well a text fits a picture."""
