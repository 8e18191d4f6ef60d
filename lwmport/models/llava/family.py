"""LLaVA's image side as a family: CLIP's tower and the projector, apart or in one."""

from typing import Final

from lwmport.models.llava.released import FOLDERS, RELEASED
from lwmport.models.llava.tolerances import TOLERANCES
from lwmport.models.spec import ChosenField, FamilySpec, PartSpec
from lwmport.models.vit.pictures import CLIP_COLOURS

_FACTORIES: Final = "lwmport.models.llava.components"
_LAYERS: Final = "num_hidden_layers"

FAMILY: Final = FamilySpec(
    name="llava",
    components=(
        PartSpec(
            name="llava-image",
            summary="LLaVA's image side: a picture to embeddings of the language model",
            factory=f"{_FACTORIES}:image",
            layers=_LAYERS,
        ),
        PartSpec(
            name="llava-projector",
            summary="LLaVA's projector: states of patches to embeddings of the language model",
            factory=f"{_FACTORIES}:projector",
        ),
        PartSpec(
            name="llava-vision",
            summary="LLaVA's tower (CLIP): a picture to states of patches",
            factory=f"{_FACTORIES}:vision",
            layers=_LAYERS,
        ),
    ),
    groups={"llava": ("llava-vision", "llava-projector")},
    configure="lwmport.models.llava.configure:configure",
    names="lwmport.models.llava.configure:names",
    usual="clip-l-336",
    chosen=(
        ChosenField(field="num_attention_heads", word="heads"),
        ChosenField(field="vision_feature_layer", word="layer that is read"),
        ChosenField(field="image_size", word="resolution", tensor="vision/position_embedding"),
        ChosenField(field="text_hidden_size", word="language width", tensor="projector/linear_2/kernel"),
    ),
    marks={"vision/class_embedding": "llava-vision", "projector/linear_1/kernel": "llava-projector"},
    preprocessing={"pixel_values": CLIP_COLOURS},
    words={
        "outputs/image_embeds": "axes [batch, patches, channels]; llava-projector reads them",
        "inputs/image_embeds": "axes [batch, patches, channels]: what llava-vision gives",
        "outputs/image_features": "axes [batch, tokens, channels]; they stand in the place of the picture among the "
        "embeddings of the language model",
    },
    tolerances=TOLERANCES,
    folders=FOLDERS,
    released=RELEASED,
)
