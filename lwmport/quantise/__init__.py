"""Codecs of quantised weights: how groups of numbers become integers with scales, and numbers again."""
