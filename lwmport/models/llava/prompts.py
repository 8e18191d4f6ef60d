"""How LLaVA-1.5 is talked to: the conversation ``vicuna_v1`` of its llava/conversation.py."""

from collections.abc import Mapping
from typing import Any, Final

from lwmport.models.spec import TalkPrompts
from lwmport.models.vit.conversation import Conversation

VICUNA_V1: Final = Conversation(
    system="A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions. ",
    user="USER: ",
    assistant=" ASSISTANT:",
    opens="",
    between="\n",
    closes="\n",
    ends=True,
)
"""Each picture is a line of its own in front of the question (llava/eval/run_llava.py)."""


def prompts(config: Mapping[str, Any]) -> TalkPrompts:  # noqa: ARG001 - one form, whatever the configuration
    """Return how a language model is asked about the pictures of LLaVA-1.5's image side."""
    return VICUNA_V1.prompts()
