"""Perplexity of a converted language model on a text, and how far it is from a reference."""

from collections.abc import Sequence
from contextlib import ExitStack

from lwmport import extras
from lwmport.errors import UsageError
from lwmport.pipeline.evaluate.command import command
from lwmport.pipeline.evaluate.language.models import LanguageModel, language_model
from lwmport.pipeline.evaluate.language.request import PerplexityRequest
from lwmport.pipeline.evaluate.language.texts import Source, read_source
from lwmport.pipeline.evaluate.language.windows import CONTEXT, Window, check_context, room_of, scored, windows
from lwmport.pipeline.observer import Observer, Silent, tell_steps
from lwmport.pipeline.session import JAX, Session
from lwmport.reports.evaluations.perplexity import Perplexity
from lwmport.requests import by_fields
from lwmport.validators import likelihood
from lwmport.validators.likelihood import Comparison, Estimate, Expected, expected, joined


@by_fields(PerplexityRequest)
def perplexity(request: PerplexityRequest, observer: Observer | None = None) -> Perplexity:
    """Return how well a language model expects a text, and how far it is from a reference, if there is one.

    Raises:
        ArtifactError: a folder holds no whole language model.
        RunnerError: a runtime refuses a model, or a token that it does not have.
        UsageError: the text is too short, no text, or of another vocabulary; or the context has no room.
    """
    observer = observer or Silent()
    models = [language_model(request.model, request.tokenizer)]
    if request.against is not None:
        models.append(language_model(request.against, request.tokenizer))
    source = read_source(request.text, models[0])
    with ExitStack() as stack:
        sessions = [
            stack.enter_context(opened(model, runner, request.threads, request.checkpoint, observer))
            for model, runner in zip(models, (request.runner, request.against_runner), strict=False)
        ]
        context = request.context or min(CONTEXT, room_of(sessions) or CONTEXT)
        check_context(context, request.stride, sessions)
        cut = windows(source, context, request.stride)[: request.windows]
        found = _measured(sessions, cut, models[0], request.chunk, observer)
        runners = [session.runner for session in sessions]
    return _record(request, models, source, context, found, runners)


def opened(
    model: LanguageModel, runner: str | None, threads: int | None, checkpoint: str | None, observer: Observer
) -> Session:
    """Return a model, opened; a checkpoint is of those alone that the runner ``jax`` opens."""
    observer.phase(f"open {model.folder}")
    is_reference = runner is not None and runner.casefold() == JAX
    return model.open(runner, threads, checkpoint if is_reference else None)


def by_runner(models: Sequence[LanguageModel], runners: Sequence[str]) -> str:
    """Return which model was run by what, in words."""
    return " and ".join(f"{model.told} by {runner}" for model, runner in zip(models, runners, strict=True))


def _measured(
    sessions: Sequence[Session], cut: Sequence[Window], model: LanguageModel, chunk: int, observer: Observer
) -> list[Expected]:
    """Return what the model, and the reference beside it, expect in each window."""
    observer.phase(f"{len(cut)} windows of {len(cut[0].ids)} tokens")
    found = []
    for number, window in enumerate(cut, start=1):
        parts = [expected(one.targets, *one.logits) for one in scored(sessions, window, model.family.modes, chunk)]
        if parts:
            found.append(joined(parts))
        tell_steps(observer, "windows", number, len(cut))
    if not found:
        raise UsageError("expected tokens of a kind that the model has logits for, found none in the text")
    return found


def _record(
    request: PerplexityRequest,
    models: Sequence[LanguageModel],
    source: Source,
    context: int,
    found: Sequence[Expected],
    runners: Sequence[str],
) -> Perplexity:
    losses = joined(found).losses
    value = likelihood.perplexity(losses)
    comparison = likelihood.comparison(found) if len(models) > 1 else None
    counts = "the second half of each window"
    if request.stride is not None:
        counts = f"the last {request.stride} tokens of each window"
    return Perplexity(
        sentence=_sentence(value, comparison, source, context, len(losses)),
        model=models[0].name,
        against=models[1].name if comparison else None,
        text=source.name,
        text_sha256=source.sha256,
        tokens=source.tokens,
        context=context,
        stride=request.stride,
        windows=len(found),
        positions=len(losses),
        perplexity=value,
        comparison=comparison,
        facts={
            "models": by_runner(models, runners),
            "counted": counts,
            "begin": "none" if source.begin is None else f"each window begins with token {source.begin}",
            "command": command("lwmport eval perplexity", request, "model"),
            "versions": ", ".join(f"{name} {version}" for name, version in extras.versions().items()),
        },
    )


def _sentence(value: Estimate, found: Comparison | None, source: Source, context: int, positions: int) -> str:
    beside = ""
    if found is not None:
        beside = (
            f", {found.ratio.value:.4f} times that of the reference; KL divergence {found.kl.mean.value:.3g} nats in "
            f"the mean, the same token first at {100 * found.same_top.value:.1f} %"
        )
    return (
        f"perplexity {value.value:.4f} +- {value.error:.4f} on {source.name}, context {context}, "
        f"{positions} tokens counted{beside}"
    )
