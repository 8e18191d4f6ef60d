"""How LWM writes pictures as tokens. Source: LWM's lwm/vision_chat.py and lwm/vision_generation.py."""

from typing import Final

FRAME: Final = 257
"""Tokens of a frame: 16 x 16 codes of the VQGAN, and the one behind them."""

END_OF_FRAME: Final = 8192
END_OF_VISION: Final = 8193
"""The two codes of LWM's vision vocabulary behind those of the VQGAN that mean something.

LWM's script makes frames that end with the first, and asks about frames that end with the second."""
