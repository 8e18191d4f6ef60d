"""What is asked of the server: a chat or a picture, read from OpenAI's fields, checked before anything runs."""

import secrets
from dataclasses import dataclass
from typing import Any, Final

from lwmport.generation.choosing import Choosing
from lwmport.generation.draws import LARGEST_SEED
from lwmport.pipeline.serve.fields import Body, body_of, check_fields, count_of, flag_of, number_of, text_of
from lwmport.pipeline.serve.limits import Limits
from lwmport.pipeline.serve.messages import Dialogue, dialogue_of
from lwmport.pipeline.serve.refused import RefusedError
from lwmport.pipeline.talk.painter import Painting
from lwmport.wording import kind_of, shown

TEMPERATURE, TOP_K = 0.2, 50
"""Of answers: those of 'lwmport chat'."""

MOST_STOPS, LONGEST_STOP = 4, 200

CHAT: Final = frozenset({
    "model", "messages", "temperature", "top_p", "top_k", "max_tokens", "max_completion_tokens", "seed", "stop",
    "stream", "stream_options",
})  # fmt: skip
CHAT_NEUTRAL: Final[dict[str, Any]] = {
    "audio": None, "frequency_penalty": 0, "function_call": "none", "functions": None, "logit_bias": None,
    "logprobs": False, "modalities": ["text"], "n": 1, "prediction": None, "presence_penalty": 0,
    "reasoning_effort": "none", "response_format": {"type": "text"}, "tool_choice": "none", "tools": None,
    "top_logprobs": 0, "verbosity": "medium", "web_search_options": None,
}  # fmt: skip
PICTURE: Final = frozenset({
    "model", "prompt", "size", "response_format", "cfg_scale", "temperature", "top_k", "top_p", "seed", "strict_codes",
})  # fmt: skip
PICTURE_NEUTRAL: Final[dict[str, Any]] = {
    "background": "auto", "n": 1, "output_compression": 100, "output_format": "png", "partial_images": 0,
    "quality": "auto", "stream": False, "style": None,
}  # fmt: skip
IGNORED: Final = frozenset({
    "metadata", "moderation", "parallel_tool_calls", "prompt_cache_key", "prompt_cache_retention", "safety_identifier",
    "service_tier", "store", "user",
})  # fmt: skip
"""Fields that change no answer here."""


@dataclass(frozen=True, kw_only=True)
class ChatAsked:
    """An answer to a dialogue.

    Attributes:
        dialogue: what was said.
        choosing: how tokens are chosen.
        most: tokens of the answer at most.
        stops: texts that end it.
        stream: whether it is told word after word.
        usage: whether a stream tells the numbers of tokens at its end.
    """

    dialogue: Dialogue
    choosing: Choosing
    most: int
    stops: tuple[str, ...]
    stream: bool
    usage: bool


@dataclass(frozen=True, kw_only=True)
class PictureAsked:
    """A picture; ``size`` is the one that it must have, as OpenAI writes it, or empty."""

    painting: Painting
    size: str


def chat_asked(data: bytes, name: str, limits: Limits) -> ChatAsked:
    """Return the chat that a request asks for.

    Raises:
        UsageError: a field is not supported, or has a value that it cannot have.
    """
    body = body_of(data)
    _check_model(body, name)
    check_fields(body, CHAT, IGNORED, CHAT_NEUTRAL)
    most = [count_of(body, one, most=limits.tokens) for one in ("max_completion_tokens", "max_tokens")]
    options = body.get("stream_options") or {}
    if not isinstance(options, dict):
        raise RefusedError(f"expected an object as stream_options, found {kind_of(options)}", param="stream_options")
    return ChatAsked(
        dialogue=dialogue_of(body.get("messages")),
        choosing=Choosing(
            temperature=number_of(body, "temperature", TEMPERATURE),
            top_k=_or(count_of(body, "top_k", least=0), TOP_K),
            top_p=number_of(body, "top_p", 1.0),
            seed=_seed(body),
        ),
        most=next((one for one in most if one is not None), limits.tokens),
        stops=_stops(body.get("stop")),
        stream=flag_of(body, "stream"),
        usage=flag_of(options, "include_usage"),
    )


def picture_asked(data: bytes, name: str) -> PictureAsked:
    """Return the picture that a request asks for.

    Raises:
        UsageError: a field is not supported, or has a value that it cannot have.
    """
    body = body_of(data)
    _check_model(body, name)
    check_fields(body, PICTURE, IGNORED, PICTURE_NEUTRAL)
    if body.get("response_format") not in (None, "b64_json"):
        raise RefusedError(
            f"expected b64_json as response_format, found {shown(str(body['response_format']))}; "
            "this server keeps no files that a URL could name",
            param="response_format",
        )
    prompt = text_of(body.get("prompt"), "prompt")
    if not prompt.strip():
        raise RefusedError("expected a description as prompt, found none", param="prompt")
    size = text_of(body.get("size") or "", "size")
    painting = Painting(
        prompt=prompt,
        cfg_scale=number_of(body, "cfg_scale", Painting.cfg_scale),
        temperature=number_of(body, "temperature", Painting.temperature),
        top_k=count_of(body, "top_k"),
        top_p=number_of(body, "top_p", Painting.top_p),
        seed=_seed(body),
        strict_codes=flag_of(body, "strict_codes"),
    )
    return PictureAsked(painting=painting, size="" if size == "auto" else size)


def _check_model(body: Body, name: str) -> None:
    asked = body.get("model", name)
    if asked != name:
        found = shown(asked) if isinstance(asked, str) else kind_of(asked)
        raise RefusedError(
            f"expected the model {name!r}, found {found}", status=404, code="model_not_found", param="model"
        )


def _seed(body: Body) -> int:
    """Return the seed of a request; one of its own where it has none."""
    return _or(count_of(body, "seed", least=0, most=LARGEST_SEED), secrets.randbelow(LARGEST_SEED))


def _or(found: int | None, usual: int) -> int:
    return usual if found is None else found


def _stops(value: Any) -> tuple[str, ...]:
    texts = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or len(texts) > MOST_STOPS:
        raise RefusedError(
            f"expected a text or at most {MOST_STOPS} texts as stop, found {kind_of(value)}", param="stop"
        )
    found = tuple(text_of(one, "stop") for one in texts)
    if not all(1 <= len(one) <= LONGEST_STOP for one in found):
        raise RefusedError(f"expected texts of 1 to {LONGEST_STOP} characters as stop, found another", param="stop")
    return found
