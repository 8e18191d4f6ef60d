"""Captions of two devices: paired by their pictures, judged in a process of its own, and held against each other."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np

from lwmport import __version__, child, extras
from lwmport.errors import ArtifactError, MissingExtraError
from lwmport.pipeline.evaluate import bootstrap
from lwmport.pipeline.evaluate.captions import decoding
from lwmport.pipeline.evaluate.captions.answers import Answers, read_answers
from lwmport.pipeline.evaluate.captions.pictures import answers_by_picture, pictures_in
from lwmport.pipeline.evaluate.captions.request import CaptionsRequest
from lwmport.pipeline.evaluate.clip import files
from lwmport.pipeline.evaluate.clip.judge import judge
from lwmport.pipeline.observer import Observer, Silent
from lwmport.pipeline.output_checks import check_writable
from lwmport.reports.captions.files import SHOWN, check_ours, write
from lwmport.reports.captions.record import Caption, Captions, Pair, Side
from lwmport.requests import by_fields
from lwmport.types import Status
from lwmport.wording import few, shown

MODULES: Final = ("scipy", "tokenizers", "torch", "transformers")
BESIDE: Final = 1 << 30
"""Bytes that PyTorch, a picture and its values take beside the weights."""

OTHERWISE: Final = (
    "a text is read as it is, where open_clip first mends broken characters and HTML entities; a picture with a "
    "palette is resized in RGB, where open_clip resizes it by its nearest pixels"
)
NOTES: Final = {"transformers": (), "open_clip": (OTHERWISE,)}
"""Form of the judge -> what a reader should know of it."""

Ask = Callable[..., Mapping[str, Any]]


@by_fields(CaptionsRequest)
def captions(request: CaptionsRequest, observer: Observer | None = None) -> Captions:
    """Return how well the captions of two devices fit their pictures, and how far they are apart.

    Raises:
        ArtifactError: a file of answers is none, its pictures are not there, or one is no picture.
        CheckpointError: the judge is no CLIP model.
        MissingExtraError: PyTorch, transformers, tokenizers or scipy is not installed.
        UsageError: no folder of pictures, or files at ``out`` that are not of such a comparison.
    """
    observer = observer or Silent()
    if request.out is not None:
        check_writable(request.out)
        check_ours(request.out)
    a, b = read_answers(request.a), read_answers(request.b)
    found = pictures_in(request.images)
    one, other = (answers_by_picture(answers, found, request.images) for answers in (a, b))
    if not one.keys() & other.keys():
        raise ArtifactError(f"expected pictures that both {a.path} and {b.path} have answers for, found none")
    opened, started = judge_of(request.judge)
    with closing(started) as server:
        judged = _judged(request.images, (one, other), server.ask, observer)
        record = _record(request, (a, b), judged, opened)
        if request.out is not None:
            small = {pair.picture: _small(request.images / pair.picture, server.ask) for pair in record.pairs[:SHOWN]}
            write(record, small, request.out)
    return record


def judge_of(folder: Path) -> tuple[files.JudgeFiles, child.Server]:
    """Return a judge's files, and the judge in a process of its own; whoever asks for it closes it.

    Raises:
        CheckpointError: it is no CLIP model.
        MissingExtraError: PyTorch, transformers, tokenizers or scipy is not installed.
    """
    opened = files.open_judge(folder)
    files.tokenizer_files(folder)
    _check_installed()
    bounds = child.Bounds.of(files.nbytes(opened), BESIDE)
    return opened, child.Server(judge, {"folder": folder.absolute()}, bounds, f"the judge in {folder}")


def _check_installed() -> None:
    missing = [name for name in MODULES if not extras.installed(name)]
    if missing:
        raise MissingExtraError(
            f"expected the modules {', '.join(MODULES)} for the judge, found no {few(missing)} in this environment; "
            "run: pip install 'lwmport[eval]'"
        )


def _judged(
    folder: Path, sides: tuple[dict[str, str], dict[str, str]], ask: Ask, observer: Observer
) -> tuple[dict[str, Caption], dict[str, Caption], str]:
    """Return the answers of both sides with their cosines, by picture, and what the judge left over of its files."""
    pictures = sorted(sides[0].keys() | sides[1].keys())
    found: tuple[dict[str, Caption], dict[str, Caption]] = {}, {}
    left_over = ""
    observer.phase("open the judge")
    for number, picture in enumerate(pictures, start=1):
        having = [side for side in (0, 1) if picture in sides[side]]
        texts = [sides[side][picture] for side in having]
        answer = ask(picture=(folder / picture).absolute(), texts=texts, small=False)
        left_over = answer["left_over"]
        for side, text, numbers in zip(having, texts, answer["numbers"], strict=True):
            found[side][picture] = Caption(text=text, **numbers)
            _check_finite(numbers["cosine"], picture)
        observer.phase(f"judged {number} of {len(pictures)} pictures: {shown(picture)}")
    return *found, left_over


def _check_finite(cosine: float, picture: str) -> None:
    if not np.isfinite(cosine):
        raise ArtifactError(
            f"expected a cosine for {shown(picture)!r}, found {cosine}: the judge's weights are damaged"
        )


def _small(picture: Path, ask: Ask) -> bytes:
    return bytes(ask(picture=picture.absolute(), texts=[], small=True)["small"])


def _record(
    request: CaptionsRequest,
    answers: tuple[Answers, Answers],
    judged: tuple[dict[str, Caption], dict[str, Caption], str],
    opened: files.JudgeFiles,
) -> Captions:
    one, other, left_over = judged
    pairs = [
        Pair(picture=name, a=one[name], b=other[name], difference=one[name].cosine - other[name].cosine)
        for name in one
        if name in other
    ]
    pairs.sort(key=lambda pair: (-pair.difference, pair.picture))
    differences = [pair.difference for pair in sorted(pairs, key=lambda pair: pair.picture)]
    mean = float(np.mean(differences))
    ends = bootstrap.interval(differences)
    status, verdict = _verdict(request.margin, ends)
    a, b = _side(answers[0], one, other), _side(answers[1], other, one)
    return Captions(
        status=status,
        sentence=f"{_means(a, b, mean, ends, len(pairs))}; {verdict}",
        a=a,
        b=b,
        difference=mean,
        low=None if ends is None else ends[0],
        high=None if ends is None else ends[1],
        margin=request.margin,
        decoding=decoding.words(*answers),
        settings=decoding.differences(*answers),
        facts=_facts(opened),
        notes=(*NOTES[opened.form], *([f"of the judge's files not used: {left_over}"] if left_over else ())),
        pairs=tuple(pairs),
    )


def _side(answers: Answers, own: Mapping[str, Caption], other: Mapping[str, Caption]) -> Side:
    tokens, unseen = (sum(getattr(caption, name) for caption in own.values()) for name in ("tokens", "unseen_tokens"))
    return Side(
        file=answers.path.name,
        pictures=len(own),
        mean=float(np.mean([caption.cosine for caption in own.values()])),
        unseen_share=unseen / tokens if tokens else 0.0,
        cut=sum(caption.unseen_tokens > 0 for caption in own.values()),
        only=tuple(sorted(own.keys() - other.keys())),
    )


def _means(a: Side, b: Side, mean: float, ends: Sequence[float] | None, pairs: int) -> str:
    interval = "no interval for one picture" if ends is None else f"95 % interval {ends[0]:+.4f} to {ends[1]:+.4f}"
    pictures = "1 picture" if pairs == 1 else f"{pairs} pictures"
    return f"mean cosine {a.mean:.4f} of A, {b.mean:.4f} of B; A - B over {pictures} of both is {mean:+.4f}, {interval}"


def _verdict(margin: float | None, ends: Sequence[float] | None) -> tuple[Status, str]:
    """Return the verdict: whether B is lower than A by no more than the margin, as far as the interval tells."""
    if margin is None:
        return Status.SKIPPED, "no verdict was asked for (--margin X gives one)"
    if ends is None:
        return Status.NOT_JUDGED, "one picture gives no interval to hold against the margin; bring more pictures"
    if ends[1] <= margin:
        return Status.PASSED, f"B is lower by no more than the margin {margin:g}"
    if ends[0] > margin:
        return Status.FAILED, f"B is lower by more than the margin {margin:g}"
    return (
        Status.NOT_JUDGED,
        f"the interval holds the margin {margin:g}, so that it is not settled; bring more pictures",
    )


def _facts(opened: files.JudgeFiles) -> dict[str, str]:
    versions = [f"{name} {metadata.version(name)}" for name in MODULES]
    return {
        "judge": f"{opened.checkpoint.path.name}, a CLIP model in the form of {opened.form}, float32",
        "interval": f"BCa bootstrap of the mean, {bootstrap.RESAMPLES:,} resamples, seed {bootstrap.SEED}, "
        f"{bootstrap.CONFIDENCE:.0%}",
        "versions": ", ".join([f"lwmport {__version__}", *versions]),
    }
