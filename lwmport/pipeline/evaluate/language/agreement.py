"""Agreement of two models: the largest logit each time, behind the same prompts, until the tokens differ."""

from collections.abc import Sequence

import numpy as np

from lwmport import extras
from lwmport.errors import UsageError
from lwmport.generation.tokenizer import Tokenizer
from lwmport.generation.tokens import Prompt, Wish, new_tokens
from lwmport.pipeline.evaluate.command import command
from lwmport.pipeline.evaluate.language.alone import Alone
from lwmport.pipeline.evaluate.language.models import LanguageModel, language_model
from lwmport.pipeline.evaluate.language.perplexity import by_runner, opened
from lwmport.pipeline.evaluate.language.request import AgreementRequest
from lwmport.pipeline.evaluate.language.texts import Piece, Source, read_source
from lwmport.pipeline.generate.tokens import mode_of
from lwmport.pipeline.observer import Observer, Silent, tell_steps
from lwmport.pipeline.session import Session
from lwmport.reports.evaluations.agreement import Agreement, Continued, Difference
from lwmport.requests import by_fields


@by_fields(AgreementRequest)
def agreement(request: AgreementRequest, observer: Observer | None = None) -> Agreement:
    """Return how far two models choose the same tokens behind the same prompts.

    Raises:
        ArtifactError: a folder holds no whole language model.
        RunnerError: a runtime refuses a model, or a token that it does not have.
        UsageError: no text, too few tokens, an unknown mode, or different vocabularies.
    """
    observer = observer or Silent()
    models = [language_model(folder, request.tokenizer) for folder in (request.a, request.b)]
    mode = mode_of(models[0].family, request.mode)
    source = read_source(request.text, models[0])
    prompts = _prompts(source, request)
    tokenizer = None if models[0].tokenizer is None else models[0].texts()
    stop = frozenset() if tokenizer is None or tokenizer.end is None or mode.codes else frozenset({tokenizer.end})
    wish = Wish(count=request.new_tokens, mode=mode, stop=stop, chunk=request.chunk)
    runners = request.runner, request.against_runner or request.runner
    asked = request.threads, request.checkpoint, observer
    with opened(models[0], runners[0], *asked) as a, opened(models[1], runners[1], *asked) as b:
        observer.phase(f"{len(prompts)} prompts, up to {request.new_tokens} new tokens each")
        found = []
        for number, prompt in enumerate(prompts, start=1):
            found.append(_continued((a, b), prompt, wish, tokenizer))
            tell_steps(observer, "prompts", number, len(prompts))
        names = a.runner, b.runner
    return _record(request, models, source, found, names)


def _prompts(source: Source, request: AgreementRequest) -> list[Piece]:
    """Return the first samples, or pieces of a text that are spread over it evenly."""
    if source.samples:
        return [piece for piece in source.pieces if len(piece.ids)][: request.prompts]
    (piece,), length = source.pieces, request.prompt_tokens
    if len(piece.ids) < length:
        raise UsageError(f"expected at least {length} tokens in {source.name}, found {len(piece.ids)}")
    starts = np.linspace(0, len(piece.ids) - length, request.prompts).round().astype(int)
    return [_cut(piece, start, length, source.begin) for start in dict.fromkeys(starts.tolist())]


def _cut(piece: Piece, start: int, length: int, begin: int | None) -> Piece:
    ids = piece.ids[start : start + length].copy()
    if begin is not None:
        ids[0] = begin
    return Piece(ids=ids, codes=piece.codes[start : start + length])


def _continued(sessions: tuple[Session, Session], piece: Piece, wish: Wish, tokenizer: Tokenizer | None) -> Continued:
    alone = [Alone(session) for session in sessions]
    steps = [new_tokens(one, _prompt(piece, session), wish) for one, session in zip(alone, sessions, strict=True)]
    agreeing, difference = 0, None
    for one, other in zip(*steps, strict=False):
        a, b = int(one[0]), int(other[0])
        if a != b:
            difference = _difference(agreeing, (a, b), alone, wish, tokenizer)
            break
        agreeing += 1
    count = agreeing + (difference is not None)
    return Continued(prompt_tokens=len(piece.ids), new_tokens=count, agreeing=agreeing, difference=difference)


def _prompt(piece: Piece, session: Session) -> Prompt:
    return Prompt(ids=piece.ids[None], codes=piece.codes[None] if session.has_codes else None)


def _difference(
    place: int, tokens: tuple[int, int], alone: Sequence[Alone], wish: Wish, tokenizer: Tokenizer | None
) -> Difference:
    logits = [next(one.seen[name] for name in wish.mode.logits if name in one.seen) for one in alone]
    if len(logits[0]) != len(logits[1]):
        raise UsageError(f"expected models of one vocabulary, found {len(logits[0])} and {len(logits[1])} tokens")
    (a, b), (first, second) = tokens, logits
    texts = ["", ""] if tokenizer is None or wish.mode.codes else [tokenizer.decode([token]) for token in tokens]
    return Difference(
        place=place,
        a=a,
        b=b,
        a_text=texts[0],
        b_text=texts[1],
        a_gap=float(first[a]) - float(first[b]),
        b_gap=float(second[b]) - float(second[a]),
    )


def _record(
    request: AgreementRequest,
    models: Sequence[LanguageModel],
    source: Source,
    found: Sequence[Continued],
    runners: tuple[str, str],
) -> Agreement:
    gaps = [one.difference.a_gap for one in found if one.difference is not None]
    identical = len(found) - len(gaps)
    apart = f", where they part A's logits are {min(gaps):.3g} to {max(gaps):.3g} apart" if gaps else ""
    agreeing, compared = sum(one.agreeing for one in found), sum(one.new_tokens for one in found)
    return Agreement(
        sentence=f"all tokens agree behind {identical} of {len(found)} prompts, "
        f"{agreeing / len(found):.1f} tokens in the mean before one differs or the end, {agreeing} of {compared} "
        f"compared{apart}",
        a=models[0].name,
        b=models[1].name,
        text=source.name,
        text_sha256=source.sha256,
        mode=request.mode or next(iter(models[0].family.modes)),
        new_tokens=request.new_tokens,
        identical=identical,
        smallest_gap=min(gaps, default=None),
        largest_gap=max(gaps, default=None),
        prompts=tuple(found),
        facts={
            "models": by_runner(models, runners),
            "chosen": "the largest logit",
            "command": command("lwmport eval tokens", request, "a", "b"),
            "versions": ", ".join(f"{name} {version}" for name, version in extras.versions().items()),
        },
    )
