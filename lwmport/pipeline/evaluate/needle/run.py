"""The needle test: every length, depth and round that an earlier run has not made."""

import dataclasses
from dataclasses import dataclass

from lwmport.errors import UsageError
from lwmport.generation.tokenizer import Tokenizer
from lwmport.generation.tokens import Prompt, Wish, new_tokens
from lwmport.models.spec import Prompts, Written
from lwmport.pipeline.evaluate.language.alone import Alone
from lwmport.pipeline.evaluate.language.models import LanguageModel, language_model
from lwmport.pipeline.evaluate.language.perplexity import opened
from lwmport.pipeline.evaluate.needle.haystack import Haystack, read_haystack
from lwmport.pipeline.evaluate.needle.request import NeedleRequest
from lwmport.pipeline.evaluate.needle.trial import trial
from lwmport.pipeline.observer import Observer, Silent
from lwmport.pipeline.output_checks import check_writable
from lwmport.pipeline.session import Session
from lwmport.registry import load
from lwmport.reports.evaluations.needle import Needle, Row, earlier, write
from lwmport.requests import by_fields

TEXT = "text"


@by_fields(NeedleRequest)
def needle(request: NeedleRequest, observer: Observer | None = None) -> Needle:
    """Return which numbers a model finds in long texts, and write each trial as it is made.

    Raises:
        ArtifactError: there is no whole language model in the folder.
        RunnerError: the runtime refuses the model.
        UsageError: no text, one that is too short, lengths that the model does not take, or something else at ``out``.
    """
    observer = observer or Silent()
    check_writable(request.out)
    model = language_model(request.model, request.tokenizer)
    tokenizer = model.texts()
    observer.phase("read the text")
    haystack = read_haystack(request.haystack, tokenizer, request.context_lengths[-1])
    trial(tokenizer, haystack.ids, request.context_lengths[0], 0, request.needles, request.seed)
    with opened(model, request.runner, request.threads, request.checkpoint, observer) as session:
        _check_room(request, session)
        found = _begun(request, model, haystack, session.runner)
        reader = _Reader(model=model, tokenizer=tokenizer, session=session, request=request)
        known = {row.key for row in found.results}
        for number, key in enumerate(request.trials, start=1):
            if key in known:
                continue
            observer.phase(
                f"trial {number} of {len(request.trials)}: {key[0]:,} tokens, depth {key[1]} %, seed {key[2]}"
            )
            found = dataclasses.replace(found, results=(*found.results, reader.row(haystack, *key)))
            write(found, request.out)
    write(found, request.out)
    return found


@dataclass(frozen=True, kw_only=True)
class _Reader:
    """The model that is asked."""

    model: LanguageModel
    tokenizer: Tokenizer
    session: Session
    request: NeedleRequest

    def row(self, haystack: Haystack, length: int, depth: int, seed: int) -> Row:
        """Return one trial."""
        one = trial(self.tokenizer, haystack.ids, length, depth, self.request.needles, seed)
        prompts: Prompts = load(self.model.family.prompts)
        response = self._answer(prompts.document(self.tokenizer.encode, one.context, one.question))
        return Row(
            context_length=length,
            depth_percent=depth,
            response=response,
            answer=one.numbers,
            correct=tuple(number in response for number in one.numbers),
            seed=seed,
        )

    def _answer(self, written: Written) -> str:
        """Return the largest logits, up to the end of the answer."""
        end = self.tokenizer.end
        wish = Wish(
            count=self.request.new_tokens,
            mode=self.model.family.modes[TEXT],
            stop=frozenset() if end is None else frozenset({end}),
            chunk=self.request.chunk,
        )
        prompt = Prompt(ids=written.ids, codes=written.codes if self.session.has_codes else None)
        ids = [int(row[0]) for row in new_tokens(Alone(self.session), prompt, wish)]
        return self.tokenizer.decode(ids)


def _check_room(request: NeedleRequest, session: Session) -> None:
    longest = request.context_lengths[-1]
    if session.room is not None and longest > session.room:
        raise UsageError(
            f"expected contexts of at most {session.room:,} tokens, as many as the model takes, found {longest:,} "
            "(--lengths)"
        )


def _begun(request: NeedleRequest, model: LanguageModel, haystack: Haystack, runner: str) -> Needle:
    """Return the test with the trials that an earlier run made."""
    asked = Needle(
        model=model.name,
        haystack=haystack.name,
        needles_total=request.needles[0],
        needles_asked=request.needles[1],
        settings={
            "model": f"{model.told} by {runner}",
            "text": f"SHA-256 {haystack.sha256}",
            "counted in": "tokens of the model's own tokenizer; LWM's script counts those of GPT-4's",
            "new tokens": f"at most {request.new_tokens}",
            "chosen": "the largest logit",
        },
        lengths=request.context_lengths,
        depths=request.depth_percents,
    )
    rows = earlier(asked, request.out)
    return dataclasses.replace(
        asked,
        lengths=tuple(sorted({*asked.lengths, *(row.context_length for row in rows)})),
        depths=tuple(sorted({*asked.depths, *(row.depth_percent for row in rows)})),
        results=rows,
    )
