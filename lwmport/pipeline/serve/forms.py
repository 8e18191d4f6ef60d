"""Answers in OpenAI's forms."""

import json
import time
import uuid
from typing import Any

from lwmport.pipeline.serve.engine import Answer


class ChatForms:
    """The forms of one answer: whole, or in pieces.

    Args:
        model: its name.
    """

    def __init__(self, model: str) -> None:
        self._common = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": model}

    def whole(self, text: str, answer: Answer) -> dict[str, Any]:
        """Return a whole answer."""
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish}
        return {**self._common, "object": "chat.completion", "choices": [choice], "usage": usage(answer)}

    def piece(self, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        """Return a piece of a stream: what is new, and at the end why it ended."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**self._common, "object": "chat.completion.chunk", "choices": [choice]}

    def counts(self, answer: Answer) -> dict[str, Any]:
        """Return the piece of a stream that tells the numbers of tokens."""
        return {**self._common, "object": "chat.completion.chunk", "choices": [], "usage": usage(answer)}


def usage(answer: Answer) -> dict[str, int]:
    """Return the numbers of tokens."""
    return {
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.tokens,
        "total_tokens": answer.prompt_tokens + answer.tokens,
    }


def picture_form(png: str) -> dict[str, Any]:
    """Return a picture."""
    return {"created": int(time.time()), "data": [{"b64_json": png}], "output_format": "png"}


def model_form(name: str, created: int) -> dict[str, Any]:
    """Return a model of the list of models."""
    return {"id": name, "object": "model", "created": created, "owned_by": "lwmport"}


def event(value: dict[str, Any] | str) -> str:
    """Return an event of a stream (text/event-stream)."""
    return f"data: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}\n\n"
