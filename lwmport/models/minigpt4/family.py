"""MiniGPT-4's image side as a family: EVA's tower, the Q-Former and the projection, apart or in one."""

from typing import Final

from lwmport.models.minigpt4.released import RELEASED
from lwmport.models.minigpt4.tolerances import TOLERANCES
from lwmport.models.spec import ChosenField, FamilySpec, PartSpec, WholeModel, WholePart
from lwmport.models.vit.pictures import SQUASHED

_FACTORIES: Final = "lwmport.models.minigpt4.components"
_LAYERS: Final = "num_hidden_layers"
_STATES: Final = "axes [batch, tokens, channels]"


def _whole(size: str, width: int) -> WholeModel:
    """Return MiniGPT-4 with a Vicuna v0 of a size."""
    return WholeModel(
        name=f"minigpt4-{size}",
        summary=f"MiniGPT-4 {size}: EVA's tower, the Q-Former, the projection and the language model",
        parts=(
            WholePart(
                component="minigpt4-image", config="eva-g", settings=(f"text_hidden_size={width}",), narrowed=False
            ),
            WholePart(component="llama", config=f"vicuna-{size}-v0"),
        ),
        picture_tokens=32,
    )


FAMILY: Final = FamilySpec(
    name="minigpt4",
    components=(
        PartSpec(
            name="minigpt4-image",
            summary="MiniGPT-4's image side: a picture to embeddings of the language model",
            factory=f"{_FACTORIES}:image",
            options=("layout", "with_preprocessing"),
            layers=_LAYERS,
        ),
        PartSpec(
            name="minigpt4-projection",
            summary="MiniGPT-4's projection: states to embeddings of the language model",
            factory=f"{_FACTORIES}:projection",
        ),
        PartSpec(
            name="minigpt4-qformer",
            summary="MiniGPT-4's Q-Former: states of a picture to states of the queries",
            factory=f"{_FACTORIES}:qformer",
            layers="qformer_num_hidden_layers",
            needs="has_qformer",
        ),
        PartSpec(
            name="minigpt4-vision",
            summary="MiniGPT-4's tower (EVA ViT-g) and ln_vision: a picture to normalised states",
            factory=f"{_FACTORIES}:vision",
            options=("layout", "with_preprocessing"),
            layers=_LAYERS,
        ),
    ),
    groups={"minigpt4": ("minigpt4-vision", "minigpt4-qformer", "minigpt4-projection")},
    configure="lwmport.models.minigpt4.configure:configure",
    names="lwmport.models.minigpt4.configure:names",
    usual="eva-g",
    chosen=(
        ChosenField(field="num_attention_heads", word="heads"),
        ChosenField(field="post_norm_eps", word="epsilon of ln_vision"),
        ChosenField(field="image_size", word="resolution", tensor="vit/pos_embed"),
        ChosenField(field="has_qformer", word="Q-Former", tensor="llama_proj/kernel"),
        ChosenField(field="text_hidden_size", word="language width", tensor="llama_proj/kernel"),
    ),
    marks={
        "query_tokens": "minigpt4-qformer",
        "vit/cls_token": "minigpt4-vision",
        "llama_proj/kernel": "minigpt4-projection",
    },
    spliced_prompts="lwmport.models.minigpt4.prompts:prompts",
    preprocessing={"pixel_values": SQUASHED},
    words={
        "outputs/image_embeds": f"{_STATES}, the class token first; minigpt4-qformer reads them",
        "inputs/image_embeds": f"{_STATES}, the class token first: what minigpt4-vision gives",
        "outputs/query_output": f"{_STATES}; minigpt4-projection reads them",
        "inputs/query_output": f"{_STATES}: what minigpt4-qformer gives",
        "outputs/image_features": f"{_STATES}; they stand in the place of the picture among the embeddings of the "
        "language model",
    },
    tolerances=TOLERANCES,
    released=RELEASED,
    models=(_whole("7b", 4096), _whole("13b", 5120)),
)
