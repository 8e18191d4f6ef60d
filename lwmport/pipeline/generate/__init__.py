"""Generation by a converted model: tokens in, tokens out."""
