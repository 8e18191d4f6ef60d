"""Whose work LWM's models are, for the NOTICE of a bundle."""

from typing import Final

LWM: Final = (
    "The models compute what LWM (Large World Model) does, whose code its authors license under the Apache License 2.0."
)

LICENSE: Final = (
    "The LWM language models are released by their authors under the Llama 2 community license, which goes with every "
    "copy of their weights."
)
