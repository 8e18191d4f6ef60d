"""The messages of a chat in OpenAI's form become a dialogue: a first question with its pictures, and what followed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from lwmport.pipeline.serve.fields import text_of
from lwmport.pipeline.serve.refused import RefusedError
from lwmport.pipeline.serve.uploads import IMAGE, VIDEO, Upload, upload_of
from lwmport.wording import kind_of, shown

SYSTEM: Final = ("system", "developer")
USER, ASSISTANT = "user", "assistant"
TAKEN: Final = frozenset({"role", "content", "name"})
PARAM: Final = "messages"


@dataclass(frozen=True, kw_only=True)
class Turn:
    """An answer that was given, and the question that followed."""

    answer: str
    question: str


@dataclass(frozen=True, kw_only=True)
class Dialogue:
    """A conversation whose last question is open.

    Attributes:
        question: the first question; a system's text stands before it.
        uploads: its pictures and videos.
        later: what followed.
    """

    question: str
    uploads: tuple[Upload, ...] = ()
    later: tuple[Turn, ...] = ()

    @property
    def characters(self) -> int:
        """How long all texts are together."""
        return len(self.question) + sum(len(turn.answer) + len(turn.question) for turn in self.later)


@dataclass(frozen=True, kw_only=True)
class _Message:
    role: str
    text: str
    uploads: tuple[Upload, ...]


def dialogue_of(value: Any) -> Dialogue:
    """Return the dialogue of the field ``messages``.

    Raises:
        RefusedError: user and assistant do not speak in turn, or the user not last; pictures behind the first
            question; parts that are not supported.
    """
    if not isinstance(value, list) or not value:
        raise RefusedError(f"expected a list of {PARAM}, found {kind_of(value)}", param=PARAM)
    found = [_message(one, f"{PARAM}[{place}]") for place, one in enumerate(value)]
    count = next((place for place, one in enumerate(found) if one.role not in SYSTEM), len(found))
    system, asked = found[:count], found[count:]
    _check_turns(asked, count)
    for place, one in enumerate(found):
        if one.uploads and place != count:
            raise RefusedError(
                "expected pictures and videos in the first message of the user alone, as the model's prompts have "
                f"them, found some in {PARAM}[{place}]",
                param=f"{PARAM}[{place}]",
            )
    first = asked[0]
    answers, questions = asked[1::2], asked[2::2]
    return Dialogue(
        question="\n".join([*(one.text for one in system), first.text]),
        uploads=first.uploads,
        later=tuple(
            Turn(answer=answer.text, question=asked.text) for answer, asked in zip(answers, questions, strict=True)
        ),
    )


def _check_turns(asked: list[_Message], before: int) -> None:
    for place, one in enumerate(asked):
        wanted = ASSISTANT if place % 2 else USER
        if one.role != wanted:
            raise RefusedError(
                f"expected a message of the {wanted} as {PARAM}[{before + place}], for user and assistant speak in "
                f"turn, found one of the {one.role}",
                param=f"{PARAM}[{before + place}]",
            )
    if len(asked) % 2 == 0:
        raise RefusedError("expected a message of the user at the end, found none", param=PARAM)


def _message(value: Any, param: str) -> _Message:
    if not isinstance(value, dict):
        raise RefusedError(f"expected an object as {param}, found {kind_of(value)}", param=param)
    role = text_of(value.get("role"), f"{param}.role")
    if role not in (*SYSTEM, USER, ASSISTANT):
        raise RefusedError(f"expected the role system, user or assistant in {param}, found {shown(role)}", param=param)
    strange = [name for name, one in value.items() if name not in TAKEN and one]
    if strange:
        raise RefusedError(f"expected role and content in {param}, found {shown(strange[0])}", param=param)
    content = value.get("content")
    if isinstance(content, str):
        return _Message(role=role, text=text_of(content, f"{param}.content"), uploads=())
    if not isinstance(content, list) or not content:
        raise RefusedError(f"expected a text or parts as {param}.content, found {kind_of(content)}", param=param)
    parts = [_part(one, f"{param}.content[{place}]") for place, one in enumerate(content)]
    return _Message(
        role=role,
        text="\n".join(one for one in parts if isinstance(one, str)),
        uploads=tuple(one for one in parts if isinstance(one, Upload)),
    )


def _part(value: Any, param: str) -> str | Upload:
    kind = value.get("type") if isinstance(value, Mapping) else None
    if kind == "text":
        return text_of(value.get("text"), f"{param}.text")
    if kind in (IMAGE, VIDEO):
        return upload_of(value, kind, f"{param}.{kind}")
    found = shown(kind) if isinstance(kind, str) else kind_of(value)
    raise RefusedError(f"expected a part of the type text, {IMAGE} or {VIDEO} as {param}, found {found}", param=param)
