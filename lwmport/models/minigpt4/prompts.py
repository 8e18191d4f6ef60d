"""How MiniGPT-4 is talked to: the conversations of its minigpt4/conversation/conversation.py.

Which of them a model was trained with follows from its language model, and that from its image side: with a Q-Former it
is Vicuna v0, without one Llama 2, and without one at 448 pixels it is MiniGPT-v2 (minigpt4/configs/models).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from lwmport.models.minigpt4.config import MiniGPT4Config
from lwmport.models.spec import TalkPrompts
from lwmport.models.vit.conversation import Conversation

V2_PIXELS: Final = 448

VICUNA_V0: Final = Conversation(
    system="Give the following image: <Img>ImageContent</Img>. "
    "You will be able to see the image once I provide it to you. Please answer my questions.",
    user="###Human: ",
    assistant="###Assistant: ",
    opens="<Img>",
    between="</Img>###Human: <Img>",
    closes="</Img> ",
    stops=("###",),
)

LLAMA_2: Final = replace(VICUNA_V0, user="<s>[INST] ", assistant=" [/INST] ", between="</Img><s>[INST] <Img>")

V2: Final = replace(LLAMA_2, system="", assistant=" [/INST]")


def prompts(config: Mapping[str, Any]) -> TalkPrompts:
    """Return how a language model is asked about the pictures of an image side of this configuration."""
    known = MiniGPT4Config.from_json(config)
    if known.has_qformer:
        return VICUNA_V0.prompts()
    return (V2 if known.image_size == V2_PIXELS else LLAMA_2).prompts()
