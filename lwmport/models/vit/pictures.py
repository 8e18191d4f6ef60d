"""How pictures become inputs of towers that were trained as CLIP was."""

from typing import Final

from lwmport.types import Fit, Kind, Normalisation, Preprocessing, Resizing, TensorSpec

CLIP_COLOURS: Final = Normalisation(
    mean=(0.48145466, 0.4578275, 0.40821073), deviation=(0.26862954, 0.26130258, 0.27577711)
)
"""Of the pixels that CLIP was trained on (OPENAI_CLIP_MEAN and OPENAI_CLIP_STD in transformers' image_utils.py)."""

SQUASHED: Final = Preprocessing(resizing=Resizing(fit=Fit.SQUASH), normalisation=CLIP_COLOURS)
"""As MiniGPT-4 does (Resize of its processors/blip_processors.py): the aspect is lost."""

PADDED: Final = Preprocessing(
    resizing=Resizing(fit=Fit.PAD, fill=tuple(int(255 * mean) for mean in CLIP_COLOURS.mean)),
    normalisation=CLIP_COLOURS,
)
"""As LLaVA-1.5 does (``expand2square`` of its llava/mm_utils.py): a margin of the mean's colour, (122, 116, 104)."""


def pixel_values(side: int) -> TensorSpec:
    """Return the input of a tower: square pictures with red, green and blue."""
    return TensorSpec(
        name="pixel_values",
        shape=("batch", side, side, 3),
        dtype="float32",
        kind=Kind.PICTURE,
        layout="NHWC",
        value_range=CLIP_COLOURS.value_range,
        description="pixels, (value / 255 - mean) / deviation in each channel",
    )


def states(name: str, tokens: int, width: int, description: str) -> TensorSpec:
    """Return an input or output of ``tokens`` states [batch, tokens, width]."""
    return TensorSpec(name=name, shape=("batch", tokens, width), dtype="float32", description=description)
