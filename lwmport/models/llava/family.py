"""LLaVA's image side as a family: CLIP's tower and the projector, apart or in one."""

from typing import Final

from lwmport.models.llava.released import FOLDERS, RELEASED
from lwmport.models.llava.tolerances import TOLERANCES
from lwmport.models.spec import ChosenField, FamilySpec, PartSpec, WholeModel, WholePart
from lwmport.models.vit.pictures import PADDED

_FACTORIES: Final = "lwmport.models.llava.components"
_LAYERS: Final = "num_hidden_layers"


def _whole(size: str, width: int) -> WholeModel:
    """Return LLaVA-1.5 of a size; its own loader leaves the tower in float16 whatever the rest is stored in."""
    settings = (f"text_hidden_size={width}",)
    return WholeModel(
        name=f"llava-1.5-{size}",
        summary=f"LLaVA-1.5 {size}: CLIP's tower, the projector and the language model",
        parts=(
            WholePart(component="llava-vision", config="clip-l-336", settings=settings, narrowed=False),
            WholePart(component="llava-projector", config="clip-l-336", settings=settings),
            WholePart(component="llama", config=f"vicuna-{size}", section="text_config"),
        ),
        picture_tokens=576,
        kind="llava",
    )


FAMILY: Final = FamilySpec(
    name="llava",
    components=(
        PartSpec(
            name="llava-image",
            summary="LLaVA's image side: a picture to embeddings of the language model",
            factory=f"{_FACTORIES}:image",
            options=("layout", "with_preprocessing"),
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
            options=("layout", "with_preprocessing"),
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
    spliced_prompts="lwmport.models.llava.prompts:prompts",
    preprocessing={"pixel_values": PADDED},
    words={
        "outputs/image_embeds": "axes [batch, patches, channels]; llava-projector reads them",
        "inputs/image_embeds": "axes [batch, patches, channels]: what llava-vision gives",
        "outputs/image_features": "axes [batch, tokens, channels]; they stand in the place of the picture among the "
        "embeddings of the language model",
    },
    tolerances=TOLERANCES,
    folders=FOLDERS,
    released=RELEASED,
    models=(_whole("7b", 4096), _whole("13b", 5120)),
)
