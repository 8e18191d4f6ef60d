"""Msgpack: LWM's stream, and flax's own tree."""
