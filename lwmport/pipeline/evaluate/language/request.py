"""What is asked about language models."""

from dataclasses import dataclass
from pathlib import Path

from lwmport.errors import UsageError
from lwmport.pipeline.evaluate.language.windows import CHUNK
from lwmport.requests import check_types


@dataclass(frozen=True, kw_only=True)
class PerplexityRequest:
    """How well a language model expects a text.

    Attributes:
        model: a folder of ``assemble``, or of ``convert`` with a whole language model.
        text: UTF-8, a .jsonl of texts or tokens, or a .npz of tokens; None for the text that comes with lwmport.
        tokenizer: the folder of the tokenizer; None for the one of an assembled model.
        against: the folder of a reference with the same vocabulary; None for none.
        context: tokens of a window; None for 512, or as many as the models take.
        stride: windows begin every so many tokens, and as many count; None for windows side by side, of which the
            second half counts.
        windows: windows at most; None for all.
        chunk: tokens that are run at once.
        runner: what runs the model; None for the usual one.
        against_runner: what runs the reference; None for the usual one.
        threads: threads of the runtime; None for one a processor.
        checkpoint: the weights that were converted, for the runner ``jax``.

    Raises:
        UsageError: a field has another type, or a value that it cannot have.
    """

    model: Path
    text: Path | None = None
    tokenizer: Path | None = None
    against: Path | None = None
    context: int | None = None
    stride: int | None = None
    windows: int | None = None
    chunk: int = CHUNK
    runner: str | None = None
    against_runner: str | None = None
    threads: int | None = None
    checkpoint: str | None = None

    def __post_init__(self) -> None:
        """Refuse types and values that no evaluation has."""
        check_types(self)
        _check_counts(self, "context", "stride", "windows", "chunk")
        if self.against is None and self.against_runner is not None:
            raise UsageError(f"expected a reference beside its runner {self.against_runner!r}, found none")


@dataclass(frozen=True, kw_only=True)
class AgreementRequest:
    """Which tokens two models choose behind the same prompts, the largest logit each time.

    Attributes:
        a: a folder of ``assemble``, or of ``convert`` with a whole language model; usually the one that is trusted.
        b: another one of the same vocabulary, or the same one for another runner.
        text: what the prompts are of, as in `PerplexityRequest`. Each sample of a .npz or a .jsonl is a prompt.
        tokenizer: the folder of the tokenizer; None for the one of an assembled model.
        prompts: how many.
        prompt_tokens: tokens of each prompt that is cut out of a text.
        new_tokens: tokens behind each prompt at most.
        mode: a mode of the models' family: which output tokens are chosen from; empty for its usual one.
        chunk: tokens of a prompt that are run at once.
        runner: what runs A; None for the usual one.
        against_runner: what runs B; None for ``runner``.
        threads: threads of the runtime; None for one a processor.
        checkpoint: the weights that were converted, for the runner ``jax``.

    Raises:
        UsageError: a field has another type, or a value that it cannot have.
    """

    a: Path
    b: Path
    text: Path | None = None
    tokenizer: Path | None = None
    prompts: int = 8
    prompt_tokens: int = 32
    new_tokens: int = 64
    mode: str = ""
    chunk: int = CHUNK
    runner: str | None = None
    against_runner: str | None = None
    threads: int | None = None
    checkpoint: str | None = None

    def __post_init__(self) -> None:
        """Refuse types and values that no evaluation has."""
        check_types(self)
        _check_counts(self, "prompts", "prompt_tokens", "new_tokens", "chunk")


def _check_counts(request: object, *names: str) -> None:
    for name in names:
        value = getattr(request, name)
        if value is not None and value < 1:
            raise UsageError(f"expected at least 1 as {name} of {type(request).__name__}, found {value}")
