"""LWM's VQGAN as a family: its two halves."""

from typing import TYPE_CHECKING, Final

from lwmport.models.notices import LICENSE, LWM
from lwmport.models.options import Options
from lwmport.models.spec import ChosenField, FamilySpec, PartSpec
from lwmport.models.vqgan.tolerances import TOLERANCES
from lwmport.types import Normalisation, Preprocessing

if TYPE_CHECKING:
    from lwmport.models.vqgan.config import VQGANConfig
    from lwmport.types import Component

FAMILY: Final = FamilySpec(
    name="vqgan",
    components=(
        PartSpec(name="vqgan-decoder", summary="codes to a picture", factory="lwmport.models.vqgan.family:decoder"),
        PartSpec(
            name="vqgan-encoder",
            summary="a picture to codes",
            factory="lwmport.models.vqgan.family:encoder",
            options=("with_preprocessing",),
        ),
    ),
    groups={"vqgan": ("vqgan-encoder", "vqgan-decoder")},
    configs="lwmport.models.vqgan.config:CONFIGS",
    chosen=(ChosenField(field="resolution", word="resolution"),),
    weights="lwmport.models.vqgan.components:vqgan_weights",
    strict=True,
    native="pickle",
    signs={"quantize/embeddings": "vqgan"},
    words={"inputs/codebook_indices": "codes; other tokens are taken out first"},
    preprocessing={"pixel_values": Preprocessing(normalisation=Normalisation(mean=(0.5,), deviation=(0.5,)))},
    tolerances=TOLERANCES,
    notice=LWM,
    license=LICENSE,
)


def decoder(config: "VQGANConfig", options: Options) -> "Component":
    """Return the decoder in float32; no option changes it."""
    from lwmport.models.vqgan.components import vqgan_decoder

    del options
    return vqgan_decoder(config)


def encoder(config: "VQGANConfig", options: Options) -> "Component":
    """Return the encoder in float32; what makes its input of bytes is put before it."""
    from lwmport.models.vqgan.components import vqgan_encoder

    del options
    return vqgan_encoder(config)
